use bson::Document;
use docstore::{Filter, Find, Store};

use crate::{Error, MissingEnv, Result, Settings};

/// The interface of a post-condition to the database. It only reads.
pub struct Check<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) settings: &'a Settings,
    pub(crate) migration: &'a str,
}

impl Check<'_> {
    /// Returns the value of an environment variable.
    ///
    /// # Errors
    /// If the variable is not set.
    pub fn env(&self, name: &str) -> Result<String> {
        env(self.settings, self.migration, name)
    }

    /// Returns the first document of a read.
    pub async fn find_one(&self, collection: &str, find: Find) -> Result<Option<Document>> {
        Ok(self.store.collection(collection).find_one(find).await?)
    }

    /// Returns the documents of a read. Set a limit: all of them are held in memory.
    pub async fn find(&self, collection: &str, find: Find) -> Result<Vec<Document>> {
        Ok(self.store.collection(collection).find(find).await?.documents().await?)
    }

    /// Returns the number of documents that match.
    pub async fn count(&self, collection: &str, filter: &Filter) -> Result<u64> {
        Ok(self.store.collection(collection).count(filter).await?)
    }
}

pub(super) fn env(settings: &Settings, migration: &str, name: &str) -> Result<String> {
    settings.variable(name).ok_or_else(|| {
        Error::MissingEnv(vec![MissingEnv { variable: name.into(), migration: migration.into() }])
    })
}
