use std::path::Path;

use docstore::{Database, EngineKind, Rights, ServerFacts, Space, Topology};

use super::lock::LEASE;
use crate::Migrator;
use crate::backup::{self, BackupPolicy};
use crate::ledger::LOCK;
use crate::report::{CheckLevel, Preflight, PreflightCheck};
use crate::{ActionKind, Undo, UpPlan, UpRequest};

/// The oldest wire version that this program is made for: that of MongoDB 6.0.
const OLDEST_WIRE: i32 = 17;

/// Checks as they are made.
#[derive(Default)]
struct Checks(Vec<PreflightCheck>);

impl Checks {
    fn add(&mut self, name: &'static str, level: CheckLevel, text: impl Into<String>) {
        self.0.push(PreflightCheck { name, level, text: text.into() });
    }
}

impl Migrator {
    /// Looks at everything that an `up` needs, and says of each whether it is there. Writes nothing, neither to the
    /// store nor to the folder of backups.
    pub async fn preflight(&self, request: &UpRequest) -> Preflight {
        let mut checks = Checks::default();
        match self.db.facts().await {
            Ok(facts) => {
                checks.add("connection", CheckLevel::Ok, self.db.location());
                server(&mut checks, &facts);
                self.store(&mut checks).await;
                let plan = self.what_is_pending(&mut checks, request).await;
                self.lease(&mut checks).await;
                if let Some(plan) = &plan {
                    self.modes(&mut checks, plan, &facts).await;
                    inverses(&mut checks, plan);
                    self.backups(&mut checks, plan).await;
                    self.effort(&mut checks, plan, request).await;
                }
            }
            Err(error) => {
                checks.add("connection", CheckLevel::Error, format!("{}: {error}", self.db.location()));
            }
        }
        Preflight { checks: checks.0 }
    }

    async fn store(&self, checks: &mut Checks) {
        match self.db.rights().await {
            Ok(Rights::Unlimited) => checks.add("rights", CheckLevel::Ok, "nobody has to log in"),
            Ok(Rights::Lacking(actions)) if actions.is_empty() => {
                checks.add("rights", CheckLevel::Ok, "the user may do what is needed");
            }
            Ok(Rights::Lacking(actions)) => checks.add(
                "rights",
                CheckLevel::Error,
                format!("the user may not {} on the whole database", actions.join(", ")),
            ),
            Err(error) => {
                checks.add(
                    "rights",
                    CheckLevel::Warning,
                    format!("what the user may do cannot be asked: {error}"),
                );
            }
        }
        match self.db.space().await {
            Ok(Space { used, free: Some(free) }) => {
                // Indexes, journal and log grow beside the data.
                let level = if free < used.max(64 << 20) { CheckLevel::Warning } else { CheckLevel::Ok };
                checks.add("space", level, format!("{} free, {} used", bytes(free), bytes(used)));
            }
            Ok(Space { used, free: None }) => {
                let text = format!("{} used; how much is free the server does not tell", bytes(used));
                checks.add("space", CheckLevel::Ok, text);
            }
            Err(error) => {
                checks.add(
                    "space",
                    CheckLevel::Warning,
                    format!("how much room there is cannot be asked: {error}"),
                );
            }
        }
    }

    /// Heads, ledger, variables.
    async fn what_is_pending(&self, checks: &mut Checks, request: &UpRequest) -> Option<UpPlan> {
        let heads = self.heads();
        if heads.len() <= 1 {
            checks.add(
                "heads",
                CheckLevel::Ok,
                heads.first().map_or("there are no migrations", String::as_str),
            );
        } else {
            checks.add("heads", CheckLevel::Error, format!("there are several: {}", heads.join(", ")));
        }
        let plan = match self.plan_up(request).await {
            Ok(plan) => plan,
            Err(error) => {
                checks.add("ledger", CheckLevel::Error, error.to_string());
                return None;
            }
        };
        let pending: Vec<_> = plan.actions.iter().map(|action| action.id.as_str()).collect();
        let mut text = match pending.as_slice() {
            [] => format!("{} applied, nothing pending", plan.already_applied),
            some => format!("{} applied, pending: {}", plan.already_applied, some.join(", ")),
        };
        if !plan.imports.is_empty() {
            text = format!("{text}; to be taken over from an earlier tool: {}", plan.imports.join(", "));
        }
        let resumed = |kind| matches!(kind, ActionKind::Resume | ActionKind::Retry | ActionKind::FinishUndo);
        let mut level = CheckLevel::Ok;
        if plan.actions.iter().any(|action| resumed(action.kind)) {
            level = CheckLevel::Warning;
            text =
                format!("{text}; an earlier run did not come to its end, and this one would go on with it");
        }
        if !plan.unknown.is_empty() {
            level = CheckLevel::Warning;
            text = format!("{text}; not known to this program: {}", plan.unknown.join(", "));
        }
        checks.add("ledger", level, text);
        match self.missing_env(request).await {
            Ok(missing) if missing.is_empty() => {
                checks.add("variables", CheckLevel::Ok, "all that are needed are set");
            }
            Ok(missing) => {
                let each: Vec<_> =
                    missing.iter().map(|m| format!("{} needs {}", m.migration, m.variable)).collect();
                checks.add("variables", CheckLevel::Error, format!("{}, which is not set", each.join(", ")));
            }
            Err(error) => checks.add("variables", CheckLevel::Error, error.to_string()),
        }
        self.checksums(checks).await;
        Some(plan)
    }

