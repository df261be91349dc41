use bson::{Bson, Document, RawDocumentBuf, doc};
use futures_util::stream::TryStreamExt;

use crate::mongo::core::Core;
use crate::mongo::error::{ErrorContext, MAX_DOCUMENT, classify, server_error};
use crate::mongo::schema::indexes;
use crate::{CollectionOptions, EngineKind, Error, Result};

const LOOKING: &str = "reading the options of a collection";
const MAKING: &str = "creating a collection";
const RENAMING: &str = "renaming a collection";
const FILLING: &str = "restoring documents";
const NAMESPACE_EXISTS: i32 = 48;
/// Maximum number of documents and bytes in one command.
const CHUNK: (usize, usize) = (1000, 8 * 1024 * 1024);

impl Core {
    /// Returns the options of a collection; `None` if it does not exist.
    pub(crate) async fn options(&self, collection: &str) -> Result<Option<Document>> {
        let listed = async {
            let command = doc! { "listCollections": 1, "filter": { "name": collection } };
            self.database.run_cursor_command(command).await?.try_collect::<Vec<_>>().await
        };
        let listed =
            listed.await.map_err(|error| classify(ErrorContext { what: LOOKING, collection }, &error))?;
        let Some(found) = listed.into_iter().next() else { return Ok(None) };
        if found.get_str("type").is_ok_and(|kind| kind == "timeseries") {
            return Err(Error::Unsupported(format!("{collection} is a time series collection")));
        }
        Ok(Some(found.get_document("options").cloned().unwrap_or_default()))
    }

    pub(crate) async fn collection_options(&self, collection: &str) -> Result<CollectionOptions> {
        let Some(mut options) = self.options(collection).await? else {
            return Ok(CollectionOptions::default());
        };
        // Make defaults explicit, and drop the remains of a removed validator.
        let validated = options.get_document("validator").is_ok_and(|validator| !validator.is_empty());
        for (key, usual) in [("validationLevel", "strict"), ("validationAction", "error")] {
            if validated {
                options.entry(key).or_insert_with(|| usual.into());
            } else {
                options.remove(key);
            }
        }
        if !validated {
            options.remove("validator");
        }
        let listed =
            if options.contains_key("viewOn") { Vec::new() } else { self.raw_indexes(collection).await? };
        let listed: Vec<_> = listed.into_iter().filter(|one| !indexes::is_on_id(one)).collect();
        let ours = listed.iter().map(indexes::read).collect();
        let listed: Vec<Bson> = listed.into_iter().map(Bson::Document).collect();
        let own = doc! { "options": options, "indexes": listed };
        Ok(CollectionOptions::from_engine(ours, EngineKind::Mongo, own))
    }

    pub(crate) async fn create_collection(
        &self,
        collection: &str,
        options: &CollectionOptions,
    ) -> Result<()> {
        let mut command = doc! { "create": collection };
        if let Some(native) =
            options.native(EngineKind::Mongo).and_then(|native| native.get_document("options").ok())
        {
            // A validator may stand before the documents are restored: `insert_raw` bypasses it.
            let kept = native.iter().filter(|(key, _)| *key != "uuid");
            command.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
        }
        match self.write_command(command, None).await {
            Ok(_) => Ok(()),
            Err(error) if server_error(&error).is_some_and(|coded| coded.code == NAMESPACE_EXISTS) => Ok(()),
            Err(error) => Err(self.error(MAKING, collection, &error).await),
        }
    }

    pub(crate) async fn complete_collection(
        &self,
        collection: &str,
        options: &CollectionOptions,
    ) -> Result<()> {
        let Some(native) = options.native(EngineKind::Mongo) else {
            for index in &options.indexes {
                self.create_index(collection, index).await?;
            }
            return Ok(());
        };
        if options.is_view() {
            return Ok(());
        }
        let collated = native.get_document("options").is_ok_and(|options| options.contains_key("collation"));
        let mut listed = native.get_array("indexes").cloned().unwrap_or_default();
        for index in &mut listed {
            if let Bson::Document(index) = index {
                // Older servers include the namespace.
                index.remove("ns");
                if collated && !index.contains_key("collation") {
                    // Without an explicit collation the index would inherit that of the collection.
                    index.insert("collation", doc! { "locale": "simple" });
                }
            }
        }
        if !listed.is_empty() {
            let command = doc! { "createIndexes": collection, "indexes": listed };
            if let Err(error) = self.write_command(command, None).await {
                return Err(self.error(MAKING, collection, &error).await);
            }
        }
        Ok(())
    }

    pub(crate) async fn insert_raw(&self, collection: &str, documents: &[RawDocumentBuf]) -> Result<()> {
        let size = |document: &RawDocumentBuf| document.as_bytes().len();
        if let Some(bytes) = documents.iter().map(size).find(|bytes| *bytes > MAX_DOCUMENT) {
            return Err(Error::TooLarge { collection: collection.to_owned(), bytes });
        }
        let mut rest = documents;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |document: &&RawDocumentBuf| {
                bytes += size(document);
                bytes <= CHUNK.1
            };
            let count = rest.iter().take(CHUNK.0).take_while(fits).count().max(1);
            let (chunk, after) = rest.split_at(count);
            let raw = self.raw(collection);
            let put = raw.insert_many(chunk).ordered(true).bypass_document_validation(true);
            if let Err(error) = put.await {
                return Err(self.error(FILLING, collection, &error).await);
            }
            rest = after;
        }
        Ok(())
    }

    pub(crate) async fn drop_collection(&self, collection: &str) -> Result<()> {
        match self.raw(collection).drop().await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.error("dropping a collection", collection, &error).await),
        }
    }

    pub(crate) async fn rename_collection(&self, from: &str, to: &str) -> Result<()> {
        let full = |name: &str| format!("{}.{name}", self.database.name());
        let mut command = doc! { "renameCollection": full(from), "to": full(to), "dropTarget": true };
        if let Some(concern) = &self.write_concern {
            let concern = bson::serialize_to_bson(concern).map_err(|e| Error::Invalid(e.to_string()))?;
            command.insert("writeConcern", concern);
        }
        match self.database.client().database("admin").run_command(command).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error(RENAMING, from, &error).await),
        }
    }
}
