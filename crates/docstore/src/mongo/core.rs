use bson::{Document, RawDocumentBuf, doc};
use futures_util::stream::TryStreamExt;
use mongodb::ClientSession;
use mongodb::error::{Error as DriverError, ErrorKind};
use mongodb::options::WriteConcern;
use tokio::sync::OwnedSemaphorePermit;

use crate::mongo::error::{ErrorContext, classify, server_error};
use crate::mongo::pool::PoolLimiter;
use crate::{Error, Result};

const LISTING: &str = "listing indexes";
pub(crate) const NAMESPACE_NOT_FOUND: i32 = 26;

/// The database handle that an engine shares with its transactions. Each operation takes the session of its transaction,
/// if it is in one.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) database: mongodb::Database,
    pub(crate) write_concern: Option<WriteConcern>,
    pub(crate) limiter: PoolLimiter,
}

pub(crate) type Session<'a> = Option<&'a mut ClientSession>;

impl Core {
    pub(crate) fn raw(&self, collection: &str) -> mongodb::Collection<RawDocumentBuf> {
        self.database.collection(collection)
    }

    /// Maps an error of the driver, and looks up what the driver leaves out.
    pub(crate) async fn error(&self, what: &'static str, collection: &str, error: &DriverError) -> Error {
        self.complete(classify(ErrorContext { what, collection }, error)).await
    }

    /// The driver drops the server's answer to `insert_many`, and with it the fields of a violated index.
    pub(crate) async fn complete(&self, error: Error) -> Error {
        match error {
            Error::DuplicateKey { collection, index, fields } if fields.is_empty() => {
                let fields = self.index_fields(&collection, &index).await;
                Error::DuplicateKey { collection, index, fields }
            }
            other => other,
        }
    }

    /// Waits for a permit to write. A transaction does not wait: it has a connection of its own.
    pub(crate) async fn turn(&self, in_transaction: bool) -> Result<Option<OwnedSemaphorePermit>> {
        if in_transaction { Ok(None) } else { self.limiter.take().await.map(Some) }
    }

    /// Returns the server's index documents, including that on `_id`.
    pub(crate) async fn raw_indexes(&self, collection: &str) -> Result<Vec<Document>> {
        let listed = async {
            let cursor = self.database.run_cursor_command(doc! { "listIndexes": collection }).await?;
            cursor.try_collect::<Vec<_>>().await
        };
        match listed.await {
            Ok(listed) => Ok(listed),
            Err(error) if server_error(&error).is_some_and(|coded| coded.code == NAMESPACE_NOT_FOUND) => {
                Ok(Vec::new())
            }
            Err(error) => Err(classify(ErrorContext { what: LISTING, collection }, &error)),
        }
    }

    /// Returns the fields of an index by name; empty if they cannot be determined.
    async fn index_fields(&self, collection: &str, name: &str) -> Vec<String> {
        let listed = self.raw_indexes(collection).await.unwrap_or_default();
        let index = listed.iter().find(|one| one.get_str("name").is_ok_and(|other| other == name));
        index
            .and_then(|one| one.get_document("key").ok())
            .map(|keys| keys.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// A command of this database, with the write concern that the driver adds to its own.
    pub(crate) async fn write_command(
        &self,
        mut command: Document,
        session: Session<'_>,
    ) -> Result<Document, DriverError> {
        if let Some(session) = session {
            return self.database.run_command(command).session(session).await;
        }
        if let Some(concern) = &self.write_concern {
            command.insert("writeConcern", bson::serialize_to_bson(concern).map_err(ErrorKind::from)?);
        }
        self.database.run_command(command).await
    }
}

pub(crate) fn encoded(document: &Document) -> Result<RawDocumentBuf> {
    RawDocumentBuf::try_from(document)
        .map_err(|_| Error::Invalid("a document contains a field name that cannot be stored".into()))
}
