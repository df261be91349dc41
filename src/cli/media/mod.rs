//! The files of pictures and videos.

/// `media copy`.
mod copy;
/// `media gc`.
mod gc;
/// `media import`.
mod import;
/// `media verify`.
mod verify;

use std::collections::BTreeMap;
use std::fmt::Display;

use chrono::TimeDelta;
use clap::Subcommand;
use futures_util::TryStreamExt as _;

use super::age::age;
use super::context::{AccessMode, Context};
use super::output::{CliError, Lines, Output, print_error};
use crate::config::Config;
use crate::media::{Key, Location, ObjectInfo, Storage, StorageError, StorageSettings};

/// The number of files that are listed; the others are counted.
const MAX_SHOWN: usize = 50;
/// The number of files that are read at the same time.
const READS: usize = 4;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Bring files that are stored already into the library
    ///
    /// Examples:
    ///   field-notes media import --dry-run
    ///   field-notes media import
    ///
    /// Files with the same id in their names become one picture or video, with its size, duration, hashes and date, and without
    /// an uploader. Those that cannot enter the library are listed with the reason, and stay as they are. A run that was stopped
    /// is resumed by the next one: only files that the library does not have are read. --dry-run reads names alone.
    #[command(verbatim_doc_comment)]
    Import {
        /// Print what would be imported, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
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
    /// Check that every file that a document refers to exists and has its bytes; exit with 6 otherwise
    ///
    /// Examples:
    ///   field-notes media verify
    ///   field-notes media verify --quick
    ///
    /// The bytes are compared with the hashes in the library. Other files must exist.
    #[command(verbatim_doc_comment)]
    Verify {
        /// Compare sizes alone, and read no file
        #[arg(long)]
        quick: bool,
    },
}

pub(super) async fn run(verb: Verb, config: Config) -> Result<Output, CliError> {
    match verb {
        Verb::Import { dry_run } => {
            let access = if dry_run { AccessMode::Read } else { AccessMode::Write };
            let work = async |context: &Context| import::run(context, dry_run).await;
            Box::pin(Context::with(config, access, false, work)).await
        }
        Verb::Copy { to, dry_run } => copy::run(&config.media, to, dry_run).await,
        Verb::Gc { older_than, yes } => {
            let work = async |context: &Context| gc::run(context, older_than, yes).await;
            Context::with(config, AccessMode::Read, false, work).await
        }
        Verb::Verify { quick } => {
            let work = async |context: &Context| verify::run(context, quick).await;
            Context::with(config, AccessMode::Read, false, work).await
        }
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

/// Writes the first lines, and the number of the others.
fn push_some(text: &mut String, lines: &[impl Display]) {
    text.push_lines(lines.iter().take(MAX_SHOWN));
    if lines.len() > MAX_SHOWN {
        text.push_line(format!("and {} more", lines.len() - MAX_SHOWN));
    }
}
