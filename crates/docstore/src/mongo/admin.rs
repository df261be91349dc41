use std::sync::Arc;

use async_trait::async_trait;

use crate::engine::{Admin, Engine};
use crate::mongo::core::Core;
use crate::mongo::engine::MongoEngine;
use crate::mongo::error::{ErrorContext, classify};
use crate::{CollectionOptions, Result, Rights, Space};

/// Between the name of a database and what is added for a sibling.
const JOINT: &str = "__";
/// Maximum length of a database name in bytes.
const LONGEST: usize = 63;

impl MongoEngine {
    /// Returns the prefix of sibling names whose suffix has this length.
    fn stem(&self, added: usize) -> String {
        stem(self.core.database.name(), added)
    }
}

/// The name, or what there is room for of it and a sum of the whole, so that no other's siblings begin alike.
fn stem(name: &str, added: usize) -> String {
    let room = LONGEST.saturating_sub(JOINT.len() + added);
    if name.len() <= room {
        return format!("{name}{JOINT}");
    }
    // FNV-1a: it must be the same in every version of this program.
    let sum =
        name.bytes().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let room = room.saturating_sub(9);
    let end = (0..=room).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    format!("{}-{sum:08x}{JOINT}", &name[..end])
}

#[async_trait]
impl Admin for MongoEngine {
    fn name(&self) -> String {
        self.core.database.name().to_owned()
    }

    async fn collection_options(&self, collection: &str) -> Result<CollectionOptions> {
        self.core.collection_options(collection).await
    }

    async fn create_collection(&self, collection: &str, shape: &CollectionOptions) -> Result<()> {
        self.core.create_collection(collection, shape).await
    }

    async fn complete_collection(&self, collection: &str, shape: &CollectionOptions) -> Result<()> {
        self.core.complete_collection(collection, shape).await
    }

    async fn drop_database(&self) -> Result<()> {
        let doing = ErrorContext { what: "dropping a database", collection: "" };
        self.core.database.drop().await.map_err(|error| classify(doing, &error))
    }

    async fn sibling(&self, name: &str) -> Result<Arc<dyn Engine>> {
        let full = self.stem(name.len()) + name;
        let hosts = self.location.rsplit_once('/').map_or("", |(hosts, _)| hosts);
        let location = format!("{hosts}/{full}");
        let database = self.core.database.client().database(&full);
        let mut engine = {
            let Core { write_concern, limiter, .. } = self.core.clone();
            Self::new(database, location, write_concern, limiter)
        };
        engine.shares_client = true;
        Ok(Arc::new(engine))
    }

    async fn siblings(&self) -> Result<Vec<String>> {
        let doing = ErrorContext { what: "listing databases", collection: "" };
        let listed = self.core.database.client().list_database_names().authorized_databases(true).await;
        let listed = listed.map_err(|error| classify(doing, &error))?;
        let added = |full: &String| {
            let (_, name) = full.rsplit_once(JOINT)?;
            // Another database's sibling may begin alike.
            (self.stem(name.len()) + name == *full).then(|| name.to_owned())
        };
        Ok(listed.iter().filter_map(added).collect())
    }

    async fn rights(&self) -> Result<Rights> {
        self.core.rights().await
    }

    async fn space(&self) -> Result<Space> {
        self.core.space().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_siblings_fit_and_differ() {
        assert_eq!(stem("site", 30), "site__");
        let long = |end: &str| stem(&("x".repeat(58) + end), 30);
        assert_eq!(long("a").len() + 30, LONGEST);
        assert!(long("a") != long("b") && long("a") == long("a"));
    }
}