    async fn checksums(&self, checks: &mut Checks) {
        match self.checksum_drift().await {
            Ok(drift) if drift.is_empty() => {
                checks.add("checksums", CheckLevel::Ok, "what is applied is what this program has");
            }
            Ok(drift) => {
                let each: Vec<_> = drift.iter().map(ToString::to_string).collect();
                checks.add("checksums", CheckLevel::Warning, each.join("; "));
            }
            Err(error) => checks.add("checksums", CheckLevel::Error, error.to_string()),
        }
    }

    async fn lease(&self, checks: &mut Checks) {
        match self.db.lease_holder(LOCK, LEASE).await {
            Ok(Some(holder)) if !holder.remaining.is_zero() => {
                let seconds = holder.remaining.as_secs();
                let text = format!("held by {} for another {seconds} s unless it is renewed", holder.owner);
                checks.add("lock", CheckLevel::Warning, text);
            }
            Ok(_) => checks.add("lock", CheckLevel::Ok, "nobody holds it"),
            Err(error) => checks.add("lock", CheckLevel::Error, error.to_string()),
        }
    }

    async fn modes(&self, checks: &mut Checks, plan: &UpPlan, facts: &ServerFacts) {
        let mut refused = Vec::new();
        for at in plan.actions.iter().filter_map(|action| self.graph.dag().position(&action.id)) {
            if let Err(error) = self.mode_holds(facts.transactions, at).await {
                refused.push(error.to_string());
            }
        }
        if refused.is_empty() {
            checks.add("modes", CheckLevel::Ok, "every pending migration can be run as it says");
        } else {
            checks.add("modes", CheckLevel::Error, refused.join("; "));
        }
    }

    /// How much there is to do, and whether what is written down of it fits.
    async fn effort(&self, checks: &mut Checks, plan: &UpPlan, request: &UpRequest) {
        if plan.actions.is_empty() {
            return;
        }
        // What is wrong otherwise was told above.
        let Ok(preview) = self.look_ahead(request.clone(), false).await else { return };
        let all = &preview.migrations;
        let documents: u64 = all.iter().map(|one| one.documents).sum();
        let millis: u64 = all.iter().map(|one| one.estimate_ms).sum();
        let journal: u64 = all.iter().map(|one| one.journal_bytes).sum();
        let cap = self.settings.journal_cap_bytes;
        let (mut level, mut text) = (CheckLevel::Ok, format!("about {documents} documents to change"));
        if let Some(first) = all.first().filter(|_| documents > 0) {
            let seconds = millis.div_ceil(1000);
            text = format!("{text}, {seconds} s ({}), a journal of {}", first.estimate_from, bytes(journal));
        }
        for one in all.iter().filter(|one| one.journal_bytes > cap) {
            level = CheckLevel::Warning;
            text = format!(
                "{text}; {} would end half-way, since its journal may have {} and needs about {}",
                one.id,
                bytes(cap),
                bytes(one.journal_bytes)
            );
        }
        checks.add("effort", level, text);
    }

