use std::time::Duration;

use bson::RawDocumentBuf;
use bson::oid::ObjectId;

use crate::engine::Operation;
use crate::model::field::check_collection_name;
use crate::{CollectionOptions, Database, Result};

/// The privileges of the connected user in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// All privileges: the server requires no login, or the store is a file.
    Unlimited,
    /// All privileges but these actions, by the server's names; an empty list lacks none.
    Lacking(Vec<String>),
}

/// Disk space used and free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes used by the documents, or by the file.
    pub used: u64,
    /// Bytes free on its disk; `None` if the server does not report them.
    pub free: Option<u64>,
}

impl Database {
    /// Returns the name of the database or of the file.
    pub fn name(&self) -> String {
        self.engine().name()
    }

    /// Returns the indexes and options of a collection.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for a time series, which does not store documents as they were inserted.
    pub async fn collection_options(&self, collection: &str) -> Result<CollectionOptions> {
        check_collection_name(collection)?;
        self.engine().collection_options(collection).await
    }

    /// Creates a collection with these options; its indexes are not created yet. Nothing happens if it exists.
    pub async fn create_collection(&self, collection: &str, shape: &CollectionOptions) -> Result<()> {
        check_collection_name(collection)?;
        self.engine().create_collection(collection, shape).await
    }

    /// Creates the indexes of these options, once the documents are in.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if the options come from the other engine and this one cannot express them.
    pub async fn complete_collection(&self, collection: &str, shape: &CollectionOptions) -> Result<()> {
        check_collection_name(collection)?;
        self.engine().complete_collection(collection, shape).await
    }

    /// Inserts encoded documents, bypassing any validator. Each begins with its id.
    pub async fn insert_raw(&self, collection: &str, documents: Vec<RawDocumentBuf>) -> Result<()> {
        if documents.is_empty() {
            return Ok(());
        }
        self.execute(collection, Operation::InsertRaw(documents)).await
    }

    /// Renames a collection atomically, replacing one that has the name.
    pub async fn rename_collection(&self, from: &str, to: &str) -> Result<()> {
        self.execute(from, Operation::RenameTo(to.to_owned())).await
    }

    /// Returns the privileges of the connected user.
    pub async fn rights(&self) -> Result<Rights> {
        self.engine().rights().await
    }

    /// Returns the disk space.
    pub async fn space(&self) -> Result<Space> {
        self.engine().space().await
    }

    /// Creates an empty scratch database beside this one: another database of the same server, or another file. A file is
    /// not safe against a power cut.
    pub async fn scratch(&self, purpose: &str) -> Result<Scratch> {
        let name = format!("{purpose}_{}", ObjectId::new().to_hex());
        Ok(Scratch { database: Self::new(self.engine().sibling(&name).await?) })
    }

    /// Drops scratch databases that a dead process left behind: those of a purpose that are older than `age`. Returns their
    /// number.
    pub async fn sweep_scratches(&self, purpose: &str, age: Duration) -> Result<usize> {
        let engine = self.engine();
        let mut swept = 0;
        for name in engine.siblings().await? {
            let made = name.strip_prefix(purpose).and_then(|rest| rest.strip_prefix('_'));
            let made = made.and_then(|id| ObjectId::parse_str(id).ok());
            let Some(made) = made else { continue };
            if made.timestamp().to_system_time().elapsed().is_ok_and(|elapsed| elapsed >= age) {
                let sibling = Self::new(engine.sibling(&name).await?);
                Scratch { database: sibling }.discard().await?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

/// A scratch database.
pub struct Scratch {
    database: Database,
}

impl Scratch {
    /// Returns the database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Drops the database.
    pub async fn discard(self) -> Result<()> {
        let dropped = self.database.engine().drop_database().await;
        self.database.versions().record_change_anywhere();
        self.database.close().await;
        dropped
    }
}
