//! Rules that find unsafe or suspicious parts of a migration before it runs.
//!
//! They inspect the declaration ([`crate::Meta`]), the declared steps, the code where its source is available and, with a
//! database, the effect of the steps on the data.

/// Rules about the data.
mod data;
/// Rules about indexes.
mod index;
/// Rules about the name.
mod name;
/// Rules about expanding and contracting.
mod phase;
mod rule;
/// Rules about the code.
mod source;
/// Rules about the declaration and the declared steps.
mod static_rules;

use std::fmt;

use serde::Serialize;

pub(crate) use data::{Measured, against};
pub use rule::{Rule, Severity};

use crate::checksum::Code;
use crate::step::Step;
use crate::{Graph, Meta, Migration, Undo};

/// A finding of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lint {
    /// The migration.
    pub migration: String,
    /// The rule.
    pub rule: Rule,
    /// The severity.
    pub severity: Severity,
    /// The step; `None` if the finding is about the whole migration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The problem and its remedy.
    pub text: String,
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { migration, rule, severity, step, text } = self;
        write!(f, "{severity} {rule} in {migration}")?;
        if let Some(step) = step {
            write!(f, ", step {step:?}")?;
        }
        write!(f, ": {text}")
    }
}

/// A migration as the rules see it.
pub(crate) struct LintSubject<'a> {
    pub(crate) meta: &'static Meta,
    pub(crate) undo: Undo,
    pub(crate) code: Option<Code>,
    /// Declared steps, or those recorded by a dry run of its code.
    pub(crate) steps: Vec<Step>,
    /// Variables that it reads, as far as known.
    pub(crate) variables: Vec<String>,
    /// The declared steps of the migrations before it; `None` if one of them has only code.
    pub(crate) before: Option<Vec<Step>>,
    pub(crate) migration: &'a dyn Migration,
}

impl<'a> LintSubject<'a> {
    pub(crate) fn new(graph: &'a Graph, migration: &'a dyn Migration) -> Self {
        let steps = migration.steps();
        let mut variables: Vec<String> =
            steps.iter().flat_map(|step| step.operation.variables()).map(str::to_owned).collect();
        variables.sort();
        variables.dedup();
        Self {
            steps,
            meta: migration.meta(),
            undo: migration.undo(),
            code: migration.source().and_then(Code::read),
            variables,
            before: before(graph, migration),
            migration,
        }
    }

    /// Adds the steps and variables that a dry run of its code recorded.
    pub(crate) fn seen(mut self, steps: &[Step], variables: &[String]) -> Self {
        if self.migration.steps().is_empty() {
            self.steps = steps.to_vec();
        }
        for variable in variables {
            if !self.variables.contains(variable) {
                self.variables.push(variable.clone());
            }
        }
        self
    }

    fn lint(&self, rule: Rule, severity: Severity, step: Option<&Step>, text: impl Into<String>) -> Lint {
        let step = step.map(|step| step.name.clone());
        Lint { migration: self.meta.id.into(), rule, severity, step, text: text.into() }
    }

    /// Returns the findings that need no database.
    pub(crate) fn without_data(&self) -> Vec<Lint> {
        let mut lints = name::look(self);
        lints.extend(static_rules::look(self));
        lints.extend(phase::look(self));
        lints.extend(source::look(self));
        lints
    }
}

/// Runs the rules that need no database, in the order of the graph.
pub fn check_graph(graph: &Graph) -> Vec<Lint> {
    graph.migrations().flat_map(|migration| LintSubject::new(graph, migration).without_data()).collect()
}

/// Collects the steps of all direct and indirect dependencies; `None` if one of them has only code.
fn before(graph: &Graph, migration: &dyn Migration) -> Option<Vec<Step>> {
    let mut open: Vec<&str> = migration.meta().depends_on.to_vec();
    let (mut seen, mut all) = (Vec::new(), Vec::new());
    while let Some(id) = open.pop() {
        if seen.contains(&id) {
            continue;
        }
        seen.push(id);
        let parent = graph.migrations().find(|other| other.meta().id == id)?;
        let steps = parent.steps();
        if steps.is_empty() {
            return None;
        }
        all.extend(steps);
        open.extend(parent.meta().depends_on);
    }
    Some(all)
}

#[cfg(test)]
pub(crate) mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::{Check, Finding, Result};

    /// A migration without steps.
    pub(crate) struct Named;

    const META: Meta = Meta::new("0001_name", "a name");

    #[async_trait]
    impl Migration for Named {
        fn meta(&self) -> &'static Meta {
            &META
        }

        fn undo(&self) -> Undo {
            Undo::Journal
        }

        async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
            Ok(Vec::new())
        }
    }

    pub(crate) fn subject(graph: &Graph) -> LintSubject<'_> {
        LintSubject::new(graph, &Named)
    }
}
