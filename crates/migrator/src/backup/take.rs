use std::fmt::Write as _;
use std::path::Path;

use bson::DateTime;
use docstore::{Database, Field, Filter, Find, Sort, Topology};

use super::bson_file::BsonWriter;
use super::folder::{FORMAT, MANIFEST, PartialBackup, SUMS, new_id};
use super::restore::LOADING;
use super::{BackedUpCollection, Manifest};
use crate::ledger::LOCK;
use crate::{Error, Result};

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

/// Takes a backup into a new folder below `dir`, which is created if necessary. The store is only read: an embedded one as
/// it is at this moment, a MongoDB database one collection after the other, beside the writes of others.
///
/// # Errors
/// [`Error::DiskFull`], [`Error::BackupTooLarge`], [`Error::Store`], …: the partial backup is deleted.
pub async fn take(db: &Database, dir: &Path, request: &TakeRequest) -> Result<Manifest> {
    match write_backup(&db.snapshot().await?, dir, request).await {
        // The folder is more useful in the message than one file in it.
        Err(Error::DiskFull { .. }) => Err(Error::DiskFull { path: dir.to_owned() }),
        outcome => outcome,
    }
}

async fn write_backup(db: &Database, dir: &Path, request: &TakeRequest) -> Result<Manifest> {
    let mut manifest = begin(db, request).await?;
    let there = db.collection_names().await?;
    let mut wanted = request.collections.clone().unwrap_or_else(|| there.clone());
    wanted.retain(|name| name != LOCK && !name.starts_with(LOADING));
    wanted.sort_unstable();
    wanted.dedup();

    let partial = PartialBackup::begin(dir, &manifest.id)?;
    let mut sums = String::new();
    for (at, name) in wanted.iter().enumerate() {
        if !there.contains(name) {
            manifest.absent.push(name.clone());
            continue;
        }
        let limit = request.cap_bytes.map(|cap| (cap, manifest.bytes));
        let kept = keep(db, &partial, at + 1, name, limit).await?;
        let BackedUpCollection { sha256, file, shape_sha256, shape_file, .. } = &kept;
        let _ = write!(sums, "{sha256}  {file}\n{shape_sha256}  {shape_file}\n");
        manifest.documents += kept.documents;
        manifest.bytes += kept.bytes;
        manifest.collections.push(kept);
    }
    let text = serde_json::to_vec_pretty(&manifest).expect("a manifest has string keys");
    let sum = write_file(&partial, MANIFEST, &text).await?;
    write_file(&partial, SUMS, format!("{sums}{sum}  {MANIFEST}\n").as_bytes()).await?;
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

/// Writes one collection: its shape first, then its documents. `limit` is the limit in bytes, and the bytes written so far.
async fn keep(
    db: &Database,
    partial: &PartialBackup,
    number: usize,
    name: &str,
    limit: Option<(u64, u64)>,
) -> Result<BackedUpCollection> {
    let shape = db.collection_options(name).await?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let stem = format!("{number:04}-{}", name.chars().take(80).map(plain).collect::<String>());
    let (file, shape_file) = (format!("{stem}.bson"), format!("{stem}.shape.bson"));
    let encoded = bson::serialize_to_vec(&shape.to_document()).expect("a definition is made of BSON values");
    let shape_sha256 = write_file(partial, &shape_file, &encoded).await?;

    let path = partial.path().join(&file);
    let mut sink = BsonWriter::create(&path).await.map_err(Error::file(&path))?;
    if !shape.is_view() {
        let read = Find::new(Filter::All).sort(Sort::ascending(Field::ID));
        let mut cursor = db.collection(name).find(read).await?;
        while let Some(document) = cursor.next_raw().await? {
            sink.write(document.as_bytes()).await.map_err(Error::file(&path))?;
            if let Some((cap, before)) = limit
                && before + sink.bytes > cap
            {
                return Err(Error::BackupTooLarge { cap, collection: name.to_owned() });
            }
        }
    }
    let (documents, bytes) = (sink.documents, sink.bytes);
    let sha256 = sink.finish().await.map_err(Error::file(&path))?;
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

/// Writes a file and flushes it to disk. Returns its checksum.
async fn write_file(partial: &PartialBackup, name: &str, bytes: &[u8]) -> Result<String> {
    let path = partial.path().join(name);
    let written = async {
        let mut file = BsonWriter::create(&path).await?;
        file.write(bytes).await?;
        file.finish().await
    };
    written.await.map_err(Error::file(&path))
}
