use std::path::Path;

use docstore::{CollectionOptions, Database, Filter};
use serde::Serialize;

use super::bson_file::BsonReader;
use super::verify::{shape_of, verify};
use super::{BackedUpCollection, Manifest};
use crate::{Error, Result};

/// The prefix of a collection that is being loaded.
pub(super) const LOADING: &str = "_restoring.";

/// The parameters of a restore.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreRequest {
    /// `true` to replace collections that have documents.
    pub replace: bool,
    /// Only these collections of the backup; all if `None`.
    pub only: Option<Vec<String>>,
}

/// The result of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// The backup.
    pub backup: String,
    /// The location of the store.
    pub location: String,
    /// The restored collections.
    pub collections: Vec<RestoredCollection>,
    /// Collections that did not exist when the backup was taken and were dropped.
    pub dropped: Vec<String>,
    /// The migration that the ledger now records as rolled back; see [`crate::Migrator::restore`].
    pub rolled_back: Option<String>,
    /// Migrations that were applied since the backup and whose changes to these collections are lost.
    pub applied_since: Vec<String>,
}

/// A restored collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoredCollection {
    /// The name.
    pub name: String,
    /// The number of documents restored.
    pub documents: u64,
    /// The number of documents replaced.
    pub replaced: u64,
}

/// Restores a backup: verifies every checksum, loads everything into temporary collections, then renames each of them
/// atomically. Can be repeated.
///
/// # Errors
/// [`Error::BackupDamaged`], [`Error::NotEmpty`], [`Error::NotInBackup`]: nothing was changed. [`Error::Store`] while
/// collections are renamed leaves each of them either as it was or as in the backup.
pub async fn restore(db: &Database, dir: &Path, id: &str, request: &RestoreRequest) -> Result<RestoreReport> {
    let manifest = verify(dir, id).await?;
    let (wanted, dropped) = choose(&manifest, request)?;
    let there = db.collection_names().await?;
    let mut before = Vec::new();
    let mut occupied_names = Vec::new();
    for name in wanted.iter().map(|kept| &kept.name).chain(&dropped) {
        let count = if there.contains(name) { occupied(db, name).await? } else { 0 };
        if count > 0 {
            occupied_names.push(name.clone());
        }
        before.push(count);
    }
    if !occupied_names.is_empty() && !request.replace {
        return Err(Error::NotEmpty { collections: occupied_names });
    }

    let mut loaded = Vec::new();
    for kept in &wanted {
        let shape = shape_of(&dir.join(id), id, kept)?;
        match load(db, dir, id, kept, &shape).await {
            Ok(()) => loaded.push((*kept, shape)),
            Err(error) => {
                tidy(db).await;
                return Err(error);
            }
        }
    }
    let mut restored = RestoreReport {
        backup: id.into(),
        location: db.location(),
        collections: Vec::new(),
        dropped: Vec::new(),
        rolled_back: None,
        applied_since: Vec::new(),
    };
    for ((kept, shape), replaced) in loaded.iter().zip(before) {
        if shape.is_view() {
            db.drop_collection(&kept.name).await?;
            db.create_collection(&kept.name, shape).await?;
        } else {
            db.rename_collection(&loading(&kept.name), &kept.name).await?;
        }
        tracing::info!(collection = kept.name, documents = kept.documents, "restored a collection");
        restored.collections.push(RestoredCollection {
            name: kept.name.clone(),
            documents: kept.documents,
            replaced,
        });
    }
    for name in dropped {
        if there.contains(&name) {
            db.drop_collection(&name).await?;
            restored.dropped.push(name);
        }
    }
    tidy(db).await;
    Ok(restored)
}

/// Returns the collections to restore, and those to drop because they did not exist when the backup was taken.
fn choose<'a>(
    manifest: &'a Manifest,
    request: &RestoreRequest,
) -> Result<(Vec<&'a BackedUpCollection>, Vec<String>)> {
    let Some(only) = &request.only else {
        return Ok((manifest.collections.iter().collect(), manifest.absent.clone()));
    };
    let (mut wanted, mut dropped) = (Vec::new(), Vec::new());
    for name in only {
        if let Some(kept) = manifest.collections.iter().find(|kept| kept.name == *name) {
            wanted.push(kept);
        } else if manifest.absent.contains(name) {
            dropped.push(name.clone());
        } else {
            let known = manifest.collections.iter().map(|kept| kept.name.clone()).collect();
            return Err(Error::NotInBackup { id: manifest.id.clone(), collection: name.clone(), known });
        }
    }
    Ok((wanted, dropped))
}

/// Returns the number of documents; a view has none of its own.
async fn occupied(db: &Database, name: &str) -> Result<u64> {
    if db.collection_options(name).await?.is_view() {
        return Ok(0);
    }
    Ok(db.collection(name).count(&Filter::All).await?)
}

fn loading(name: &str) -> String {
    format!("{LOADING}{name}")
}

/// Loads a collection under a temporary name.
async fn load(
    db: &Database,
    dir: &Path,
    id: &str,
    kept: &BackedUpCollection,
    shape: &CollectionOptions,
) -> Result<()> {
    if shape.is_view() {
        return Ok(());
    }
    let name = loading(&kept.name);
    // Left over from a restore that was killed.
    db.drop_collection(&name).await?;
    db.create_collection(&name, shape).await?;
    let path = dir.join(id).join(&kept.file);
    let mut documents = BsonReader::open(&path).await.map_err(Error::file(&path))?;
    loop {
        let batch = documents.batch().await.map_err(Error::file(&path))?;
        if batch.is_empty() {
            break;
        }
        db.insert_raw(&name, batch).await?;
    }
    let found = db.collection(&name).count(&Filter::All).await?;
    if found != kept.documents {
        let collection = kept.name.clone();
        return Err(Error::Miscounted { collection, expected: kept.documents, found });
    }
    db.complete_collection(&name, shape).await?;
    Ok(())
}

/// Drops collections that were loaded and not renamed.
async fn tidy(db: &Database) {
    let outcome = async {
        for name in db.collection_names().await?.iter().filter(|name| name.starts_with(LOADING)) {
            db.drop_collection(name).await?;
        }
        Ok::<_, docstore::Error>(())
    };
    if let Err(error) = outcome.await {
        tracing::warn!(%error, "failed to drop temporary collections of a restore; the next restore drops them");
    }
}
