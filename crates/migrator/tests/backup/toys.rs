use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use docstore::bson::{DateTime, doc};
use docstore::{Database, Filter};
use migrator::backup::{self, BackupPolicy};
use migrator::{Check, Error, Finding, Graph, Meta, Migration, Migrator, Phase, Result, Settings, Undo, Up};

/// A migration that says of itself what a test wants, and inserts one document and sets one field.
#[derive(Clone)]
pub(crate) struct Toy {
    pub(crate) meta: Meta,
    pub(crate) undo: Undo,
    /// Fails after its steps for as long as this is on.
    pub(crate) fails: Arc<AtomicBool>,
}

#[async_trait]
impl Migration for Toy {
    fn meta(&self) -> &'static Meta {
        Box::leak(Box::new(self.meta))
    }
    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        cx.insert_if_absent("insert", "made", &Filter::id(self.meta.id), doc! { "_id": self.meta.id })
            .await?;
        cx.set("set", "notes", &Filter::All, "by", self.meta.id).await?;
        if self.fails.load(Ordering::SeqCst) { Err(Error::migration("fails on purpose")) } else { Ok(()) }
    }
    fn undo(&self) -> Undo {
        self.undo
    }
    async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

pub(crate) fn toy(id: &'static str, after: &'static [&'static str]) -> Toy {
    let meta = Meta::new(id, "a toy").after(after).touches(&["made", "notes"]);
    Toy { meta, undo: Undo::Journal, fails: Arc::default() }
}

/// As [`toy`], and risky.
pub(crate) fn risky(id: &'static str, after: &'static [&'static str]) -> Toy {
    let plain = toy(id, after);
    Toy {
        meta: plain.meta.phase(Phase::Contract).without_journal(),
        undo: Undo::Irreversible("it contracts"),
        ..plain
    }
}

/// Takes backups into this folder, if there is one. Each look at the clock takes a second.
pub(crate) fn migrator(db: &Database, toys: &[Toy], dir: Option<&Path>) -> Migrator {
    let seconds = AtomicI64::new(1_700_000_000);
    let list = toys.iter().map(|toy| Box::new(toy.clone()) as Box<dyn Migration>).collect();
    let settings = Settings {
        app_version: "1.2.3".into(),
        actor: "a test".into(),
        env: Arc::new(|_| None),
        clock: Arc::new(move || DateTime::from_millis(seconds.fetch_add(1, Ordering::SeqCst) * 1000)),
        wait: Duration::from_mins(1),
        backup: dir.map(|dir| backup::BackupSettings {
            dir: dir.into(),
            policy: BackupPolicy::Risky,
            cap_bytes: Some(1 << 20),
            keep: 1,
        }),
        ..Settings::default()
    };
    Migrator::new(db.clone(), Graph::new(list).unwrap(), settings)
}

pub(crate) async fn seed(db: &Database) {
    db.collection("notes")
        .insert_many((0..4).map(|i| doc! { "_id": i, "by": "hand" }).collect())
        .await
        .unwrap();
}
