use std::time::Instant;

use super::attempt::Attempt;
use super::check::Check;
use super::live::LiveSink;
use super::session::{Batch, RetryPolicy, RunSession, Scope};
use super::up::Up;
use crate::ledger::Finish;
use crate::{Error, Finding, Meta, Migration, Mode, Result, Settings, State};

/// Refuses a mode that cannot hold here, before anything is written.
pub(crate) fn refuse_mode(meta: &Meta, transactions: bool, settings: &Settings) -> Result<()> {
    if meta.mode != Mode::Transaction || transactions || settings.without_transactions {
        return Ok(());
    }
    Err(Error::ModeUnavailable {
        id: meta.id.into(),
        why: "it is to be one transaction, and this server has none: it is no replica set".into(),
    })
}

/// What an attempt came to that ended well.
pub(crate) struct UpOutcome {
    pub(crate) findings: Vec<Finding>,
    /// What it left out, and what it found.
    pub(crate) warnings: Vec<String>,
}

/// Runs a migration, checks what should hold then, and writes to the ledger that it is applied: as its mode says. If
/// it fails, the ledger is left to the caller; in [`Mode::Transaction`] nothing is left of it then.
pub(crate) async fn execute(
    session: &RunSession<'_>,
    migration: &dyn Migration,
    attempt: &mut Attempt,
    began: Instant,
) -> Result<UpOutcome> {
    attempt.find_journal(session.db).await?;
    if attempt.mode == Mode::Transaction && !session.transactions {
        attempt.mode = Mode::Idempotent;
    }
    if attempt.mode != Mode::Transaction {
        let real = LiveSink { session, whole: None };
        session.guard.within(migration.up(&mut Up::real(real, attempt))).await?;
        let check = Check { store: session.db, settings: session.settings, migration: &attempt.migration };
        let done = conclusion(session, attempt, migration.check(&check).await?)?;
        session.record(&attempt.migration, &finish(session, attempt, &done.warnings, began)).await?;
        return Ok(done);
    }
    let mut retry = RetryPolicy::new();
    loop {
        attempt.restart();
        session.may_go_on().await?;
        let shield = session.held.shield();
        let scope = Scope::Transaction(session.db.begin().await?);
        let outcome = inside(session, migration, attempt, &scope, began).await;
        let Scope::Transaction(transaction) = scope else { return outcome };
        let outcome = match outcome {
            Ok(done) => match transaction.commit().await {
                Ok(()) => return Ok(done),
                // Whether it was committed may not be known; the ledger knows.
                Err(_) if session.is_applied_by_us(&attempt.migration).await? => return Ok(done),
                Err(error) => Error::from(error),
            },
            Err(error) => {
                // The first error is the one to tell; an abort that fails is an abort all the same.
                let _ = transaction.abort().await;
                error
            }
        };
        drop(shield);
        if !retry.again(&attempt.migration, &outcome).await {
            let step = attempt.step.take();
            attempt.restart();
            attempt.step = step;
            return Err(outcome);
        }
    }
}

async fn inside(
    session: &RunSession<'_>,
    migration: &dyn Migration,
    attempt: &mut Attempt,
    scope: &Scope,
    began: Instant,
) -> Result<UpOutcome> {
    let mut cx = Up::real(LiveSink { session, whole: Some(scope) }, attempt);
    session.guard.within(migration.up(&mut cx)).await?;
    let check = Check { store: scope, settings: session.settings, migration: &attempt.migration };
    let done = conclusion(session, attempt, migration.check(&check).await?)?;
    finish(session, attempt, &done.warnings, began).run(scope).await?;
    session.boundary(&attempt.migration, scope).await?;
    Ok(done)
}

fn conclusion(session: &RunSession<'_>, attempt: &Attempt, findings: Vec<Finding>) -> Result<UpOutcome> {
    let mut warnings = attempt.warnings.clone();
    warnings.extend(findings.iter().map(ToString::to_string));
    if session.strict && !warnings.is_empty() {
        return Err(Error::Warnings(warnings));
    }
    Ok(UpOutcome { findings, warnings })
}

fn finish<'a>(
    session: &'a RunSession<'a>,
    attempt: &'a Attempt,
    warnings: &'a [String],
    began: Instant,
) -> Finish<'a> {
    Finish {
        session,
        id: &attempt.migration,
        state: State::Applied,
        event: "applied",
        counts: &attempt.counts,
        warnings,
        duration: began.elapsed(),
        error: &[],
        step: None,
    }
}
