use std::time::Duration;

use bson::RawDocumentBuf;
use bson::oid::ObjectId;

use crate::engine::Operation;
use crate::model::validate::check_collection_name;
use crate::{CollectionOptions, Database, Result};

/// What the user of a connection may do in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// Everything: nobody has to log in, or it is a file.
    Unlimited,
    /// Everything but these actions, by the store's names for them; none if the list is empty.
    Lacking(Vec<String>),
}

/// How much room a store takes, and how much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that the store takes: its documents, or its file.
    pub used: u64,
    /// Bytes that are free where it is; `None` if the server does not tell.
    pub free: Option<u64>,
}

impl Database {
    /// The name of the database, or of the file.
    pub fn name(&self) -> String {
        self.engine().name()
    }

    /// What a collection is besides its documents.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for a time series: its documents are not what was put in.
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
    /// [`crate::Error::Invalid`] if the shape comes from the other engine, and this one has no words for it.
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

    /// Gives a collection another name, at once; one that has that name already goes.
    pub async fn rename_collection(&self, from: &str, to: &str) -> Result<()> {
        self.execute(from, Operation::RenameTo(to.to_owned())).await
    }

    /// What the user may do.
    pub async fn rights(&self) -> Result<Rights> {
        self.engine().rights().await
    }

    /// How much room there is.
    pub async fn space(&self) -> Result<Space> {
        self.engine().space().await
    }

    /// An empty database for a while, beside this one: another database of the same server, or another file. It is
    /// as real as this one, but a file is not kept safe against a power cut.
    pub async fn scratch(&self, purpose: &str) -> Result<Scratch> {
        let name = format!("{purpose}_{}", ObjectId::new().to_hex());
        Ok(Scratch { database: Self::new(self.engine().sibling(&name).await?) })
    }

    /// Drops scratch databases whose maker died: those of a purpose that are older than this. Returns how many.
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

/// A database for a while.
pub struct Scratch {
    database: Database,
}

impl Scratch {
    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Drops it with all that is in it.
    pub async fn discard(self) -> Result<()> {
        let dropped = self.database.engine().drop_database().await;
        self.database.versions().record_change_anywhere();
        self.database.close().await;
        dropped
    }
}
