use std::time::Duration;

use bson::{Bson, Document, doc};
use futures_util::stream::TryStreamExt;
use mongodb::options::ReturnDocument;

use crate::mongo::engine::Core;
use crate::mongo::error::failed;
use crate::{Error, LeaseHolder, LeaseRequest, Result};

/// Attempts: two first requests may insert concurrently; the loser retries and finds the winner's document. And the driver
/// repeats a command whose reply was lost; then the server returns the document without the projection.
const TRIES: u32 = 5;

/// Computes the remaining time in milliseconds, on the server's clock.
fn remaining() -> Document {
    doc! { "$subtract": ["$expires_at", "$$NOW"] }
}

fn until(ttl: Duration) -> Document {
    doc! { "$add": ["$$NOW", i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)] }
}

impl Core {
    /// Decides and acquires in one command. The condition is in the update, because the filter of an upsert cannot compare
    /// with the server's clock.
    pub(crate) async fn acquire_lease(&self, request: &LeaseRequest) -> Result<LeaseHolder> {
        // `$literal` keeps an owner that starts with a dollar a value.
        let owner = doc! { "$literal": &request.owner };
        let free = doc! { "$or": [
            { "$eq": [{ "$type": "$expires_at" }, "missing"] },
            { "$lte": ["$expires_at", "$$NOW"] },
            { "$eq": ["$owner", owner.clone()] },
        ] };
        let take = |taken: Bson, kept: &str| doc! { "$cond": [free.clone(), taken, kept] };
        let fence = doc! { "$add": [{ "$ifNull": ["$fence", 0_i64] }, 1_i64] };
        let update = doc! { "$set": {
            "owner": take(owner.into(), "$owner"),
            "fence": take(fence.into(), "$fence"),
            "expires_at": take(until(request.ttl).into(), "$expires_at"),
        } };
        let collection = self.database.collection::<Document>(&request.collection);
        let mut tries = 1;
        loop {
            let outcome = collection
                .find_one_and_update(doc! { "_id": &request.name }, vec![update.clone()])
                .upsert(true)
                .return_document(ReturnDocument::After)
                .projection(doc! { "owner": 1, "fence": 1, "remaining": remaining() })
                .await
                .map_err(failed("acquiring a lease", &request.collection));
            match outcome {
                Err(Error::DuplicateKey { .. }) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
                Ok(Some(found)) if found.contains_key("expires_at") && tries < TRIES => tries += 1,
                Ok(found) => return holder(&found.unwrap_or_default(), &request.collection),
            }
        }
    }

    pub(crate) async fn renew_lease(&self, request: &LeaseRequest, fence: i64) -> Result<bool> {
        let update = doc! { "$set": { "expires_at": until(request.ttl) } };
        self.touch_lease(request, fence, update, "renewing a lease").await
    }

    /// Keeps the document, because it holds the fencing token.
    pub(crate) async fn release_lease(&self, request: &LeaseRequest, fence: i64) -> Result<()> {
        let update = doc! { "$set": { "owner": "", "expires_at": "$$NOW" } };
        self.touch_lease(request, fence, update, "releasing a lease").await.map(drop)
    }

    async fn touch_lease(
        &self,
        request: &LeaseRequest,
        fence: i64,
        update: Document,
        what: &'static str,
    ) -> Result<bool> {
        let held = doc! { "_id": &request.name, "owner": &request.owner, "fence": fence };
        let collection = self.database.collection::<Document>(&request.collection);
        let done =
            collection.update_one(held, vec![update]).await.map_err(failed(what, &request.collection))?;
        Ok(done.matched_count > 0)
    }

    pub(crate) async fn lease_holder(&self, collection: &str, name: &str) -> Result<Option<LeaseHolder>> {
        let pipeline = vec![
            doc! { "$match": { "_id": name } },
            doc! { "$project": { "owner": 1, "fence": 1, "remaining": remaining() } },
        ];
        let found: Vec<Document> = async {
            self.database.collection::<Document>(collection).aggregate(pipeline).await?.try_collect().await
        }
        .await
        .map_err(failed("reading a lease", collection))?;
        match found.first() {
            Some(found) if found.get_str("owner").is_ok_and(|owner| !owner.is_empty()) => {
                holder(found, collection).map(Some)
            }
            _ => Ok(None),
        }
    }
}

fn holder(found: &Document, collection: &str) -> Result<LeaseHolder> {
    let read = || {
        let milliseconds = match found.get("remaining")? {
            Bson::Int64(milliseconds) => *milliseconds,
            Bson::Int32(milliseconds) => i64::from(*milliseconds),
            _ => return None,
        };
        Some(LeaseHolder {
            owner: found.get_str("owner").ok()?.to_owned(),
            fence: found.get_i64("fence").ok()?,
            remaining: Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)),
        })
    };
    read().ok_or_else(|| Error::Decode {
        collection: collection.to_owned(),
        source: "not a lease document".into(),
    })
}
