//! Rules that find unsafe or suspicious parts of a migration before it runs.
//!
//! They inspect the declaration ([`crate::Meta`]), the declared steps, the code where its source is available and, with a
//! database, the effect of the steps on the data.

/// Rules about the data.
mod data;
/// Rules about indexes.
mod index;
mod rule;
/// Rules about the declaration, the steps and the code.
mod static_rules;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

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

/// A migration as the rules see it, and what they find.
pub(crate) struct Linter<'a> {
    meta: &'static Meta,
    undo: Undo,
    code: Option<Code>,
    /// Declared steps, or those recorded by a dry run of its code.
    steps: &'a [Step],
    /// Variables that it reads, as far as known.
    variables: BTreeSet<String>,
    /// The declared steps of the migrations before it; `None` if one of them has only code.
    before: Option<Vec<Step>>,
    pub(crate) found: Vec<Lint>,
}

impl<'a> Linter<'a> {
    /// Runs the rules that need no database. `recorded` are the variables that a dry run of its code recorded.
    pub(crate) fn check(
        graph: &Graph,
        migration: &dyn Migration,
        steps: &'a [Step],
        recorded: impl IntoIterator<Item = String>,
    ) -> Self {
        let declared = steps.iter().flat_map(|step| step.operation.variables()).map(str::to_owned);
        let mut linter = Self {
            meta: migration.meta(),
            undo: migration.undo(),
            code: migration.source().and_then(Code::read),
            steps,
            variables: declared.chain(recorded).collect(),
            before: before(graph, migration),
            found: Vec::new(),
        };
        linter.check_declaration();
        linter
    }

    /// Adds a finding with the severity of its rule.
    pub(crate) fn add(&mut self, rule: Rule, step: Option<&Step>, text: impl Into<String>) {
        self.add_as(rule.severity(), rule, step, text);
    }

    fn add_as(&mut self, severity: Severity, rule: Rule, step: Option<&Step>, text: impl Into<String>) {
        let step = step.map(|step| step.name.clone());
        self.found.push(Lint { migration: self.meta.id.into(), rule, severity, step, text: text.into() });
    }
}

/// Runs the rules that need no database, in the order of the graph.
pub fn check_graph(graph: &Graph) -> Vec<Lint> {
    graph
        .migrations()
        .flat_map(|migration| Linter::check(graph, migration, &migration.steps(), []).found)
        .collect()
}

/// Collects the steps of all direct and indirect dependencies; `None` if one of them has only code.
fn before(graph: &Graph, migration: &dyn Migration) -> Option<Vec<Step>> {
    let mut ancestors = graph.dag().ancestors(graph.dag().position(migration.meta().id)?);
    ancestors.pop_last();
    let steps = ancestors.into_iter().map(|at| Some(graph.get(at).steps()).filter(|steps| !steps.is_empty()));
    steps.collect::<Option<Vec<_>>>().map(|steps| steps.concat())
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
}
