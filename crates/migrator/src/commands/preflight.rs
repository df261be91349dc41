use std::path::Path;

use docstore::{EngineKind, Rights, ServerFacts, Space, Topology};

use super::accept_checksum::checksum_drift;
use super::lock::live_holder;
use super::mode_checks::require_mode;
use super::preview::{missing_env, plan_up, preview};
use crate::backup::{self, BackupPolicy};
use crate::report::{CheckLevel, Preflight, PreflightCheck};
use crate::{ActionKind, Migrator, Undo, UpPlan, UpRequest};

/// The oldest wire version that is supported: that of MongoDB 6.0.
const OLDEST_WIRE: i32 = 17;

pub(crate) async fn preflight(m: &Migrator, request: &UpRequest) -> Preflight {
    let mut checks = Checks(Vec::new());
    match m.db.facts().await {
        Err(error) => checks.error("connection", format!("{}: {error}", m.db.location())),
        Ok(facts) => {
            checks.ok("connection", m.db.location());
            server(&mut checks, &facts);
            rights(&mut checks, m).await;
            space(&mut checks, m).await;
            heads(&mut checks, m);
            let plan = ledger(&mut checks, m, request).await;
            if plan.is_some() {
                variables(&mut checks, m, request).await;
                checksums(&mut checks, m).await;
            }
            lease(&mut checks, m).await;
            if let Some(plan) = &plan {
                modes(&mut checks, m, plan, &facts).await;
                rollbacks(&mut checks, plan);
                backups(&mut checks, m, plan).await;
                effort(&mut checks, m, plan, request).await;
            }
        }
    }
    Preflight { checks: checks.0 }
}

/// The checks so far.
struct Checks(Vec<PreflightCheck>);

impl Checks {
    fn add(&mut self, name: &'static str, level: CheckLevel, text: impl Into<String>) {
        self.0.push(PreflightCheck { name, level, text: text.into() });
    }

    fn ok(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(name, CheckLevel::Ok, text);
    }

    fn warning(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(name, CheckLevel::Warning, text);
    }

    fn error(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(name, CheckLevel::Error, text);
    }

    /// Adds a check that lists problems, or `fine` if there are none.
    fn list(&mut self, name: &'static str, level: CheckLevel, fine: &str, problems: &[String]) {
        if problems.is_empty() { self.ok(name, fine) } else { self.add(name, level, problems.join("; ")) }
    }
}

fn server(checks: &mut Checks, facts: &ServerFacts) {
    let topology = match &facts.topology {
        Topology::File => "one file".to_owned(),
        Topology::Standalone => "a standalone server".into(),
        Topology::ReplicaSet(name) => format!("replica set {name}"),
        Topology::Sharded => "sharded cluster".into(),
    };
    let name = if facts.engine == EngineKind::Mongo { "MongoDB" } else { "SQLite" };
    let text = format!("{name} {}, {topology}", facts.version);
    if facts.engine == EngineKind::Mongo && facts.wire_version < OLDEST_WIRE {
        checks.error("server", format!("{text}; the oldest supported version is MongoDB 6.0"));
    } else if facts.topology == Topology::Standalone {
        let warning = "without transactions, readers may see a half-written batch if a run is killed";
        checks.warning("server", format!("{text}: {warning}"));
    } else {
        checks.ok("server", text);
    }
}

async fn rights(checks: &mut Checks, m: &Migrator) {
    match m.db.rights().await {
        Ok(Rights::Unlimited) => checks.ok("rights", "the store requires no login"),
        Ok(Rights::Lacking(actions)) if actions.is_empty() => {
            checks.ok("rights", "the user has every privilege that is needed");
        }
        Ok(Rights::Lacking(actions)) => {
            let text = format!("the user may not {} on the whole database", actions.join(", "));
            checks.error("rights", text);
        }
        Err(error) => checks.warning("rights", format!("failed to read the user's privileges: {error}")),
    }
}

