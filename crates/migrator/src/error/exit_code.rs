use super::Error;

impl Error {
    /// For migrations: says why one cannot go on. The text names no secret and no personal data.
    pub fn migration(text: impl Into<String>) -> Self {
        Self::Migration(text.into())
    }

    /// The exit code of a program that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Backup(error) => error.exit_code(),
            Self::Store(_)
            | Self::Migration(_)
            | Self::JournalFull { .. }
            | Self::Failed { .. }
            | Self::UndoFailed { .. }
            | Self::TimeLimit { .. }
            | Self::Warnings(_) => 1,
            Self::MissingEnv(_)
            | Self::UnknownId { .. }
            | Self::Ambiguous { .. }
            | Self::UnknownRun { .. }
            | Self::NotInContext { .. }
            | Self::WrongState { .. }
            | Self::ReasonRequired => 2,
            Self::Pending(_) => 3,
            Self::NeedsRepair { .. }
            | Self::DecisionRequired { .. }
            | Self::Malformed { .. }
            | Self::NewerFormat { .. }
            | Self::ImportContradiction { .. } => 4,
            Self::Locked { .. } | Self::LockHeld { .. } | Self::LeaseLost => 5,
            Self::ProgramTooOld(_) => 6,
            Self::Graph(_) | Self::OutOfOrder { .. } | Self::StepNotTransactional { .. } => 7,
            Self::ImportUnknown { .. }
            | Self::ModeUnavailable { .. }
            | Self::DataLoss { .. }
            | Self::ConfirmationRequired { .. }
            | Self::ResetRefused { .. }
            | Self::MissingDependencies { .. }
            | Self::RequiredByApplied { .. }
            | Self::Irreversible { .. }
            | Self::UnknownDependents { .. } => 8,
            Self::Interrupted { .. } => 130,
        }
    }

    /// What went wrong, and what that came from, the first cause last.
    pub(crate) fn chain(&self) -> Vec<String> {
        let mut texts = vec![self.to_string()];
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            let text = error.to_string();
            // What only passes a text on says nothing more.
            if texts.last() != Some(&text) {
                texts.push(text);
            }
            next = error.source();
        }
        texts
    }

    /// Whether the same batch, begun anew, may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            // An ended transaction took nothing with it: it ran into its time limit.
            Self::Store(error) => {
                error.is_transient() || matches!(error.root(), docstore::Error::TransactionEnded(_))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MissingEnv, StepCounts};

    #[test]
    fn a_failure_says_what_was_committed_and_what_to_run() {
        let mut counts = StepCounts::new("seed", "sections");
        counts.inserted = 2;
        let error = Error::Failed {
            id: "0003_seed".into(),
            step: Some("seed".into()),
            counts: vec![counts],
            source: Box::new(Error::migration("no slug")),
        };
        assert_eq!(error.exit_code(), 1);
        assert_eq!(
            error.to_string(),
            "0003_seed failed in step \"seed\": no slug\n  it had committed:\n    seed (sections): 2 inserted\n  remove the \
             cause, then run `field-notes migrate up` to go on, or `field-notes migrate down` to take back what it did"
        );
    }

    #[test]
    fn every_missing_variable_is_named_with_who_needs_it() {
        let missing = |variable: &str, migration: &str| MissingEnv {
            variable: variable.into(),
            migration: migration.into(),
        };
        let error = Error::MissingEnv(vec![missing("A", "0001_a"), missing("B", "0002_b")]);
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        for word in ["0001_a needs A", "0002_b needs B", ".env", "field-notes migrate up"] {
            assert!(text.contains(word), "{text}");
        }
    }
}
