use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bson::Document;

use crate::engine::{Admin, Engine, Executor, Operation};
use crate::sqlite::Settings;
use crate::sqlite::engine::SqliteEngine;
use crate::sqlite::open::{Durability, folder_of};
use crate::{CollectionOptions, EngineKind, Error, Result, Rights, Space};

/// The file name of a sibling, in its own folder.
const FILE: &str = "store.db";

impl SqliteEngine {
    /// Returns the folder that contains the siblings of this store, one folder each.
    fn siblings_folder(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".scratch");
        path.into()
    }

    /// Returns the folder of this store, if it is a sibling of another.
    fn own_folder(&self) -> Option<&Path> {
        let folder = self.path.parent()?;
        let of_siblings = folder.parent()?.extension().is_some_and(|extension| extension == "scratch");
        (of_siblings && self.path.file_name().is_some_and(|name| name == FILE)).then_some(folder)
    }
}

#[async_trait]
impl Admin for SqliteEngine {
    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    async fn collection_options(&self, collection: &str) -> Result<CollectionOptions> {
        let collection = collection.to_owned();
        self.readers
            .read(move |_, catalog| {
                let Some(stored) = catalog.collections.get(&collection) else {
                    return Ok(CollectionOptions::default());
                };
                let indexes = stored.indexes.iter().map(|stored| stored.index.clone()).collect();
                Ok(CollectionOptions::from_engine(indexes, EngineKind::Embedded, Document::new()))
            })
            .await
    }

    async fn create_collection(&self, collection: &str, _: &CollectionOptions) -> Result<()> {
        let collection = collection.to_owned();
        self.write(move |s| s.collection_or_new(&collection).map(|_| ())).await
    }

    async fn complete_collection(&self, collection: &str, options: &CollectionOptions) -> Result<()> {
        for index in &options.indexes {
            self.create_index(collection, index).await?;
        }
        if options.validator().is_some() {
            tracing::warn!(collection, "the validator of the collection is dropped: SQLite has none");
        }
        Ok(())
    }

    /// Deletes a sibling with its folder. Of the main store only the collections are dropped; the file stays.
    async fn drop_database(&self) -> Result<()> {
        if let Some(folder) = self.own_folder() {
            let folder = folder.to_owned();
            self.close().await;
            fs::remove_dir_all(&folder).map_err(|e| failed("dropping a scratch store", e))?;
            // Succeeds only for the last sibling, when the common folder is empty.
            if let Some(siblings) = folder.parent() {
                let _ = fs::remove_dir(siblings);
            }
            return Ok(());
        }
        for name in self.collection_names().await? {
            self.execute(&name, Operation::Drop).await?;
        }
        Ok(())
    }

    async fn sibling(&self, name: &str) -> Result<Arc<dyn Engine>> {
        let path = self.siblings_folder().join(name).join(FILE);
        let open = move || Self::open(&path, &Settings::default(), Durability::Process);
        match tokio::task::spawn_blocking(open).await {
            Ok(engine) => Ok(Arc::new(engine?)),
            Err(error) => Err(Error::Engine { what: "opening a store", source: Box::new(error) }),
        }
    }

    async fn siblings(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(self.siblings_folder()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("listing scratch stores", error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| failed("listing scratch stores", e))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    async fn rights(&self) -> Result<Rights> {
        Ok(Rights::Unlimited)
    }

    async fn space(&self) -> Result<Space> {
        let used = fs::metadata(&self.path).map_err(|e| failed("reading the size of the store", e))?.len();
        let folder = folder_of(&self.path).unwrap_or(Path::new("."));
        let room =
            rustix::fs::statvfs(folder).map_err(|e| failed("reading the free disk space", e.into()))?;
        Ok(Space { used, free: Some(room.f_bavail.saturating_mul(room.f_frsize)) })
    }
}

fn failed(what: &'static str, source: std::io::Error) -> Error {
    Error::Engine { what, source: Box::new(source) }
}
