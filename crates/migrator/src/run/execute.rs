use std::time::Instant;

use super::attempt::Attempt;
use super::live::LiveSink;
use super::session::{Batch, RetryPolicy, RunSession, Scope};
use super::up::{Check, Up};
use crate::ledger::Finish;
use crate::{Error, Finding, Migration, Mode, Result, State};

/// Runs a migration in its mode, checks its post-condition and marks it as applied in the ledger. Returns the conditions
/// that do not hold, which are also added to the warnings of the attempt.
///
/// If it fails, the caller writes the ledger; in [`Mode::Transaction`] nothing else of the attempt persists.
pub(crate) async fn execute(
    session: &RunSession<'_>,
    migration: &dyn Migration,
    attempt: &mut Attempt,
    began: Instant,
) -> Result<Vec<Finding>> {
    attempt.find_journal(session.db).await?;
    if attempt.mode == Mode::Transaction && !session.transactions {
        attempt.mode = Mode::Idempotent;
    }
    if attempt.mode != Mode::Transaction {
        let sink = LiveSink { session, whole: None };
        session.guard.within(migration.up(&mut Up::live(sink, attempt))).await?;
        let check = Check { store: session.db, settings: session.settings, migration: &attempt.migration };
        let findings = migration.check(&check).await?;
        add_warnings(session, attempt, &findings)?;
        let finish = Finish::new(session, attempt, State::Applied, began);
        session.record(&attempt.migration, &finish).await?;
        return Ok(findings);
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
) -> Result<Vec<Finding>> {
    let mut cx = Up::live(LiveSink { session, whole: Some(scope) }, attempt);
    session.guard.within(migration.up(&mut cx)).await?;
    let check = Check { store: scope, settings: session.settings, migration: &attempt.migration };
    let findings = migration.check(&check).await?;
    add_warnings(session, attempt, &findings)?;
    Finish::new(session, attempt, State::Applied, began).run(scope).await?;
    session.boundary(&attempt.migration, scope).await?;
    Ok(findings)
}

/// Adds findings to the warnings of an attempt.
fn add_warnings(session: &RunSession<'_>, attempt: &mut Attempt, findings: &[Finding]) -> Result<()> {
    let mut warnings = attempt.warnings.clone();
    warnings.extend(findings.iter().map(ToString::to_string));
    if session.strict && !warnings.is_empty() {
        return Err(Error::Warnings(warnings));
    }
    attempt.warnings = warnings;
    Ok(())
}
