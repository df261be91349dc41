use super::lock;
use super::preview::missing_variables;
use crate::ledger::{Import, LedgerSnapshot};
use crate::run::{HeldLease, RunSession};
use crate::{Error, Event, ImportedMigration, Migrator, Result, UpReport};

pub(crate) async fn import(m: &Migrator) -> Result<Vec<ImportedMigration>> {
    let snapshot = m.snapshot().await?;
    snapshot.refuse_unknown()?;
    if !snapshot.has_imports() {
        return Ok(Vec::new());
    }
    let needed = || async { Ok(m.snapshot().await?.has_imports()) };
    let Some(held) = lock::acquire_while(m, needed).await? else { return Ok(Vec::new()) };
    let work = async {
        let missing = missing_variables(m, &m.snapshot().await?, &[]);
        if !missing.is_empty() {
            return Err(Error::MissingEnv(missing));
        }
        let mut report = UpReport::default();
        begin(m, &held, &mut report).await?;
        Ok(report.imported)
    };
    lock::under_lease(&held, work).await
}

/// Opens a session under the lease, imports what an earlier tool applied, and reads the ledger. What was read before the
/// lease was acquired may be outdated.
pub(super) async fn begin<'a>(
    m: &'a Migrator,
    held: &'a HeldLease,
    report: &mut UpReport,
) -> Result<(RunSession<'a>, LedgerSnapshot)> {
    let session = m.session(held).await?;
    let snapshot = m.snapshot().await?;
    snapshot.refuse_unknown()?;
    import_applied(m, &session, &snapshot, report).await?;
    Ok((session, m.snapshot().await?))
}

/// Imports what an earlier tool applied: one ledger entry and one log record for each name.
pub(super) async fn import_applied(
    m: &Migrator,
    session: &RunSession<'_>,
    snapshot: &LedgerSnapshot,
    report: &mut UpReport,
) -> Result<()> {
    let Some(from) = &m.settings.import_from else { return Ok(()) };
    for (name, foreign) in &snapshot.imports {
        let order = m.dag().position(name);
        let findings = match order {
            Some(at) if foreign.applied.is_some() => m.check(at).await?,
            _ => Vec::new(),
        };
        let warnings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let batch = Import { session, from, name, foreign, order, warnings: &warnings };
        session.record(name, &batch).await?;
        let Some(applied_at) = foreign.applied else { continue };
        session.emit(&Event::Imported { migration: name, applied_at });
        report.findings.extend(findings.into_iter().map(|finding| (name.clone(), finding)));
        report.imported.push(ImportedMigration { id: name.clone(), applied_at, warnings });
    }
    Ok(())
}
