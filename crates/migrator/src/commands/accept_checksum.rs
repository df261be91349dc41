use bson::doc;
use docstore::{Store, Update};

use super::lock;
use super::resolve::{position, required_reason};
use crate::checksum::{self, ChecksumDrift, Checksums};
use crate::ledger::{LEDGER, LedgerSnapshot, require_match};
use crate::run::{Batch, RunSession, Scope};
use crate::{Error, Migrator, Result};

pub(crate) async fn checksum_drift(m: &Migrator) -> Result<Vec<ChecksumDrift>> {
    let snapshot = m.snapshot().await?;
    Ok((0..m.dag().len()).filter_map(|at| drift(m, &snapshot, at)).collect())
}

fn drift(m: &Migrator, snapshot: &LedgerSnapshot, at: usize) -> Option<ChecksumDrift> {
    let id = m.id(at);
    let entry = snapshot.entries.get(id).filter(|_| snapshot.is_applied(id))?;
    checksum::drift(m.graph.get(at), &entry.checksums)
}

pub(crate) async fn accept_checksum(m: &Migrator, prefix: &str, reason: &str) -> Result<ChecksumDrift> {
    let (at, reason) = (position(m, prefix)?, required_reason(reason)?);
    require_drift(m, &m.snapshot().await?, at)?;
    let held = lock::acquire(m).await?;
    let work = async {
        let session = m.session(&held).await?;
        let snapshot = m.snapshot().await?;
        let drift = require_drift(m, &snapshot, at)?;
        let now = checksum::compute(m.graph.get(at));
        let before = &snapshot.entries[&drift.id].checksums;
        let accept = AcceptChecksum { session: &session, id: &drift.id, now: &now, before, reason };
        session.record(&drift.id, &accept).await?;
        Ok(drift)
    };
    lock::under_lease(&held, work).await
}

fn require_drift(m: &Migrator, snapshot: &LedgerSnapshot, at: usize) -> Result<ChecksumDrift> {
    snapshot.refuse_unknown()?;
    drift(m, snapshot, at).ok_or_else(|| Error::WrongState {
        id: m.id(at).into(),
        state: snapshot.state(m.id(at)),
        action: "accept its checksum",
        required: "is applied and has changed since",
        next: "run `field-notes migrate check` to see what changed".into(),
    })
}

/// Writes the present checksums to the ledger and the previous ones to the log.
struct AcceptChecksum<'a> {
    session: &'a RunSession<'a>,
    id: &'a str,
    now: &'a Checksums,
    before: &'a Checksums,
    reason: &'a str,
}

impl Batch for AcceptChecksum<'_> {
    type Out = ();

    async fn run(&self, scope: &Scope) -> Result<()> {
        let Self { session, id, now, before, reason } = *self;
        let update = now.clone().write(Update::new()).set("fence", session.fence());
        require_match(scope.collection(LEDGER).update_one(&session.fenced(id), &update).await?.matched)?;
        session.boundary(id, scope).await?;
        let more = doc! { "reason": reason, "from_up": before.up.clone(), "from_down": before.down.clone() };
        session.log(scope, id, "checksum_accepted", more).await
    }
}
