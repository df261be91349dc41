use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};

use super::{READS, files, open, push_some};
use crate::cli::context::Context;
use crate::cli::output::{CliError, DRIFT, Lines as _, Output, count};
use crate::cli::progress::Progress;
use crate::domain::{Media, MediaVariant};
use crate::media::{Key, ObjectInfo, Storage, StorageError, hash_of};
use crate::repository::media_references::{self, MediaReference, MediaReferences};
use crate::repository::{self, Repository};
use crate::service;

/// The paths below `/uploads/` of files that are not as documents say.
#[derive(Default)]
struct Faults {
    missing: BTreeSet<String>,
    /// Files with other bytes, or another size.
    changed: BTreeSet<String>,
    /// The number of files whose size or hash was compared.
    compared: usize,
}

pub(super) async fn run(context: &Context, quick: bool) -> Result<Output, CliError> {
    let storage = open(&context.config.media)?;
    // The documents first: the files of an upload are written before its document.
    let references = media_references::find(&context.database).await?;
    let stored = Repository::<Media>::new(&context.database).stored_files().await;
    let stored = stored.map_err(|error: repository::Error| service::Error::from(error))?;
    let files = files(&storage).await?;

    let exists = |path: &String| Key::in_uploads(path).is_some_and(|key| files.contains_key(&key));
    let mut faults = Faults::default();
    for (path, MediaReference { others, .. }) in &references.paths {
        if !exists(path) && !others.iter().any(exists) {
            faults.missing.insert(path.clone());
        }
    }
    compare(&storage, &files, stored, quick, &mut faults).await?;

    let Faults { missing, changed, compared } = &faults;
    let line = |path: &String, what| format!("✗ /uploads/{path} {what}: {}", documents(&references, path));
    let lines: Vec<_> = missing
        .iter()
        .map(|path| line(path, "does not exist"))
        .chain(changed.iter().map(|path| line(path, "has other bytes than were stored")))
        .collect();
    let mut text = String::new();
    push_some(&mut text, &lines);
    text.push_line(format!(
        "{} of {} that documents refer to are missing; there are {}",
        missing.len(),
        count(references.paths.len(), "file"),
        count(files.len(), "file")
    ));
    let known = if quick { "size" } else { "hash" };
    text.push_line(format!("{} of {} of known {known} differ", changed.len(), count(*compared, "file")));
    Ok(Output::text(text).with_code(if lines.is_empty() { 0 } else { DRIFT }))
}

/// Compares the files of the library: their sizes, and unless `quick` their bytes.
async fn compare(
    storage: &Storage,
    files: &BTreeMap<Key, ObjectInfo>,
    stored: BTreeMap<String, MediaVariant>,
    quick: bool,
    faults: &mut Faults,
) -> Result<(), CliError> {
    let mut to_read = Vec::new();
    for MediaVariant { path, size_bytes, sha256, .. } in stored.into_values() {
        let path_in_uploads = path.strip_prefix("uploads/").unwrap_or(&path).to_owned();
        let Some(file) = Key::parse(&path).and_then(|key| files.get(&key)) else {
            faults.missing.insert(path_in_uploads);
            continue;
        };
        let is_as_long = u64::try_from(size_bytes).is_ok_and(|size| size == file.size);
        match sha256.filter(|_| !quick) {
            Some(sha256) if is_as_long => to_read.push((path_in_uploads, file, sha256)),
            sha256 => {
                faults.compared += usize::from(quick || sha256.is_some() || !is_as_long);
                faults.changed.extend((!is_as_long).then_some(path_in_uploads));
            }
        }
    }
    faults.compared += to_read.len();
    let mut progress = Progress::new("reading", to_read.iter().map(|(_, file, _)| file.size).sum());
    let mut read = stream::iter(to_read)
        .map(|(path, file, expected)| async move {
            let hash = hash_of(storage, &file.key).await;
            (path, file.size, hash.map(|hash| hash == expected))
        })
        .buffered(READS);
    while let Some((path, size, outcome)) = read.next().await {
        match outcome {
            Ok(true) => {}
            Ok(false) => faults.changed.extend([path]),
            Err(StorageError::NotFound) => faults.missing.extend([path]),
            Err(error) => return Err(error.into()),
        }
        progress.advance(size);
    }
    Ok(())
}

/// Returns the documents that refer to a path.
fn documents(references: &MediaReferences, path: &str) -> String {
    let documents = references.paths.get(path).into_iter().flat_map(|reference| &reference.documents);
    let documents: Vec<_> = documents.map(String::as_str).collect();
    documents.join(", ")
}
