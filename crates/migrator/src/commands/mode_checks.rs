use crate::Migrator;
use crate::dry_run::DryRunSink;
use crate::operation::Deed;
use crate::plan::Action;
use crate::run::{Attempt, Up, refuse_mode};
use crate::{Error, Mode, Result, Step};

impl Migrator {
    /// Refuses modes that cannot hold, before anything is written.
    pub(super) async fn modes_hold(&self, transactions: bool, actions: &[Action]) -> Result<()> {
        for action in actions {
            if let Action::Apply(at) = *action {
                self.mode_holds(transactions, at).await?;
            }
        }
        Ok(())
    }

    /// Refuses a migration that is to be one transaction where there are none, or that no transaction can take.
    pub(super) async fn mode_holds(&self, transactions: bool, at: usize) -> Result<()> {
        let meta = self.graph.get(at).meta();
        refuse_mode(meta, transactions, &self.settings)?;
        if meta.mode == Mode::Transaction
            && let Some(step) = self.defining_step(at).await
        {
            return Err(Error::StepNotTransactional { id: meta.id.into(), step });
        }
        Ok(())
    }

    /// The first step about an index or a rule. Declared steps are asked; of code is seen what it does on the database
    /// as it is. What it does only once others before it are applied is refused when it is come to.
    async fn defining_step(&self, at: usize) -> Option<String> {
        let migration = self.graph.get(at);
        let declared = migration.steps();
        if !declared.is_empty() {
            return declared.iter().map(Step::deed).find(Deed::defines).map(|deed| deed.name);
        }
        let mut attempt = Attempt::looking(migration.meta(), (self.settings.clock)());
        let mut up = Up::look(DryRunSink::new(&self.db, &self.settings, None, 0), &mut attempt);
        // An error is told by the run itself; what was seen before it counts.
        let _ = migration.up(&mut up).await;
        let seen = up.seen()?;
        seen.noted.into_iter().map(|noted| noted.deed).find(Deed::defines).map(|deed| deed.name)
    }
}
