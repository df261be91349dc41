use std::sync::Arc;

use futures_util::TryStreamExt as _;
use parking_lot::Mutex;

use super::{files, open};
use crate::cli::output::{CliError, Output, count, size};
use crate::cli::progress::Progress;
use crate::media::{FileHasher, Key, Location, ObjectInfo, Storage, StorageSettings, hash_of};

pub(super) async fn run(from: &StorageSettings, to: Location, dry_run: bool) -> Result<Output, CliError> {
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
    let hasher = Arc::new(Mutex::new(FileHasher::default()));
    let object = source.get(key).await?;
    let while_copying = Arc::clone(&hasher);
    let body = object.body.inspect_ok(move |bytes| while_copying.lock().update(bytes));
    target.put_stream(key, Box::pin(body)).await?;
    let copied = hash_of(target, key).await?;
    if std::mem::take(&mut *hasher.lock()).finish() != copied {
        return Err(CliError::failed(format!("{key} differs from its copy; run the command again")));
    }
    Ok(())
}
