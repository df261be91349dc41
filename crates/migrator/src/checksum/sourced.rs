use async_trait::async_trait;

use crate::step::Step;
use crate::{Check, Finding, Meta, Migration, Reference, Result, Undo, UndoImported, Up};

/// A migration with the text of its source file, which its checksum covers. Every method is delegated.
pub struct Sourced<M> {
    migration: M,
    source: &'static str,
}

impl<M: Migration> Sourced<M> {
    /// Wraps a migration; `source` is the `include_str!` of its file.
    pub const fn new(migration: M, source: &'static str) -> Self {
        Self { migration, source }
    }
}

#[async_trait]
impl<M: Migration> Migration for Sourced<M> {
    fn meta(&self) -> &'static Meta {
        self.migration.meta()
    }

    fn source(&self) -> Option<&'static str> {
        Some(self.source)
    }

    fn steps(&self) -> Vec<Step> {
        self.migration.steps()
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        self.migration.up(cx).await
    }

    fn undo(&self) -> Undo {
        self.migration.undo()
    }

    fn references(&self) -> &'static [Reference] {
        self.migration.references()
    }

    async fn down(&self, cx: &mut Up<'_>) -> Result<()> {
        self.migration.down(cx).await
    }

    async fn undo_imported(&self, cx: &mut UndoImported<'_>) -> Result<()> {
        self.migration.undo_imported(cx).await
    }

    async fn check(&self, cx: &Check<'_>) -> Result<Vec<Finding>> {
        self.migration.check(cx).await
    }
}

#[cfg(test)]
mod tests {
    /// Returns the names of the functions in the block after a mark.
    fn functions(source: &str, from: &str) -> Vec<String> {
        let (_, after) = source.split_once(from).unwrap();
        let end = after.find("\n}\n").unwrap();
        let names = after[..end].lines().filter_map(|line| line.split_once("fn ")?.1.split('(').next());
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    }

    /// A method with a default body that is not delegated would silently be the default.
    #[test]
    fn every_method_is_delegated() {
        let declared = functions(include_str!("../migration.rs"), "pub trait Migration");
        assert!(declared.len() > 5);
        for (source, from) in [
            (include_str!("sourced.rs"), "Migration for Sourced<M>"),
            (include_str!("../graph/guarded.rs"), "Migration for Guarded"),
        ] {
            assert_eq!(functions(source, from), declared, "{from}");
        }
    }
}
