use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use clap::Subcommand;
use futures_util::TryStreamExt as _;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::age::age;
use super::context::{AccessMode, Context};
use super::output::{CliError, DRIFT, Lines as _, Output, count, print_error, size};
use super::progress::Progress;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::media::{Key, Location, ObjectInfo, Storage, StorageError, StorageSettings};
use crate::repository::media_references::{self, MediaReferences};

/// The number of files that are listed; the others are counted.
const MAX_SHOWN: usize = 50;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Copy all files to another storage, and compare each copy
    ///
    /// Examples:
    ///   field-notes media copy --to s3://bucket/prefix --dry-run
    ///   field-notes media copy --to file:///srv/media
    ///
    /// A run that was stopped is resumed by the next one: files that the other storage has with the same size, and not
    /// older, are left out. Credentials come from the same variables as those of MEDIA_URL.
    #[command(verbatim_doc_comment)]
    Copy {
        /// Place to copy to, as in MEDIA_URL
        #[arg(long, value_name = "URL", value_parser = Location::parse)]
        to: Location,
        /// Print what would be copied, and copy nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Find files that no document refers to, and delete them with --yes
    ///
    /// Examples:
    ///   field-notes media gc --older-than 30d
    ///   field-notes media gc --older-than 90d --yes
    ///
    /// All variants of a picture or video stay as long as a document of any collection refers to one of them: content, also
    /// in the trash, and the library of uploads. What is left comes from uploads that were cut off, or from other programs.
    #[command(verbatim_doc_comment)]
    Gc {
        /// Minimum time since a file was written: a number and s, m, h, d or w, as in 30d
        #[arg(long, value_name = "AGE", value_parser = age)]
        older_than: TimeDelta,
        /// Delete them
        #[arg(long)]
        yes: bool,
    },
    /// Check that every file that a document refers to exists; exit with 6 if one is missing
    ///
    /// Examples:
    ///   field-notes media verify
    #[command(verbatim_doc_comment)]
    Verify,
}

pub(super) async fn run(verb: Verb, config: Config) -> Result<Output, CliError> {
    match verb {
        Verb::Copy { to, dry_run } => copy(&config.media, to, dry_run).await,
        Verb::Gc { older_than, yes } => {
            Context::with(config, AccessMode::Read, false, async |context| gc(context, older_than, yes).await)
                .await
        }
        Verb::Verify => Context::with(config, AccessMode::Read, false, verify).await,
    }
}

impl From<StorageError> for CliError {
    fn from(error: StorageError) -> Self {
        Self::failed(error)
    }
}

fn open(settings: &StorageSettings) -> Result<Storage, CliError> {
    let storage = Storage::open(settings)?;
    print_error(&format!("media: {}", storage.location()));
    Ok(storage)
}

/// Returns all files by name.
async fn files(storage: &Storage) -> Result<BTreeMap<Key, ObjectInfo>, CliError> {
    let listed = storage.list(None).map_ok(|info| (info.key.clone(), info));
    Ok(listed.try_collect().await?)
}

async fn copy(from: &StorageSettings, to: Location, dry_run: bool) -> Result<Output, CliError> {
    if from.location == to {
        return Err(CliError::usage("the files are there already: --to is the place of MEDIA_URL"));
    }
    let source = open(from)?;
    let target = Storage::open(&StorageSettings { location: to, options: from.options.clone() })?;
    let (all, there) = (files(&source).await?, files(&target).await?);
    let is_there = |info: &&ObjectInfo| {
        there.get(&info.key).is_some_and(|copy| copy.size == info.size && copy.modified >= info.modified)
    };
    let (present, missing): (Vec<_>, Vec<_>) = all.values().partition(is_there);
    let bytes: u64 = missing.iter().map(|info| info.size).sum();
    if dry_run {
        let (files, present) = (count(missing.len(), "file"), count(present.len(), "file"));
        return Ok(Output::text(format!("would copy {files} ({}); {present} are there\n", size(bytes))));
    }
    let mut progress = Progress::new("copying", bytes);
    for info in &missing {
        copy_one(&source, &target, &info.key).await?;
        progress.advance(info.size);
    }
    drop(progress);
    Ok(Output::text(format!(
        "copied {} ({}), each compared with its copy; {} were there\n",
        count(missing.len(), "file"),
        size(bytes),
        count(present.len(), "file")
    )))
}

