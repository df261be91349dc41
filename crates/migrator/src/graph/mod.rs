/// A graph without its migrations.
mod dag;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::fmt;

pub(crate) use dag::{Dag, NodeSpec};

use crate::Migration;

/// Migrations in an order in which every one comes after those it depends on; among equals, by id.
pub struct Graph {
    migrations: Vec<Box<dyn Migration>>,
    dag: Dag,
}

/// Why a list of migrations is no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// An id is not of the form `NNNN_lower_case_name`.
    #[error(
        "{0:?} is no migration id: four digits, an underscore, then lower-case letters, digits and underscores"
    )]
    BadId(String),
    /// Two migrations have the same id.
    #[error("two migrations are called {0}")]
    Duplicate(String),
    /// A dependency that is not in the list.
    #[error("{migration} depends on {dependency}, which does not exist")]
    Unknown {
        /// The migration that names it.
        migration: String,
        /// What it names.
        dependency: String,
    },
    /// Migrations that depend on each other; the first is named again at the end.
    #[error("migrations depend on each other in a circle: {}", .0.join(" → "))]
    Cycle(Vec<String>),
    /// A migration is run where one that it depends on is not.
    #[error(
        "{migration} depends on {dependency}, which is run in fewer contexts; give {migration} contexts that \
         {dependency} has too"
    )]
    Context {
        /// The migration that is run in more contexts.
        migration: String,
        /// The one that it depends on.
        dependency: String,
    },
    /// More than one migration that no other depends on, so there are several states to arrive at. Looking goes on all
    /// the same.
    #[error(
        "several migrations come last: {}; nothing was changed\n  run `field-notes migrate merge` to write one that \
         depends on them, or let one depend on the others",
        .0.join(", ")
    )]
    SeveralHeads(Vec<String>),
}

impl Graph {
    /// Puts migrations in order.
    ///
    /// # Errors
    /// A bad or repeated id, a dependency that does not exist, a circle, or a dependency that is run in fewer contexts.
    pub fn new(migrations: Vec<Box<dyn Migration>>) -> Result<Self, GraphError> {
        let nodes: Vec<_> = migrations.iter().map(|m| NodeSpec::from_meta(m.meta())).collect();
        let dag = Dag::new(&nodes)?;
        let mut by_id: BTreeMap<&str, Box<dyn Migration>> =
            migrations.into_iter().map(|m| (m.meta().id, m)).collect();
        let migrations = dag.ids().filter_map(|id| by_id.remove(id)).collect();
        Ok(Self { migrations, dag })
    }

    /// The migrations, in order.
    pub fn migrations(&self) -> impl ExactSizeIterator<Item = &dyn Migration> {
        self.migrations.iter().map(|m| &**m)
    }

    /// The ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.dag.ids()
    }

    /// The ids of those that come last: no other depends on them. Those that are run in some contexts only do not
    /// count. With more than one, an `up` is refused.
    pub fn heads(&self) -> Vec<&str> {
        self.dag.heads().into_iter().map(|at| self.dag.id(at)).collect()
    }

    pub(crate) fn dag(&self) -> &Dag {
        &self.dag
    }

    pub(crate) fn get(&self, position: usize) -> &dyn Migration {
        &*self.migrations[position]
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}
