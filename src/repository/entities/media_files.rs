//! Reads and writes of the library by the import, the check of files and the processing of videos.

use std::collections::BTreeMap;

use bson::doc;
use bson::oid::ObjectId;
use chrono::{DateTime, Utc};
use docstore::{Filter, Find, Update};

use super::media::{is_being_purged, variants_array};
use crate::domain::{AssetType, Media, MediaAddition, MediaDraft, MediaVariant};
use crate::repository::row::{CREATED, UPDATED, VERSION, instant};
use crate::repository::{DraftFields as _, Error, Repository, Versioned};

/// The number of attempts at a change that other changes get ahead of.
const MAX_ATTEMPTS: usize = 10;

impl Repository<Media> {
    /// Returns the item whose files have an id in their names, even if it is deleted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find_with_deleted(&self, asset_id: &str) -> Result<Option<Versioned<Media>>, Error> {
        self.find_one_versioned(Filter::eq("asset_id", asset_id)).await
    }

    /// Inserts an item whose files were found, and whose uploader is not known.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if there is one with the same content.
    pub async fn insert_found(&self, draft: &MediaDraft, created: DateTime<Utc>) -> Result<(), Error> {
        let mut document = doc! { "_id": ObjectId::new() };
        document.extend(draft.to_document());
        document.insert(CREATED, instant(created));
        document.insert(UPDATED, instant(created));
        document.insert(VERSION, 1_i64);
        self.collection.insert_one(document).await?;
        Ok(())
    }

    /// Adds what is missing to the item with an id, even if it is deleted. Returns false if there is no such item, or if
    /// nothing was missing.
    pub async fn complete(&self, asset_id: &str, addition: &MediaAddition) -> Result<bool, Error> {
        self.change_files(asset_id, |draft| draft.complete(addition)).await
    }

    /// Records files that were made of the item with an id in place of what was known of them, and adds what is missing.
    pub async fn record_made(&self, asset_id: &str, made: &MediaAddition) -> Result<bool, Error> {
        let record = |draft: &mut MediaDraft| {
            let is_replaced = draft.replace_files(&made.variants);
            draft.complete(made) || is_replaced
        };
        self.change_files(asset_id, record).await
    }

    /// Records that files of the item with an id were written again, with these bytes.
    pub async fn replace_files(&self, asset_id: &str, files: Vec<MediaVariant>) -> Result<bool, Error> {
        self.change_files(asset_id, |draft| draft.replace_files(&files)).await
    }

    /// Changes an item, even if it is deleted. Returns false if there is none, or if `change` does.
    async fn change_files(
        &self,
        asset_id: &str,
        change: impl Fn(&mut MediaDraft) -> bool,
    ) -> Result<bool, Error> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(known) = self.find_with_deleted(asset_id).await? else { return Ok(false) };
            let mut draft = known.revised.item.draft.clone();
            if !change(&mut draft) {
                return Ok(false);
            }
            let update = Update::new()
                .set("variants", variants_array(&draft.variants))
                .set("width", draft.width)
                .set("height", draft.height)
                .set("duration_ms", draft.duration_ms)
                .set("thumbhash", draft.thumbhash)
                .set(VERSION, known.version.wrapping_add(1));
            if self.collection.update_one(&known.same(), &update).await?.matched > 0 {
                return Ok(true);
            }
        }
        Err(Error::unavailable("other changes of an item of the library were faster"))
    }

    /// Returns the files of all items by their names, those of deleted items too unless they are being purged. An item that cannot
    /// be read is left out and logged.
    pub async fn stored_files(&self) -> Result<BTreeMap<String, MediaVariant>, Error> {
        let mut files = BTreeMap::new();
        let mut cursor = self.collection.find(Find::new(Filter::All)).await?;
        while let Some(document) = cursor.next_raw().await? {
            let Some(mut media) = self.or_skip(Self::read(&document)) else { continue };
            if is_being_purged(&media.draft.content_hash) {
                continue;
            }
            // Earlier versions stored no hash of each file.
            if media.draft.asset_type == AssetType::Video
                && let Some(uploaded) = media.draft.variants.first_mut()
            {
                uploaded.sha256.get_or_insert(media.draft.content_hash);
            }
            files.extend(media.draft.variants.into_iter().map(|variant| (variant.path.clone(), variant)));
        }
        Ok(files)
    }
}
