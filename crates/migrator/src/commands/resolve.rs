use std::collections::BTreeSet;

use crate::Migrator;
use crate::ledger::LedgerSnapshot;
use crate::plan::{DownGoal, PlanRequest, UpGoal};
use crate::{DownTarget, Error, Result, Source, State, UpRequest, UpTarget};

/// How many ids are told of those that look like one that does not exist.
const NEAR: usize = 3;

impl Migrator {
    /// The id that begins so, of a migration that this program knows or that the ledger names. Writes nothing.
    ///
    /// # Errors
    /// [`Error::UnknownId`]; [`Error::Ambiguous`] naming all that begin so.
    pub async fn resolve(&self, prefix: &str) -> Result<String> {
        self.name(&self.view().await?, prefix)
    }

    pub(super) fn name(&self, view: &LedgerSnapshot, prefix: &str) -> Result<String> {
        let ids: BTreeSet<&str> = self.graph.ids().chain(view.entries.keys().map(String::as_str)).collect();
        find(prefix, &ids).map(str::to_owned)
    }

    /// The place of the migration that begins so; it has to be known.
    pub(super) fn place(&self, prefix: &str) -> Result<usize> {
        let ids: BTreeSet<&str> = self.graph.ids().collect();
        let id = find(prefix, &ids)?;
        self.graph.dag().position(id).ok_or_else(|| unknown(prefix, &ids))
    }

    pub(super) fn up_request(&self, request: &UpRequest) -> Result<PlanRequest> {
        let goal = match &request.target {
            UpTarget::All => UpGoal::All,
            UpTarget::To(id) => UpGoal::To(self.place(id)?),
            UpTarget::Steps(n) => UpGoal::Steps(*n),
        };
        Ok(PlanRequest::Up(request.mode, goal))
    }

    pub(super) fn down_request(&self, view: &LedgerSnapshot, target: &DownTarget) -> Result<PlanRequest> {
        let goal = match target {
            DownTarget::Last => DownGoal::Last,
            DownTarget::Steps(n) => DownGoal::Steps(*n),
            DownTarget::All => DownGoal::All,
            DownTarget::Run(run) => DownGoal::Run(run_of(view, run)?),
            DownTarget::To(id) => {
                let at = self.place(id)?;
                self.applied(view, at, "the one that a `down` stops at")?;
                DownGoal::To(at)
            }
        };
        Ok(PlanRequest::Down(goal))
    }

    /// Refuses one that is not applied.
    pub(super) fn applied(&self, view: &LedgerSnapshot, at: usize, what: &'static str) -> Result<()> {
        let id = self.graph.dag().id(at);
        let state = view.entries.get(id).map(|entry| entry.state);
        if state == Some(State::Applied) {
            return Ok(());
        }
        let next = "run `field-notes migrate status` to see what is".to_owned();
        Err(Error::WrongState { id: id.to_owned(), state, what, wants: "is applied", next })
    }
}

fn find<'a>(given: &str, ids: &BTreeSet<&'a str>) -> Result<&'a str> {
    if let Some(id) = ids.get(given) {
        return Ok(id);
    }
    let candidates: Vec<&str> =
        ids.iter().copied().filter(|id| id.starts_with(given) && !given.is_empty()).collect();
    match candidates[..] {
        [id] => Ok(id),
        [] => Err(unknown(given, ids)),
        _ => Err(Error::Ambiguous {
            given: given.to_owned(),
            candidates: candidates.into_iter().map(str::to_owned).collect(),
        }),
    }
}

/// Names those that hold what was asked for, or begin with the same number.
fn unknown(given: &str, ids: &BTreeSet<&str>) -> Error {
    let number: String = given.chars().take_while(char::is_ascii_digit).collect();
    let is_near = |id: &&&str| {
        (given.len() > 2 && id.contains(given)) || (number.len() == 4 && id.starts_with(&number))
    };
    let near = ids.iter().filter(is_near).take(NEAR).map(|id| (*id).to_owned()).collect();
    Error::UnknownId { given: given.to_owned(), near }
}

/// The run that begins so, of those that applied something that is there.
fn run_of(view: &LedgerSnapshot, given: &str) -> Result<String> {
    let there = view.entries.values().filter(|e| e.source == Source::Native && e.state != State::RolledBack);
    let runs: BTreeSet<&str> = there.filter_map(|entry| entry.applied_run.as_deref()).collect();
    if let Some(run) = runs.get(given) {
        return Ok((*run).to_owned());
    }
    let candidates: Vec<String> = runs
        .into_iter()
        .filter(|run| run.starts_with(given) && !given.is_empty())
        .map(str::to_owned)
        .collect();
    match &candidates[..] {
        [run] => Ok(run.clone()),
        _ => Err(Error::UnknownRun { given: given.to_owned(), candidates }),
    }
}