async fn space(checks: &mut Checks, m: &Migrator) {
    match m.db.space().await {
        Ok(Space { used, free: Some(free) }) => {
            // Indexes, journal and log grow beside the data.
            let level = if free < used.max(64 << 20) { CheckLevel::Warning } else { CheckLevel::Ok };
            checks.add("space", level, format!("{} free, {} used", bytes(free), bytes(used)));
        }
        Ok(Space { used, free: None }) => {
            checks.ok("space", format!("{} used; the server does not report free space", bytes(used)));
        }
        Err(error) => checks.warning("space", format!("failed to read the free space: {error}")),
    }
}

fn heads(checks: &mut Checks, m: &Migrator) {
    let heads = m.heads();
    if heads.len() > 1 {
        checks.error("heads", format!("there are several: {}", heads.join(", ")));
    } else {
        checks.ok("heads", heads.first().map_or("there are no migrations", String::as_str));
    }
}

/// Returns the plan, if the ledger allows one.
async fn ledger(checks: &mut Checks, m: &Migrator, request: &UpRequest) -> Option<UpPlan> {
    let plan = match plan_up(m, request).await {
        Ok(plan) => plan,
        Err(error) => {
            checks.error("ledger", error.to_string());
            return None;
        }
    };
    let pending: Vec<_> = plan.actions.iter().map(|action| action.id.as_str()).collect();
    let mut text = match pending.as_slice() {
        [] => format!("{} applied, nothing pending", plan.already_applied),
        some => format!("{} applied, pending: {}", plan.already_applied, some.join(", ")),
    };
    if !plan.imports.is_empty() {
        text = format!("{text}; to be imported from an earlier tool: {}", plan.imports.join(", "));
    }
    let mut level = CheckLevel::Ok;
    if plan.actions.iter().any(|action| action.kind != ActionKind::Apply) {
        level = CheckLevel::Warning;
        text = format!("{text}; an earlier run did not finish, and this one would resume it");
    }
    if !plan.unknown.is_empty() {
        level = CheckLevel::Warning;
        text = format!("{text}; not known to this program: {}", plan.unknown.join(", "));
    }
    checks.add("ledger", level, text);
    Some(plan)
}

async fn variables(checks: &mut Checks, m: &Migrator, request: &UpRequest) {
    match missing_env(m, request).await {
        Ok(missing) if missing.is_empty() => checks.ok("variables", "all required variables are set"),
        Ok(missing) => {
            let each: Vec<_> =
                missing.iter().map(|m| format!("{} needs {}", m.migration, m.variable)).collect();
            checks.error("variables", format!("{}, which is not set", each.join(", ")));
        }
        Err(error) => checks.error("variables", error.to_string()),
    }
}

async fn checksums(checks: &mut Checks, m: &Migrator) {
    match checksum_drift(m).await {
        Ok(drift) => {
            let drift: Vec<_> = drift.iter().map(ToString::to_string).collect();
            checks.list("checksums", CheckLevel::Warning, "no applied migration has changed", &drift);
        }
        Err(error) => checks.error("checksums", error.to_string()),
    }
}

async fn lease(checks: &mut Checks, m: &Migrator) {
    match live_holder(m).await {
        Ok(Some(holder)) => {
            let seconds = holder.remaining.as_secs();
            let text = format!("held by {} for another {seconds} s unless renewed", holder.owner);
            checks.warning("lock", text);
        }
        Ok(None) => checks.ok("lock", "free"),
        Err(error) => checks.error("lock", error.to_string()),
    }
}

async fn modes(checks: &mut Checks, m: &Migrator, plan: &UpPlan, facts: &ServerFacts) {
    let mut refused = Vec::new();
    for at in plan.actions.iter().filter_map(|action| m.dag().position(&action.id)) {
        if let Err(error) = require_mode(m, facts.transactions, at).await {
            refused.push(error.to_string());
        }
    }
    checks.list("modes", CheckLevel::Error, "every pending migration can run in its mode", &refused);
}

