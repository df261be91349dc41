use crate::dry_run::DryRunSink;
use crate::run::{Attempt, Up};
use crate::{Error, Migrator, Mode, Result, Step};

/// Refuses migrations whose mode is impossible, before anything is written.
pub(super) async fn require_modes(m: &Migrator, transactions: bool, apply: &[usize]) -> Result<()> {
    for &at in apply {
        require_mode(m, transactions, at).await?;
    }
    Ok(())
}

/// Refuses a migration in one transaction if the store has none, or if one of its steps cannot run in one.
pub(super) async fn require_mode(m: &Migrator, transactions: bool, at: usize) -> Result<()> {
    let meta = m.graph.get(at).meta();
    if meta.mode != Mode::Transaction {
        return Ok(());
    }
    if !transactions && !m.settings.without_transactions {
        let why = "it runs as one transaction, which a standalone server does not support; use a replica set";
        return Err(Error::ModeUnavailable { id: meta.id.into(), why: why.into() });
    }
    match defining_step(m, at).await {
        Some(step) => Err(Error::StepNotTransactional { id: meta.id.into(), step }),
        None => Ok(()),
    }
}

/// Returns the first step that defines an index. Declared steps are inspected; code is run without writing, on the
/// database as it is, so a step that only shows once earlier migrations are applied is refused later, by the run.
async fn defining_step(m: &Migrator, at: usize) -> Option<String> {
    let migration = m.graph.get(at);
    let declared = migration.steps();
    if !declared.is_empty() {
        return declared.into_iter().find(Step::is_ddl).map(|step| step.name);
    }
    let mut attempt = Attempt::dry_run(migration.meta(), (m.settings.clock)());
    let mut up = Up::dry_run(DryRunSink::new(&m.db, &m.settings, None, 0), &mut attempt);
    // The run itself reports an error; the steps before it were recorded.
    let _ = migration.up(&mut up).await;
    let steps = up.into_dry_run()?.steps;
    steps.into_iter().map(|recorded| recorded.step).find(Step::is_ddl).map(|step| step.name)
}
