use std::time::Instant;

use super::attempt::Attempt;
use super::live::LiveSink;
use super::session::{Batch, RetryPolicy, RunSession, Scope};
use super::up::{Check, Up};
use crate::ledger::Finish;
use crate::{Error, Finding, Migration, Mode, Result, State};

/// The outcome of a successful attempt.
pub(crate) struct UpOutcome {
    pub(crate) findings: Vec<Finding>,
    /// Warnings of the migration, and the findings of its postcondition.
    pub(crate) warnings: Vec<String>,
}

/// Runs a migration in its mode, checks its post-condition and marks it as applied in the ledger.
///
/// If it fails, the caller writes the ledger; in [`Mode::Transaction`] nothing else of the attempt persists.
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
        let sink = LiveSink { session, whole: None };
        session.guard.within(migration.up(&mut Up::live(sink, attempt))).await?;
        let check = Check { store: session.db, settings: session.settings, migration: &attempt.migration };
        let done = conclusion(session, attempt, migration.check(&check).await?)?;
        session.record(&attempt.migration, &finish(session, attempt, &done.warnings, began)).await?;
        return Ok(done);
    }
    let mut retry = RetryPolicy::new();
    loop {
        attempt.restart();
        session.check_limits().await?;
        let grace = session.held.renewal_grace();
        let scope = Scope::Transaction(session.db.begin().await?);
        let outcome = inside(session, migration, attempt, &scope, began).await;
        let Scope::Transaction(transaction) = scope else { return outcome };
        let outcome = match outcome {
            Ok(done) => match transaction.commit().await {
                Ok(()) => return Ok(done),
                // The commit may have succeeded although its answer was lost; the ledger decides.
                Err(_) if session.is_applied_by_us(&attempt.migration).await? => return Ok(done),
                Err(error) => Error::from(error),
            },
            Err(error) => {
                // An abort that fails still ends the transaction.
                let _ = transaction.abort().await;
                error
            }
        };
        drop(grace);
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
    let mut cx = Up::live(LiveSink { session, whole: Some(scope) }, attempt);
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
