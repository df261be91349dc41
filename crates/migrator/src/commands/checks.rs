use std::collections::BTreeMap;

use crate::Migrator;
use crate::drift::{self, ValidatorDrift};
use crate::dry_run::{DryRun, Preview, dry_run};
use crate::lint::{self, Lint};
use crate::operation::Does;
use crate::plan::Action;
use crate::{Error, Finding, Result, State, UpRequest};

impl Migrator {
    /// What an `up` would do: the exact operations, how many documents, some of them before and after. Writes nothing.
    ///
    /// # Errors
    /// What [`Migrator::up`] would refuse with before it wrote anything.
    pub async fn preview(&self, request: impl Into<UpRequest>) -> Result<Preview> {
        self.look_ahead(request, true).await
    }

    /// As [`Migrator::preview`]; says whether the work may be tried in a transaction that is ended without effect.
    pub(super) async fn look_ahead(&self, request: impl Into<UpRequest>, may_try: bool) -> Result<Preview> {
        let request = self.up_request(&request.into())?;
        let view = self.view().await?;
        self.nothing_to_do(&view, &request, false)?;
        let actions = self.plan(&view, &request, false)?;
        let (mut apply, mut undo_first) = (Vec::new(), Vec::new());
        for action in actions {
            match action {
                Action::Apply(at) => apply.push(at),
                Action::Undo(at) => undo_first.push(self.graph.dag().id(at).to_owned()),
            }
        }
        let forecast =
            DryRun { db: &self.db, graph: &self.graph, settings: &self.settings, apply: &apply, may_try };
        let preview = dry_run(&forecast).await?;
        Ok(Preview { undo_first, ..preview })
    }

    /// What the rules find: in all migrations without the data, and in the pending ones with it. Writes nothing.
    pub async fn lint(&self) -> Result<Vec<Lint>> {
        let view = self.view().await?;
        let pending = self.pending(&view);
        let apply: Vec<usize> = (0..self.graph.dag().len())
            .filter(|&at| pending.iter().any(|id| id == self.graph.dag().id(at)))
            .collect();
        let forecast = DryRun {
            db: &self.db,
            graph: &self.graph,
            settings: &self.settings,
            apply: &apply,
            may_try: false,
        };
        let mut with_data = dry_run(&forecast).await?.migrations;
        let mut lints = Vec::new();
        for (at, migration) in self.graph.migrations().enumerate() {
            let id = migration.meta().id;
            match with_data.iter_mut().find(|preview| preview.id == id) {
                Some(preview) => lints.append(&mut preview.lints),
                None => lints.extend(lint::Subject::new(&self.graph, self.graph.get(at)).without_data()),
            }
        }
        Ok(lints)
    }

    /// Looks again at what should hold after each applied migration. Writes nothing.
    pub async fn conditions(&self) -> Result<Vec<(String, Finding)>> {
        let view = self.view().await?;
        let mut findings = Vec::new();
        for (at, id) in self.graph.ids().enumerate() {
            if view.entries.get(id).is_none_or(|entry| entry.state != State::Applied) {
                continue;
            }
            let found = match self.check(at).await {
                Ok(found) => found,
                Err(Error::MissingEnv(missing)) => missing
                    .iter()
                    .map(|missing| {
                        Finding::new(format!("it cannot be checked, since {} is not set", missing.variable))
                    })
                    .collect(),
                Err(error) => return Err(error),
            };
            findings.extend(found.into_iter().map(|finding| (id.to_owned(), finding)));
        }
        Ok(findings)
    }

    /// The collections whose rules for documents are not those that the declared steps of applied migrations left.
    /// Writes nothing.
    pub async fn validator_drift(&self) -> Result<Vec<ValidatorDrift>> {
        let view = self.view().await?;
        let applied = |id: &str| view.entries.get(id).is_some_and(|entry| entry.state == State::Applied);
        let mut set = BTreeMap::new();
        for migration in self.graph.migrations().filter(|migration| applied(migration.meta().id)) {
            for step in migration.steps() {
                if let Does::SetValidator(validator) = step.deed().does {
                    let by = migration.meta().id.to_owned();
                    set.insert(step.collection().to_owned(), (by, validator));
                }
            }
        }
        drift::validators(&self.db, &set).await
    }
}
