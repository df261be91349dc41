/// The graph without its migrations.
mod dag;
/// Catches the panics of migrations.
mod guarded;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::fmt;

pub(crate) use dag::{Dag, NodeSpec};
use guarded::Guarded;
pub(crate) use guarded::panicked;

use crate::Migration;

/// Migrations in topological order; ties are ordered by id.
pub struct Graph {
    migrations: Vec<Guarded>,
    dag: Dag,
}

/// The reason why a list of migrations is not a valid graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// An id is not of the form `NNNN_lower_case_name`.
    #[error(
        "{0:?} is not a migration id: must be four digits, an underscore, then lower-case letters, digits and underscores"
    )]
    BadId(String),
    /// A declaration of a migration panicked.
    #[error("the declarations of {migration} panicked: {message}")]
    Panicked {
        /// The migration.
        migration: String,
        /// The message of the panic.
        message: String,
    },
    /// Two migrations have the same id.
    #[error("two migrations have the id {0}")]
    Duplicate(String),
    /// A dependency that is not in the list.
    #[error("{migration} depends on {dependency}, which does not exist")]
    Unknown {
        /// The migration that declares it.
        migration: String,
        /// The missing dependency.
        dependency: String,
    },
    /// A cycle of dependencies; the first migration is repeated at the end.
    #[error("the dependencies have a cycle: {}", .0.join(" → "))]
    Cycle(Vec<String>),
    /// A migration runs in contexts in which a dependency does not.
    #[error(
        "{migration} depends on {dependency}, which runs in fewer contexts; restrict {migration} to contexts of \
         {dependency}"
    )]
    Context {
        /// The migration that runs in more contexts.
        migration: String,
        /// The dependency.
        dependency: String,
    },
    /// Several heads, so there is no single state to reach. Commands that only read still work.
    #[error(
        "the graph has several heads: {}; nothing was changed\n  run `field-notes migrate merge` to create a migration that \
         depends on them, or declare that one depends on the others",
        .0.join(", ")
    )]
    SeveralHeads(Vec<String>),
}

impl Graph {
    /// Sorts migrations.
    ///
    /// # Errors
    /// A panic of a declaration, a bad or repeated id, a dependency that does not exist, a cycle, or a dependency that runs in fewer contexts.
    pub fn new(migrations: Vec<Box<dyn Migration>>) -> Result<Self, GraphError> {
        let migrations = migrations.into_iter().map(Guarded::new).collect::<Result<Vec<_>, _>>()?;
        let nodes: Vec<_> = migrations.iter().map(|m| NodeSpec::from_meta(m.meta())).collect();
        let dag = Dag::new(&nodes)?;
        let mut by_id: BTreeMap<&str, Guarded> = migrations.into_iter().map(|m| (m.meta().id, m)).collect();
        let migrations = dag.ids().filter_map(|id| by_id.remove(id)).collect();
        Ok(Self { migrations, dag })
    }

    /// Returns the migrations, in order.
    pub fn migrations(&self) -> impl ExactSizeIterator<Item = &dyn Migration> {
        self.migrations.iter().map(|m| m as &dyn Migration)
    }

    /// Returns the ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.dag.ids()
    }

    /// Returns the ids of the heads: migrations that no other depends on. Those restricted to contexts do not count. With
    /// more than one head, an `up` is refused.
    pub fn heads(&self) -> Vec<&str> {
        self.dag.heads().into_iter().map(|at| self.dag.id(at)).collect()
    }

    pub(crate) fn dag(&self) -> &Dag {
        &self.dag
    }

    pub(crate) fn get(&self, position: usize) -> &dyn Migration {
        &self.migrations[position]
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}
