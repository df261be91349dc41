use async_trait::async_trait;
use bson::doc;
use docstore::{Store, Update};

use super::lock::Always;
use super::manual::given;
use crate::Migrator;
use crate::checksum::{self, ChecksumDrift, Checksums};
use crate::ledger::LEDGER;
use crate::ledger::LedgerSnapshot;
use crate::migrator::AsyncWork;
use crate::run::HeldLease;
use crate::run::{Batch, RunSession, Scope};
use crate::{Error, Result, State};

impl Migrator {
    /// The applied migrations that are not what they were when they were applied. Writes nothing.
    pub async fn checksum_drift(&self) -> Result<Vec<ChecksumDrift>> {
        let view = self.view().await?;
        Ok((0..self.graph.dag().len()).filter_map(|at| self.drift(&view, at)).collect())
    }

    fn drift(&self, view: &LedgerSnapshot, at: usize) -> Option<ChecksumDrift> {
        let migration = self.graph.get(at);
        let id = migration.meta().id;
        let entry = view.entries.get(id).filter(|entry| entry.state == State::Applied)?;
        checksum::of(migration).drift(id, &entry.checksums)
    }

    /// Takes an applied migration for what it is now: whoever changed it says that the change does not matter to what it
    /// did. Nothing is run.
    ///
    /// # Errors
    /// [`Error::ReasonRequired`]; [`Error::WrongState`] if it is not applied, or is what it was.
    pub async fn accept_checksum(&self, prefix: &str, reason: &str) -> Result<ChecksumDrift> {
        let (at, reason) = (self.place(prefix)?, given(reason)?);
        self.acceptable(&self.view().await?, at)?;
        let Some(held) = self.lock(&Always).await? else { return Err(Error::LeaseLost) };
        self.under(held, Accepting { at, reason }).await
    }

    fn acceptable(&self, view: &LedgerSnapshot, at: usize) -> Result<ChecksumDrift> {
        view.refuse_unknown()?;
        let id = self.graph.dag().id(at);
        self.drift(view, at).ok_or_else(|| Error::WrongState {
            id: id.into(),
            state: view.entries.get(id).map(|entry| entry.state),
            what: "accepted as it is now",
            wants: "is applied and has changed since",
            next: "look with `field-notes migrate check`".into(),
        })
    }
}

struct Accepting<'a> {
    at: usize,
    reason: &'a str,
}

impl AsyncWork<ChecksumDrift> for Accepting<'_> {
    async fn run(self, migrator: &Migrator, held: &HeldLease) -> Result<ChecksumDrift> {
        let session = migrator.session(held).await?;
        let view = migrator.view().await?;
        let drift = migrator.acceptable(&view, self.at)?;
        let now = checksum::of(migrator.graph.get(self.at));
        let before = view.entries.get(&drift.id).map(|entry| entry.checksums.clone()).unwrap_or_default();
        let accept =
            Accept { session: &session, id: &drift.id, now: &now, before: &before, reason: self.reason };
        session.record(&drift.id, &accept).await?;
        Ok(drift)
    }
}

/// Writes the checksums of now, and to the log what they were.
struct Accept<'a> {
    session: &'a RunSession<'a>,
    id: &'a str,
    now: &'a Checksums,
    before: &'a Checksums,
    reason: &'a str,
}

#[async_trait]
impl Batch for Accept<'_> {
    type Out = ();

    async fn run(&self, scope: &Scope) -> Result<()> {
        let Self { session, id, now, before, reason } = *self;
        let update = now.clone().write(Update::new()).set("fence", session.fence());
        if scope.collection(LEDGER).update_one(&session.fenced(id), &update).await?.matched == 0 {
            return Err(Error::LeaseLost);
        }
        session.boundary(id, scope).await?;
        let more = doc! { "reason": reason, "from_up": before.up.clone(), "from_down": before.down.clone() };
        session.log(scope, id, "checksum_accepted", more).await
    }
}