fn rollbacks(checks: &mut Checks, plan: &UpPlan) {
    let irreversible = |action: &crate::PlannedAction| match action.undo {
        Undo::Irreversible(why) => Some(format!("{} cannot be rolled back ({why})", action.id)),
        _ => None,
    };
    let irreversible: Vec<_> = plan.actions.iter().filter_map(irreversible).collect();
    let fine = "every pending migration can be rolled back";
    checks.list("way back", CheckLevel::Warning, fine, &irreversible);
}

async fn backups(checks: &mut Checks, m: &Migrator, plan: &UpPlan) {
    let is_risky = |id: &str| {
        let migration = m.dag().position(id).map(|at| m.graph.get(at));
        migration.is_some_and(|it| backup::backup_reason(BackupPolicy::Risky, it).is_some())
    };
    let Some(settings) = &m.settings.backup else {
        let risky: Vec<_> = plan.actions.iter().map(|a| a.id.as_str()).filter(|id| is_risky(id)).collect();
        return if risky.is_empty() {
            checks.ok("backups", "none are taken, and no pending migration is risky");
        } else {
            let text = format!("none are taken, and these are risky: {}", risky.join(", "));
            checks.warning("backups", text);
        };
    };
    let needed = plan.actions.iter().any(|action| action.backup.is_some());
    // An upper bound: a backup of everything.
    let size = if needed { m.db.space().await.ok().map(|space| space.used) } else { None };
    match free_space(&settings.dir) {
        Ok(free) => {
            let short = size.is_some_and(|size| free < size);
            let level = if short { CheckLevel::Warning } else { CheckLevel::Ok };
            let text = format!("{} is writable, {} free", settings.dir.display(), bytes(free));
            checks.add("backups", level, text);
        }
        // If this run needs no backup it is a warning, because later ones will.
        Err(error) => {
            let level = if needed { CheckLevel::Error } else { CheckLevel::Warning };
            checks.add("backups", level, format!("{}: {error}", settings.dir.display()));
        }
    }
}

/// Estimates the work, and checks that the journals fit their limit.
async fn effort(checks: &mut Checks, m: &Migrator, plan: &UpPlan, request: &UpRequest) {
    if plan.actions.is_empty() {
        return;
    }
    // Other errors were reported by the checks above.
    let Ok(preview) = preview(m, request, false).await else { return };
    let all = &preview.migrations;
    let documents: u64 = all.iter().map(|one| one.documents).sum();
    let millis: u64 = all.iter().map(|one| one.estimate_ms).sum();
    let journal: u64 = all.iter().map(|one| one.journal_bytes).sum();
    let cap = m.settings.journal_cap_bytes;
    let (mut level, mut text) = (CheckLevel::Ok, format!("about {documents} documents to change"));
    if let Some(first) = all.first().filter(|_| documents > 0) {
        let seconds = millis.div_ceil(1000);
        text = format!("{text}, {seconds} s ({}), a journal of {}", first.estimate_from, bytes(journal));
    }
    for one in all.iter().filter(|one| one.journal_bytes > cap) {
        level = CheckLevel::Warning;
        let (limit, needed) = (bytes(cap), bytes(one.journal_bytes));
        text = format!(
            "{text}; {} would stop half-way: its journal is limited to {limit} and needs about {needed}",
            one.id
        );
    }
    checks.add("effort", level, text);
}

/// Returns the free bytes where a folder is, or would be created. Creates nothing.
fn free_space(dir: &Path) -> Result<u64, String> {
    let dir = std::path::absolute(dir).map_err(|error| error.to_string())?;
    let existing = dir.ancestors().find(|folder| folder.exists()).ok_or("no part of its path exists")?;
    if !existing.is_dir() {
        return Err(format!("{} is not a folder", existing.display()));
    }
    rustix::fs::access(existing, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
        .map_err(|error| format!("{} is not writable: {error}", existing.display()))?;
    let space = rustix::fs::statvfs(existing).map_err(|error| error.to_string())?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

fn bytes(count: u64) -> String {
    match count {
        0..0x10_0000 => format!("{} KiB", count.div_ceil(1024)),
        0x10_0000..0x2_8000_0000 => format!("{} MiB", count >> 20),
        _ => format!("{} GiB", count >> 30),
    }
}