/// Copies a file, reads the copy, and compares both.
async fn copy_one(source: &Storage, target: &Storage, key: &Key) -> Result<(), CliError> {
    let digest = Arc::new(Mutex::new(Sha256::new()));
    let object = source.get(key).await?;
    let hasher = Arc::clone(&digest);
    let body = object.body.inspect_ok(move |bytes| hasher.lock().update(bytes));
    target.put_stream(key, Box::pin(body)).await?;
    let mut copy = Sha256::new();
    let mut body = target.get(key).await?.body;
    while let Some(bytes) = body.try_next().await? {
        copy.update(&bytes);
    }
    if std::mem::take(&mut *digest.lock()).finalize() != copy.finalize() {
        return Err(CliError::failed(format!("{key} differs from its copy; run the command again")));
    }
    Ok(())
}

/// Returns the names of all files that belong to one that a document refers to.
fn in_use<'a>(files: &'a BTreeMap<Key, ObjectInfo>, references: &MediaReferences) -> BTreeSet<&'a Key> {
    let named: BTreeSet<Key> = references.keys().filter_map(|path| Key::in_uploads(path)).collect();
    let ids: BTreeSet<_> = named.iter().filter_map(Key::id).collect();
    let variants: BTreeSet<Key> = named.iter().flat_map(|key| key.for_width(0)).collect();
    let is_used = |key: &&Key| {
        named.contains(*key) || variants.contains(*key) || key.id().is_some_and(|id| ids.contains(&id))
    };
    files.keys().filter(is_used).collect()
}

async fn gc(context: &Context, older_than: TimeDelta, yes: bool) -> Result<Output, CliError> {
    if context.store_is_missing() {
        return Err(CliError::refused("there is no store whose documents could refer to the files"));
    }
    let storage = open(&context.config.media)?;
    // The files first: one that is uploaded meanwhile is not among them.
    let files = files(&storage).await?;
    let references = media_references::find(&context.database).await?;
    let used = in_use(&files, &references);
    let limit = SystemClock.now() - older_than;
    let unused: Vec<_> =
        files.values().filter(|info| !used.contains(&info.key) && info.modified <= limit).collect();
    let bytes = size(unused.iter().map(|info| info.size).sum());
    let mut text = String::new();
    text.push_lines(unused.iter().take(MAX_SHOWN).map(|info| format!("{} {}", info.key, size(info.size))));
    if unused.len() > MAX_SHOWN {
        text.push_line(format!("and {} more", unused.len() - MAX_SHOWN));
    }
    let found = count(unused.len(), "file");
    if !yes {
        let hint = if unused.is_empty() { "" } else { "\n  add --yes to delete them" };
        text.push_line(format!("would delete {found} ({bytes}) that no document refers to{hint}"));
        return Ok(Output::text(text));
    }
    // As with the wrong database.
    if references.is_empty() && !unused.is_empty() {
        return Err(CliError::refused(format!(
            "no document refers to any of {found}; nothing was deleted\n  check that this is the store of these files"
        )));
    }
    let mut progress = Progress::new("deleting", unused.len() as u64);
    for info in &unused {
        storage.delete(&info.key).await?;
        progress.advance(1);
    }
    drop(progress);
    text.push_line(format!("deleted {found} ({bytes})"));
    Ok(Output::text(text))
}

async fn verify(context: &Context) -> Result<Output, CliError> {
    let storage = open(&context.config.media)?;
    let files = files(&storage).await?;
    let references = media_references::find(&context.database).await?;
    let is_missing = |path: &&String| Key::in_uploads(path).is_none_or(|key| !files.contains_key(&key));
    let missing: Vec<_> = references.keys().filter(is_missing).collect();
    let mut text = String::new();
    for path in missing.iter().take(MAX_SHOWN) {
        let documents: Vec<_> = references[*path].iter().map(String::as_str).collect();
        text.push_line(format!("✗ /uploads/{path} does not exist: {}", documents.join(", ")));
    }
    if missing.len() > MAX_SHOWN {
        text.push_line(format!("and {} more", missing.len() - MAX_SHOWN));
    }
    text.push_line(format!(
        "{} of {} that documents refer to are missing; there are {}",
        missing.len(),
        count(references.len(), "file"),
        count(files.len(), "file")
    ));
    Ok(Output::text(text).with_code(if missing.is_empty() { 0 } else { DRIFT }))
}
