use std::path::Path;

use bson::{DateTime, RawDocumentBuf};
use docstore::{Database, Field, Filter, Find, Sort, Topology};

use super::bson_file::{BsonWriter, ChecksumWriter, WrittenFile};
use super::folder::{MANIFEST, PartialBackup, SUMS, new_id};
use super::manifest::FORMAT;
use super::restore::LOADING;
use super::{BackedUpCollection, BackupError, Manifest, Result};
use crate::ledger::LOCK;
use crate::raw_batch::RawBatch;

/// The parameters of a backup.
#[derive(Debug, Clone)]
pub struct TakeRequest {
    /// The collections; all if `None`. The collection of the lease is always excluded.
    pub collections: Option<Vec<String>>,
    /// The reason, one sentence.
    pub why: String,
    /// The run that it is taken for.
    pub run_id: Option<String>,
    /// The migration that it is taken for.
    pub migration: Option<String>,
    /// The version of the program.
    pub app_version: String,
    /// The current time.
    pub now: DateTime,
    /// The limit in bytes of documents.
    pub cap_bytes: Option<u64>,
}

/// Takes a backup into a new folder below `dir`, which is created if necessary. The store is only read.
///
/// # Errors
/// [`BackupError::DiskFull`], [`BackupError::TooLarge`], [`BackupError::Store`], …: the partial backup is deleted.
pub async fn take(db: &Database, dir: &Path, request: &TakeRequest) -> Result<Manifest> {
    let mut manifest = begin(db, request).await?;
    let there = db.collection_names().await?;
    let mut wanted = request.collections.clone().unwrap_or_else(|| there.clone());
    wanted.retain(|name| name != LOCK && !name.starts_with(LOADING));
    wanted.sort_unstable();
    wanted.dedup();

    let partial = PartialBackup::begin(dir, &manifest.id)?;
    let mut sums = Vec::new();
    for (at, name) in wanted.iter().enumerate() {
        if !there.contains(name) {
            manifest.absent.push(name.clone());
            continue;
        }
        let left = request.cap_bytes.map(|cap| cap.saturating_sub(manifest.bytes));
        let kept = match keep(db, &partial, at + 1, name, left).await {
            Err(BackupError::TooLarge { collection, .. }) => {
                let cap = request.cap_bytes.unwrap_or(u64::MAX);
                return Err(BackupError::TooLarge { cap, collection });
            }
            // The folder is more useful in the message than one file in it.
            Err(BackupError::DiskFull { .. }) => return Err(BackupError::DiskFull { path: dir.to_owned() }),
            other => other?,
        };
        sums.push((kept.sha256.clone(), kept.file.clone()));
        sums.push((kept.shape_sha256.clone(), kept.shape_file.clone()));
        manifest.documents += kept.documents;
        manifest.bytes += kept.bytes;
        manifest.collections.push(kept);
    }
    seal(&partial, &manifest, sums).map_err(|error| match error {
        BackupError::DiskFull { .. } => BackupError::DiskFull { path: dir.to_owned() },
        other => other,
    })?;
    partial.complete()?;
    tracing::info!(
        backup = manifest.id,
        collections = manifest.collections.len(),
        documents = manifest.documents,
        bytes = manifest.bytes,
        "took a backup"
    );
    Ok(manifest)
}

/// Writes the manifest and the checksums.
fn seal(partial: &PartialBackup, manifest: &Manifest, mut sums: Vec<(String, String)>) -> Result<()> {
    let text = serde_json::to_vec_pretty(manifest).map_err(|error| BackupError::File {
        path: partial.path().join(MANIFEST),
        source: std::io::Error::other(error),
    })?;
    sums.push((write(partial, MANIFEST, &text)?.1, MANIFEST.to_owned()));
    let lines: Vec<_> = sums.iter().map(|(sum, file)| format!("{sum}  {file}\n")).collect();
    write(partial, SUMS, lines.concat().as_bytes())?;
    Ok(())
}

/// Returns the manifest before anything is read.
async fn begin(db: &Database, request: &TakeRequest) -> Result<Manifest> {
    let facts = db.facts().await?;
    Ok(Manifest {
        format: FORMAT,
        id: new_id(request.now),
        taken_at: request.now.try_to_rfc3339_string().unwrap_or_default(),
        why: request.why.clone(),
        run_id: request.run_id.clone(),
        migration: request.migration.clone(),
        app_version: request.app_version.clone(),
        engine: facts.engine.to_string(),
        server_version: facts.version,
        topology: match facts.topology {
            Topology::File => "file".into(),
            Topology::Standalone => "standalone".into(),
            Topology::ReplicaSet(name) => format!("replica set {name}"),
            Topology::Sharded => "sharded cluster".into(),
        },
        location: db.location(),
        database: db.name(),
        collections: Vec::new(),
        absent: Vec::new(),
        documents: 0,
        bytes: 0,
    })
}

/// Writes one collection: its shape first, then its documents.
async fn keep(
    db: &Database,
    partial: &PartialBackup,
    number: usize,
    name: &str,
    left: Option<u64>,
) -> Result<BackedUpCollection> {
    let shape = db.collection_options(name).await?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let stem = format!("{number:04}-{}", name.chars().take(80).map(plain).collect::<String>());
    let (file, shape_file) = (format!("{stem}.bson"), format!("{stem}.shape.bson"));
    let words = RawDocumentBuf::try_from(&shape.to_document()).map_err(|error| BackupError::File {
        path: partial.path().join(&shape_file),
        source: std::io::Error::other(error),
    })?;
    let (_, shape_sha256) = write(partial, &shape_file, words.as_bytes())?;

    let path = partial.path().join(&file);
    let sink = BsonWriter::create(path.clone());
    let filled = if shape.is_view() { Ok(()) } else { fill(db, &sink, name, left).await };
    let written = sink.finish().await.map_err(BackupError::file(&path));
    // An error of the disk is the cause of an error of the pipe, so it is reported first.
    let WrittenFile { documents, bytes, sha256 } = written?;
    filled?;
    Ok(BackedUpCollection {
        name: name.to_owned(),
        documents,
        bytes,
        file,
        sha256,
        shape_file,
        shape_sha256,
        indexes: shape.indexes.iter().map(ToString::to_string).collect(),
        validator: shape.validator().map(ToString::to_string),
    })
}

async fn fill(db: &Database, sink: &BsonWriter, name: &str, left: Option<u64>) -> Result<()> {
    let read = Find::new(Filter::All).sort(Sort::ascending(Field::ID));
    let mut documents = db.collection(name).find(read).await?;
    let (mut batch, mut total) = (RawBatch::default(), 0_u64);
    while let Some(document) = documents.next_raw().await? {
        total += document.as_bytes().len() as u64;
        if left.is_some_and(|left| total > left) {
            return Err(BackupError::TooLarge { cap: 0, collection: name.to_owned() });
        }
        batch.push(document);
        if batch.is_full() && !sink.put(batch.take()).await {
            return Ok(());
        }
    }
    sink.put(batch.take()).await;
    Ok(())
}

fn write(partial: &PartialBackup, name: &str, bytes: &[u8]) -> Result<(u64, String)> {
    let path = partial.path().join(name);
    let written = ChecksumWriter::create(&path).and_then(|mut file| {
        file.write(bytes)?;
        file.finish()
    });
    written.map_err(BackupError::file(&path))
}
