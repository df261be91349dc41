use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use bson::Document;
use docstore::CollectionOptions;
use sha2::{Digest, Sha256};

use super::bson_file::BsonReader;
use super::folder::{MANIFEST, SUMS, read_manifest};
use super::{BackedUpCollection, Manifest};
use crate::{Error, Result};

/// Verifies every byte of a backup against its checksums.
///
/// # Errors
/// [`Error::BackupDamaged`] naming the file; [`Error::BackupNotFound`], [`Error::NewerBackup`].
pub async fn verify(dir: &Path, id: &str) -> Result<Manifest> {
    let manifest = read_manifest(dir, id)?;
    let damaged = |what: String| Error::BackupDamaged { id: id.into(), what };
    let folder = dir.join(id);
    let read = |name: &str| fs::read(folder.join(name)).map_err(|error| damaged(format!("{name}: {error}")));
    let sums = read(SUMS)?;
    let sums = String::from_utf8_lossy(&sums);
    let sums: BTreeMap<&str, &str> =
        sums.lines().filter_map(|line| line.split_once("  ")).map(|(sum, name)| (name, sum)).collect();
    let agrees = |name: &str, sum: &str| {
        if sums.get(name) == Some(&sum) {
            Ok(())
        } else {
            Err(damaged(format!("{name} does not match its checksum")))
        }
    };
    agrees(MANIFEST, &hex::encode(Sha256::digest(read(MANIFEST)?)))?;
    for kept in &manifest.collections {
        let shape_sum = hex::encode(Sha256::digest(read(&kept.shape_file)?));
        agrees(&kept.shape_file, &shape_sum)?;
        let sum = sum_of_documents(&folder, kept).await.map_err(damaged)?;
        agrees(&kept.file, &sum)?;
        if sum != kept.sha256 || shape_sum != kept.shape_sha256 {
            return Err(damaged(format!("the checksums of {} in the manifest and {SUMS} differ", kept.name)));
        }
    }
    Ok(manifest)
}

async fn sum_of_documents(folder: &Path, kept: &BackedUpCollection) -> Result<String, String> {
    let failed = |error: io::Error| format!("{}: {error}", kept.file);
    let mut file = BsonReader::open(&folder.join(&kept.file)).await.map_err(failed)?;
    while file.next().await.map_err(failed)?.is_some() {}
    if (file.documents, file.bytes) != (kept.documents, kept.bytes) {
        return Err(format!(
            "{} has {} documents of {} bytes instead of {} of {}",
            kept.file, file.documents, file.bytes, kept.documents, kept.bytes
        ));
    }
    Ok(file.sum())
}

/// The shape of a collection in a backup that was checked.
pub(super) fn shape_of(folder: &Path, id: &str, kept: &BackedUpCollection) -> Result<CollectionOptions> {
    let path = folder.join(&kept.shape_file);
    let bytes = fs::read(&path).map_err(Error::file(&path))?;
    let damaged =
        |what: String| Error::BackupDamaged { id: id.into(), what: format!("{}: {what}", kept.shape_file) };
    let document: Document =
        bson::deserialize_from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    CollectionOptions::from_document(&document).map_err(|error| damaged(error.to_string()))
}
