use std::sync::Arc;

use super::{open, push_some};
use crate::cli::context::Context;
use crate::cli::output::{CliError, Lines as _, Output, count};
use crate::cli::progress::Progress;
use crate::clock::SystemClock;
use crate::domain::{AssetType, Media};
use crate::repository::{self, Repository};
use crate::service::{ImportPlan, ImportedGroup, MediaGroup, MediaImport};

pub(super) async fn run(context: &Context, dry_run: bool) -> Result<Output, CliError> {
    if context.store_is_missing() {
        return Err(CliError::refused(
            "there is no store that the files could enter\n  `field-notes migrate up` creates it, and so does the first start",
        ));
    }
    let storage = open(&context.config.media)?;
    if !dry_run {
        // Before the first start of a server there are none. They also keep two items from having the same content.
        repository::ensure_of::<Media>(&context.database).await.map_err(CliError::failed)?;
    }
    let import = MediaImport::new(Repository::new(&context.database), storage, Arc::new(SystemClock));
    let ImportPlan { groups, left_out } = import.plan().await?;
    let mut summary = Summary::default();
    for (key, reason) in left_out {
        summary.left_out.push(format!("{key}: {reason}"));
    }
    let mut progress = Progress::new("importing", groups.iter().map(MediaGroup::bytes).sum());
    for group in &groups {
        let imported = if dry_run { import.expect(group).await? } else { import.import(group).await? };
        summary.add(imported);
        progress.advance(group.bytes());
    }
    drop(progress);
    Ok(Output::text(summary.text(dry_run)))
}

/// The outcome for all files.
#[derive(Default)]
struct Summary {
    pictures: usize,
    videos: usize,
    /// The files of these.
    files: usize,
    /// Files that entered an item which was there.
    completed: usize,
    known: usize,
    left_out: Vec<String>,
}

impl Summary {
    fn add(&mut self, group: ImportedGroup) {
        let ImportedGroup { added, files, known, left_out } = group;
        match added {
            Some(AssetType::Image) => self.pictures += 1,
            Some(AssetType::Video) => self.videos += 1,
            None => {}
        }
        let entered = if added.is_some() { &mut self.files } else { &mut self.completed };
        *entered += files;
        self.known += known;
        self.left_out.extend(left_out.into_iter().map(|(key, reason)| format!("{key}: {reason}")));
    }

    fn text(&self, dry_run: bool) -> String {
        let (add, leave_out) = if dry_run { ("would add", "would leave out") } else { ("added", "left out") };
        let mut text = String::new();
        push_some(&mut text, &self.left_out);
        text.push_line(format!(
            "{add} {} and {} with {}; {} were in the library",
            count(self.pictures, "picture"),
            count(self.videos, "video"),
            count(self.files, "file"),
            count(self.known, "file"),
        ));
        if self.completed > 0 {
            text.push_line(format!(
                "{add} {} to pictures and videos that were there",
                count(self.completed, "file")
            ));
        }
        if !self.left_out.is_empty() {
            text.push_line(format!("{leave_out} {}", count(self.left_out.len(), "file")));
        }
        text
    }
}
