use bson::DateTime;

use super::progress::Progress;
use crate::journal::JournalWriter;
use crate::{Error, Meta, Mode, Result, StepCounts};

/// What one attempt at a migration did so far.
pub(crate) struct Attempt {
    pub(crate) migration: String,
    pub(crate) counts: Vec<StepCounts>,
    pub(crate) warnings: Vec<String>,
    /// The step at hand, for the error.
    pub(crate) step: Option<String>,
    /// How its writes are made. Without transactions `Transaction` has become `Idempotent`.
    pub(crate) mode: Mode,
    /// Whether what it changes is written down.
    pub(crate) journal: bool,
    /// How far the steps have come, for whoever resumes it.
    pub(crate) progress: Progress,
    /// Writes the journal.
    pub(crate) writer: JournalWriter,
    /// What earlier attempts left in the journal: the last number, and the bytes.
    pub(crate) found: (i64, i64),
    /// How many documents a migration that is one transaction has taken on so far.
    pub(crate) within: u64,
    used: Vec<String>,
    now: DateTime,
    /// What the attempt began with.
    before: (Vec<StepCounts>, Progress),
}

impl Attempt {
    /// Begins with what earlier attempts have counted, and where they stopped.
    pub(crate) fn new(meta: &Meta, counts: Vec<StepCounts>, progress: Progress, now: DateTime) -> Self {
        Self {
            migration: meta.id.into(),
            before: (counts.clone(), progress.clone()),
            counts,
            warnings: Vec::new(),
            step: None,
            mode: meta.mode,
            journal: meta.journal,
            progress,
            writer: JournalWriter::default(),
            found: (0, 0),
            within: 0,
            used: Vec::new(),
            now,
        }
    }

    /// One that only looks: it goes on from nothing.
    pub(crate) fn looking(meta: &Meta, now: DateTime) -> Self {
        Self::new(meta, Vec::new(), Progress::default(), now)
    }

    /// Begins an undo that is code: step by step, and nothing is written down of it.
    pub(crate) fn undoing(meta: &Meta, counts: Vec<StepCounts>, now: DateTime) -> Self {
        let begun = Self::new(meta, counts, Progress::default(), now);
        Self { mode: Mode::Idempotent, journal: false, ..begun }
    }

    /// The time of this attempt.
    pub(crate) fn now(&self) -> DateTime {
        self.now
    }

    /// Whether there may be entries of an earlier attempt in the journal.
    pub(crate) fn is_resumed(&self) -> bool {
        self.found.0 > 0
    }

    /// Forgets all, since nothing of it was committed.
    pub(crate) fn restart(&mut self) {
        (self.counts, self.progress) = self.before.clone();
        self.writer = JournalWriter::after(self.found);
        self.within = 0;
        self.warnings.clear();
        self.used.clear();
        self.step = None;
    }

    /// Begins a step: the place of its counts.
    pub(crate) fn begin(&mut self, step: &str, collection: &str) -> Result<usize> {
        self.step = Some(step.to_owned());
        if self.used.iter().any(|used| used == step) {
            return Err(Error::migration(format!("the step name {step:?} is used twice")));
        }
        self.used.push(step.to_owned());
        let known = self.counts.iter().position(|c| c.step == step && c.collection == collection);
        Ok(known.unwrap_or_else(|| {
            self.counts.push(StepCounts::new(step, collection));
            self.counts.len() - 1
        }))
    }

    /// Ends the step at hand.
    pub(crate) fn end(&mut self) {
        self.step = None;
    }
}