    async fn backups(&self, checks: &mut Checks, plan: &UpPlan) {
        let at = |id: &str| self.graph.dag().position(id).map(|at| self.graph.get(at));
        let risky: Vec<_> = plan
            .actions
            .iter()
            .filter_map(|action| Some((action.id.as_str(), at(&action.id)?)))
            .filter(|(_, migration)| backup::backup_reason(BackupPolicy::Risky, *migration).is_some())
            .map(|(id, _)| id)
            .collect();
        let Some(settings) = &self.settings.backup else {
            return if risky.is_empty() {
                checks.add("backups", CheckLevel::Ok, "none are taken, and no pending migration is risky");
            } else {
                let text = format!("none are taken, and these are risky: {}", risky.join(", "));
                checks.add("backups", CheckLevel::Warning, text);
            };
        };
        let wanted = plan.actions.iter().any(|action| action.backup.is_some());
        let size = if wanted { size_of(&self.db).await } else { None };
        match room(&settings.dir) {
            Ok(free) => {
                let short = size.is_some_and(|size| free < size);
                let level = if short { CheckLevel::Warning } else { CheckLevel::Ok };
                let text = format!("{} can be written, {} free", settings.dir.display(), bytes(free));
                checks.add("backups", level, text);
            }
            // Without a backup to take it is a warning: later ones will need it.
            Err(error) => {
                let level = if wanted { CheckLevel::Error } else { CheckLevel::Warning };
                checks.add("backups", level, format!("{}: {error}", settings.dir.display()));
            }
        }
    }
}

fn inverses(checks: &mut Checks, plan: &UpPlan) {
    let gone: Vec<_> = plan
        .actions
        .iter()
        .filter_map(|action| match action.undo {
            Undo::Irreversible(why) => Some(format!("{} ({why})", action.id)),
            _ => None,
        })
        .collect();
    if gone.is_empty() {
        checks.add("way back", CheckLevel::Ok, "every pending migration can be taken back");
    } else {
        checks.add("way back", CheckLevel::Warning, format!("cannot be taken back: {}", gone.join(", ")));
    }
}

fn server(checks: &mut Checks, facts: &ServerFacts) {
    let what = match &facts.topology {
        Topology::File => "one file".to_owned(),
        Topology::Standalone => "a standalone server".into(),
        Topology::ReplicaSet(name) => format!("replica set {name}"),
        Topology::Sharded => "sharded cluster".into(),
    };
    let name = if facts.engine == EngineKind::Mongo { "MongoDB" } else { "SQLite" };
    let text = format!("{name} {}, {what}", facts.version);
    if facts.engine == EngineKind::Mongo && facts.wire_version < OLDEST_WIRE {
        checks.add(
            "server",
            CheckLevel::Error,
            format!("{text}; the oldest that is supported is MongoDB 6.0"),
        );
    } else if facts.topology == Topology::Standalone {
        let text = format!("{text}: it has no transactions, so what a dead runner was at may show half-way");
        checks.add("server", CheckLevel::Warning, text);
    } else {
        checks.add("server", CheckLevel::Ok, text);
    }
}

/// What a backup of everything would take at the most.
async fn size_of(db: &Database) -> Option<u64> {
    db.space().await.ok().map(|space| space.used)
}

/// How much is free where a folder is, or is to be. Nothing is made.
fn room(dir: &Path) -> Result<u64, String> {
    let dir = std::path::absolute(dir).map_err(|error| error.to_string())?;
    let there = dir.ancestors().find(|folder| folder.exists()).ok_or("no part of its path is there")?;
    if !there.is_dir() {
        return Err(format!("{} is no folder", there.display()));
    }
    rustix::fs::access(there, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
        .map_err(|error| format!("{} cannot be written: {error}", there.display()))?;
    let room = rustix::fs::statvfs(there).map_err(|error| error.to_string())?;
    Ok(room.f_bavail.saturating_mul(room.f_frsize))
}

fn bytes(count: u64) -> String {
    match count {
        0..0x10_0000 => format!("{} KiB", count.div_ceil(1024)),
        0x10_0000..0x2_8000_0000 => format!("{} MiB", count >> 20),
        _ => format!("{} GiB", count >> 30),
    }
}

impl Preflight {
    /// Whether nothing stands in the way.
    pub fn passed(&self) -> bool {
        !self.checks.iter().any(|check| check.level == CheckLevel::Error)
    }

    /// The exit code of a program that was asked for it: 0, or 8 if an `up` would be refused or fail.
    pub fn exit_code(&self) -> u8 {
        if self.passed() { 0 } else { 8 }
    }
}
