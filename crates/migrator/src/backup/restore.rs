use std::path::Path;

use docstore::{CollectionOptions, Database, Filter, Find};
use serde::Serialize;

use super::bson_file::batches;
use super::verify::{shape_of, verify};
use super::{BackedUpCollection, BackupError, Manifest, Result};

/// What a collection is called while it is loaded.
pub(super) const LOADING: &str = "_restoring.";

/// What to put back, and whether it may take the place of what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreRequest {
    /// Whether collections that have documents are replaced.
    pub replace: bool,
    /// Only these collections of the backup; all of them if `None`.
    pub only: Option<Vec<String>>,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RestoreReport {
    /// The backup.
    pub backup: String,
    /// Where to.
    pub location: String,
    /// What is there now.
    pub collections: Vec<RestoredCollection>,
    /// Collections that had not been there when the backup was taken, and that were taken away.
    pub dropped: Vec<String>,
    /// The migration that the ledger now says is taken back; see [`crate::Migrator::restore`].
    pub rolled_back: Option<String>,
    /// Migrations that were applied since the backup and whose changes to these collections are gone.
    pub applied_since: Vec<String>,
}

/// A collection that was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RestoredCollection {
    /// Its name.
    pub name: String,
    /// Its documents now.
    pub documents: u64,
    /// Its documents before.
    pub replaced: u64,
}

/// Puts a backup back. Every sum is checked first; then everything is loaded beside what is there; then each collection
/// takes its place at once. May be repeated.
///
/// # Errors
/// [`BackupError::Damaged`], [`BackupError::NotEmpty`], [`BackupError::NoSuchCollection`]: nothing was changed. [`BackupError::Store`] while the
/// collections take their places leaves each as it was or as it is in the backup.
pub async fn restore(db: &Database, dir: &Path, id: &str, request: &RestoreRequest) -> Result<RestoreReport> {
    let manifest = verify(dir, id).await?;
    let Selection { wanted, dropped } = choose(&manifest, request)?;
    let there = db.collection_names().await?;
    let mut before = Vec::new();
    let mut in_the_way = Vec::new();
    for name in wanted.iter().map(|kept| &kept.name).chain(&dropped) {
        let count = if there.contains(name) { occupied(db, name).await? } else { 0 };
        if count > 0 {
            in_the_way.push(name.clone());
        }
        before.push(count);
    }
    if !in_the_way.is_empty() && !request.replace {
        return Err(BackupError::NotEmpty { collections: in_the_way });
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
        tracing::info!(collection = kept.name, documents = kept.documents, "a collection is restored");
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

struct Selection<'a> {
    wanted: Vec<&'a BackedUpCollection>,
    /// What was not there when the backup was taken.
    dropped: Vec<String>,
}

fn choose<'a>(manifest: &'a Manifest, request: &RestoreRequest) -> Result<Selection<'a>> {
    let Some(only) = &request.only else {
        return Ok(Selection {
            wanted: manifest.collections.iter().collect(),
            dropped: manifest.absent.clone(),
        });
    };
    let mut choice = Selection { wanted: Vec::new(), dropped: Vec::new() };
    for name in only {
        if let Some(kept) = manifest.collections.iter().find(|kept| kept.name == *name) {
            choice.wanted.push(kept);
        } else if manifest.absent.contains(name) {
            choice.dropped.push(name.clone());
        } else {
            return Err(BackupError::NoSuchCollection { id: manifest.id.clone(), collection: name.clone() });
        }
    }
    Ok(choice)
}

/// How many documents there are; a view has none of its own.
async fn occupied(db: &Database, name: &str) -> Result<u64> {
    if db.collection_options(name).await?.is_view() {
        return Ok(0);
    }
    if db.collection(name).find_one(Find::new(Filter::All)).await?.is_none() {
        return Ok(0);
    }
    Ok(db.collection(name).count(&Filter::All).await?)
}

fn loading(name: &str) -> String {
    format!("{LOADING}{name}")
}

/// Loads a collection beside the one that is there.
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
    // Of a restore that was killed.
    db.drop_collection(&name).await?;
    db.create_collection(&name, shape).await?;
    let path = dir.join(id).join(&kept.file);
    let mut incoming = batches(path.clone());
    while let Some(batch) = incoming.recv().await {
        db.insert_raw(&name, batch.map_err(BackupError::file(&path))?).await?;
    }
    let found = db.collection(&name).count(&Filter::All).await?;
    if found != kept.documents {
        let collection = kept.name.clone();
        return Err(BackupError::Miscounted { collection, expected: kept.documents, found });
    }
    db.complete_collection(&name, shape).await?;
    Ok(())
}

/// Drops what was loaded and not put into its place.
async fn tidy(db: &Database) {
    let outcome = async {
        for name in db.collection_names().await?.iter().filter(|name| name.starts_with(LOADING)) {
            db.drop_collection(name).await?;
        }
        Ok::<_, docstore::Error>(())
    };
    if let Err(error) = outcome.await {
        tracing::warn!(%error, "what a restore had loaded could not be dropped; the next restore does it");
    }
}
