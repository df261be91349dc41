use super::lock::Wanted;
use crate::Migrator;
use crate::ledger::Import;
use crate::ledger::LedgerSnapshot;
use crate::migrator::AsyncWork;
use crate::run::HeldLease;
use crate::run::RunSession;
use crate::{Error, Event, ImportedMigration, Result, UpReport};

impl Migrator {
    /// Takes over what an earlier tool applied, and does nothing else.
    pub async fn import(&self) -> Result<Vec<ImportedMigration>> {
        let view = self.view().await?;
        view.refuse_unknown()?;
        if !view.has_imports() {
            return Ok(Vec::new());
        }
        let Some(held) = self.lock(&Importable).await? else { return Ok(Vec::new()) };
        self.under(held, TakeOver).await
    }

    /// Takes over what an earlier tool applied.
    pub(super) async fn take_over(
        &self,
        session: &RunSession<'_>,
        view: &LedgerSnapshot,
        report: &mut UpReport,
    ) -> Result<()> {
        let Some(from) = &self.settings.import_from else { return Ok(()) };
        for (name, foreign) in &view.imports {
            let order = self.graph.ids().position(|id| id == name);
            let findings = match order {
                Some(at) if foreign.applied.is_some() => self.check(at).await?,
                _ => Vec::new(),
            };
            let warnings: Vec<String> = findings.iter().map(ToString::to_string).collect();
            session
                .record(name, &Import { session, from, name, foreign, order, warnings: &warnings })
                .await?;
            let Some(applied_at) = foreign.applied else { continue };
            session.tell(&Event::Imported { migration: name, applied_at });
            report.findings.extend(findings.into_iter().map(|finding| (name.clone(), finding)));
            report.imported.push(ImportedMigration { id: name.clone(), applied_at, warnings });
        }
        Ok(())
    }
}

/// Whether there is anything to take over.
struct Importable;

impl Wanted for Importable {
    async fn still(&self, migrator: &Migrator) -> Result<bool> {
        Ok(migrator.view().await?.has_imports())
    }
}

struct TakeOver;

impl AsyncWork<Vec<ImportedMigration>> for TakeOver {
    async fn run(self, migrator: &Migrator, held: &HeldLease) -> Result<Vec<ImportedMigration>> {
        let session = migrator.session(held).await?;
        let view = migrator.view().await?;
        view.refuse_unknown()?;
        let missing = migrator.missing(&view, &[]);
        if !missing.is_empty() {
            return Err(Error::MissingEnv(missing));
        }
        let mut report = UpReport::default();
        migrator.take_over(&session, &view, &mut report).await?;
        Ok(report.imported)
    }
}
