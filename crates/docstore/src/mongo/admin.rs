use std::sync::Arc;

use async_trait::async_trait;
use bson::{Bson, Document, doc};
use futures_util::stream::TryStreamExt;

use crate::engine::{Admin, Engine};
use crate::mongo::engine::{Core, MongoEngine};
use crate::mongo::error::{failed, has_code};
use crate::mongo::indexes;
use crate::{CollectionOptions, EngineKind, Error, Result, Rights, Space};

const CREATING: &str = "creating a collection";
const NAMESPACE_EXISTS: i32 = 48;

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

impl Core {
    pub(crate) async fn special_collections(&self) -> Result<Vec<(String, &'static str)>> {
        let special = doc! { "$or": [{ "type": { "$ne": "collection" } }, { "options.capped": true }] };
        let listed = async {
            let command = doc! { "listCollections": 1, "filter": special };
            self.database.run_cursor_command(command).await?.try_collect::<Vec<_>>().await
        };
        let listed = listed.await.map_err(failed("listing collections", ""))?;
        let kind = |found: &Document| match found.get_str("type") {
            Ok("view") => "a view",
            Ok("timeseries") => "a time series collection",
            _ => "a capped collection",
        };
        Ok(listed
            .iter()
            .filter_map(|found| Some((found.get_str("name").ok()?.to_owned(), kind(found))))
            .collect())
    }

    /// Returns the server's options of a collection; `None` if it does not exist.
    pub(crate) async fn server_options(&self, collection: &str) -> Result<Option<Document>> {
        let listed = async {
            let command = doc! { "listCollections": 1, "filter": { "name": collection } };
            self.database.run_cursor_command(command).await?.try_collect::<Vec<_>>().await
        };
        let listed = listed.await.map_err(failed("reading the options of a collection", collection))?;
        let Some(found) = listed.into_iter().next() else { return Ok(None) };
        if found.get_str("type").is_ok_and(|kind| kind == "timeseries") {
            return Err(Error::Unsupported(format!("{collection} is a time series collection")));
        }
        Ok(Some(found.get_document("options").cloned().unwrap_or_default()))
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
        let Some(mut options) = self.core.server_options(collection).await? else {
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
        let listed = if options.contains_key("viewOn") {
            Vec::new()
        } else {
            self.core.raw_indexes(collection).await?
        };
        let listed: Vec<_> = listed.into_iter().filter(|one| !indexes::is_on_id(one)).collect();
        let typed = listed.iter().map(|one| indexes::read(one, &options)).collect();
        let listed: Vec<Bson> = listed.into_iter().map(Bson::Document).collect();
        let native = doc! { "options": options, "indexes": listed };
        Ok(CollectionOptions::from_engine(typed, EngineKind::Mongo, native))
    }

    async fn create_collection(&self, collection: &str, options: &CollectionOptions) -> Result<()> {
        let mut command = doc! { "create": collection };
        if let Some(native) =
            options.native(EngineKind::Mongo).and_then(|native| native.get_document("options").ok())
        {
            // A validator may stand before the documents are restored: `insert_raw` bypasses it.
            let kept = native.iter().filter(|(key, _)| *key != "uuid");
            command.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
        }
        match self.core.write_command(command, None).await {
            Err(error) if has_code(&error, &[NAMESPACE_EXISTS]) => Ok(()),
            created => created.map(drop).map_err(failed(CREATING, collection)),
        }
    }

    async fn complete_collection(&self, collection: &str, options: &CollectionOptions) -> Result<()> {
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
            self.core.write_command(command, None).await.map_err(failed(CREATING, collection))?;
        }
        Ok(())
    }

    async fn drop_database(&self) -> Result<()> {
        self.core.database.drop().await.map_err(failed("dropping a database", ""))
    }

    async fn sibling(&self, name: &str) -> Result<Arc<dyn Engine>> {
        let full = self.stem(name.len()) + name;
        let hosts = self.location.rsplit_once('/').map_or("", |(hosts, _)| hosts);
        let location = format!("{hosts}/{full}");
        let database = self.core.database.client().database(&full);
        let core = Core { database, ..self.core.clone() };
        let mut engine = Self::new(core, location);
        engine.shares_client = true;
        Ok(Arc::new(engine))
    }

    async fn siblings(&self) -> Result<Vec<String>> {
        let listed = self.core.database.client().list_database_names().authorized_databases(true).await;
        let listed = listed.map_err(failed("listing databases", ""))?;
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
