use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::{files, open, push_some};
use crate::cli::context::Context;
use crate::cli::output::{CliError, Lines as _, Output, count, size};
use crate::cli::progress::Progress;
use crate::clock::{Clock as _, SystemClock};
use crate::media::{Key, ObjectInfo};
use crate::repository::media_references::{self, MediaReferences};

pub(super) async fn run(context: &Context, older_than: TimeDelta, yes: bool) -> Result<Output, CliError> {
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
    let lines: Vec<_> = unused.iter().map(|info| format!("{} {}", info.key, size(info.size))).collect();
    push_some(&mut text, &lines);
    let found = count(unused.len(), "file");
    if !yes {
        let hint = if unused.is_empty() { "" } else { "\n  add --yes to delete them" };
        text.push_line(format!("would delete {found} ({bytes}) that no document refers to{hint}"));
        return Ok(Output::text(text));
    }
    // As with the wrong database.
    if used.is_empty() && !unused.is_empty() {
        return Err(CliError::refused(
            "no document refers to any file; nothing was deleted\n  check that this is the store of these files",
        ));
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

/// Returns the names of all files that belong to one that a document refers to.
fn in_use<'a>(files: &'a BTreeMap<Key, ObjectInfo>, references: &MediaReferences) -> BTreeSet<&'a Key> {
    let others = references.paths.values().flat_map(|reference| &reference.others);
    let paths = references.paths.keys().chain(others);
    let named: BTreeSet<Key> = paths.filter_map(|path| Key::in_uploads(path)).collect();
    let variants: BTreeSet<Key> = named.iter().flat_map(|key| key.for_width(0)).collect();
    let is_used = |key: &&Key| {
        named.contains(*key)
            || variants.contains(*key)
            || key.id().is_some_and(|id| references.ids.contains(id.as_str()))
    };
    files.keys().filter(is_used).collect()
}
