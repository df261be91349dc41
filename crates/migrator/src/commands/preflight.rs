use std::fmt::Display;
use std::path::Path;

use docstore::{EngineKind, Rights, ServerFacts, Space, Topology};

use super::accept_checksum::checksum_drift;
use super::lock::live_holder;
use super::mode_checks::require_mode;
use super::preview::{missing_env, plan_up, preview};
use crate::backup::{self, BackupPolicy};
use crate::dry_run::duration_text;
use crate::report::{CheckLevel, Preflight, PreflightCheck};
use crate::{ActionKind, Migrator, Preview, Result, Undo, UpPlan, UpRequest};

/// The oldest wire version that is supported: that of MongoDB 6.0.
const OLDEST_WIRE: i32 = 17;

pub(crate) async fn preflight(m: &Migrator, request: &UpRequest) -> Preflight {
    let mut checks = Vec::new();
    let mut add = |name, (level, text)| checks.push(PreflightCheck { name, level, text });
    match m.db.facts().await {
        Err(failed) => add("connection", error(format!("{}: {failed}", m.db.location()))),
        Ok(facts) => {
            add("connection", ok(m.db.location()));
            add("server", server(&facts));
            add("rights", rights(m).await);
            add("space", space(m).await);
            add("heads", heads(m));
            let plan = plan_up(m, request).await;
            add("ledger", plan.as_ref().map_or_else(error, ledger));
            if plan.is_ok() {
                add("variables", variables(m, request).await.unwrap_or_else(error));
                add("checksums", checksums(m).await.unwrap_or_else(error));
            }
            add("lock", lease(m).await.unwrap_or_else(error));
            if let Ok(plan) = &plan {
                add("modes", modes(m, plan, &facts).await);
                add("way back", rollbacks(plan));
                add("backups", backups(m, plan).await);
                if !plan.actions.is_empty()
                    // Other errors were reported by the checks above.
                    && let Ok(preview) = preview(m, request, true).await
                {
                    add("effort", effort(m, &preview));
                }
            }
        }
    }
    Preflight { checks }
}

/// The outcome of a check, and its text.
type Verdict = (CheckLevel, String);

fn ok(text: impl Into<String>) -> Verdict {
    (CheckLevel::Ok, text.into())
}

fn warning(text: impl Into<String>) -> Verdict {
    (CheckLevel::Warning, text.into())
}

fn error(text: impl Display) -> Verdict {
    (CheckLevel::Error, format!("{text}"))
}

/// Returns the verdict on a list of problems: `fine` if there are none.
fn list(level: CheckLevel, fine: &str, problems: &[String]) -> Verdict {
    if problems.is_empty() { ok(fine) } else { (level, problems.join("; ")) }
}

fn server(facts: &ServerFacts) -> Verdict {
    let topology = match &facts.topology {
        Topology::File => "one file".to_owned(),
        Topology::Standalone => "a standalone server".into(),
        Topology::ReplicaSet(name) => format!("replica set {name}"),
        Topology::Sharded => "sharded cluster".into(),
    };
    let name = if facts.engine == EngineKind::Mongo { "MongoDB" } else { "SQLite" };
    let text = format!("{name} {}, {topology}", facts.version);
    if facts.engine == EngineKind::Mongo && facts.wire_version < OLDEST_WIRE {
        error(format!("{text}; the oldest supported version is MongoDB 6.0"))
    } else if facts.topology == Topology::Standalone {
        warning(format!(
            "{text}: without transactions, readers may see a half-written batch if a run is killed"
        ))
    } else {
        ok(text)
    }
}

async fn rights(m: &Migrator) -> Verdict {
    match m.db.rights().await {
        Ok(Rights::Unlimited) => ok("the store requires no login"),
        Ok(Rights::Lacking(actions)) if actions.is_empty() => {
            ok("the user has every privilege that is needed")
        }
        Ok(Rights::Lacking(actions)) => {
            let (actions, database) = (actions.join(", "), m.db.name());
            error(format!("the user lacks these privileges on the database {database}: {actions}"))
        }
        Err(failed) => warning(format!("failed to read the user's privileges: {failed}")),
    }
}

async fn space(m: &Migrator) -> Verdict {
    match m.db.space().await {
        Ok(Space { used, free: Some(free) }) => {
            // Indexes, journal and log grow beside the data.
            let level = if free < used.max(64 << 20) { CheckLevel::Warning } else { CheckLevel::Ok };
            (level, format!("{} free, {} used", bytes(free), bytes(used)))
        }
        Ok(Space { used: 0, free: None }) => {
            ok("the database does not exist yet, and the server reports free space only for one that does")
        }
        Ok(Space { used, free: None }) => {
            ok(format!("{} used; the server does not report free space", bytes(used)))
        }
        Err(failed) => warning(format!("failed to read the free space: {failed}")),
    }
}

fn heads(m: &Migrator) -> Verdict {
    match m.heads().as_slice() {
        [] => ok("there are no migrations"),
        [head] => ok(head),
        heads => error(format!("there are several: {}", heads.join(", "))),
    }
}

fn ledger(plan: &UpPlan) -> Verdict {
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
    (level, text)
}

async fn variables(m: &Migrator, request: &UpRequest) -> Result<Verdict> {
    let missing = missing_env(m, request).await?;
    if missing.is_empty() {
        return Ok(ok("all required variables are set"));
    }
    let each: Vec<_> = missing.iter().map(|m| format!("{} needs {}", m.migration, m.variable)).collect();
    Ok(error(format!("{}, which is not set", each.join(", "))))
}

async fn checksums(m: &Migrator) -> Result<Verdict> {
    let drift: Vec<_> = checksum_drift(m).await?.iter().map(ToString::to_string).collect();
    Ok(list(CheckLevel::Warning, "no applied migration has changed", &drift))
}

async fn lease(m: &Migrator) -> Result<Verdict> {
    let Some(holder) = live_holder(m).await? else { return Ok(ok("free")) };
    let text = format!("held by {} for another {} s", holder.owner, holder.remaining.as_secs());
    Ok(if holder.remaining <= m.settings.wait.max(m.settings.lease_ttl) {
        warning(format!("{text} unless renewed"))
    } else {
        error(format!(
            "{text}, longer than `up` waits; if its process is gone, run `field-notes migrate unlock --force --reason …`"
        ))
    })
}

async fn modes(m: &Migrator, plan: &UpPlan, facts: &ServerFacts) -> Verdict {
    let mut refused = Vec::new();
    for at in plan.actions.iter().filter_map(|action| m.dag().position(&action.id)) {
        if let Err(error) = require_mode(m, facts.transactions, at).await {
            refused.push(error.to_string());
        }
    }
    list(CheckLevel::Error, "every pending migration can run in its mode", &refused)
}

fn rollbacks(plan: &UpPlan) -> Verdict {
    let irreversible = |action: &crate::PlannedAction| match action.undo {
        Undo::Irreversible(why) => Some(format!("{} cannot be rolled back ({why})", action.id)),
        _ => None,
    };
    let irreversible: Vec<_> = plan.actions.iter().filter_map(irreversible).collect();
    list(CheckLevel::Warning, "every pending migration can be rolled back", &irreversible)
}

async fn backups(m: &Migrator, plan: &UpPlan) -> Verdict {
    let is_risky = |id: &str| {
        let migration = m.dag().position(id).map(|at| m.graph.get(at));
        migration.is_some_and(|it| backup::backup_reason(BackupPolicy::Risky, it).is_some())
    };
    let Some(settings) = &m.settings.backup else {
        let risky: Vec<_> = plan.actions.iter().map(|a| a.id.as_str()).filter(|id| is_risky(id)).collect();
        return if risky.is_empty() {
            ok("none are taken, and no pending migration is risky")
        } else {
            warning(format!("none are taken, and these are risky: {}", risky.join(", ")))
        };
    };
    let needed = plan.actions.iter().any(|action| action.backup.is_some());
    // An upper bound: a backup of everything.
    let size = if needed { m.db.space().await.ok().map(|space| space.used) } else { None };
    match free_space(&settings.dir) {
        Ok(free) => {
            let short = size.is_some_and(|size| free < size);
            let level = if short { CheckLevel::Warning } else { CheckLevel::Ok };
            (level, format!("{} is writable, {} free", settings.dir.display(), bytes(free)))
        }
        // If this run needs no backup it is a warning, because later ones will.
        Err(failed) => {
            let level = if needed { CheckLevel::Error } else { CheckLevel::Warning };
            (level, format!("{}: {failed}", settings.dir.display()))
        }
    }
}

/// Estimates the work, and checks that the journals fit their limit.
fn effort(m: &Migrator, preview: &Preview) -> Verdict {
    let all = &preview.migrations;
    let documents: u64 = all.iter().map(|one| one.documents).sum();
    let millis: u64 = all.iter().map(|one| one.estimate_ms).sum();
    let journal: u64 = all.iter().map(|one| one.journal_bytes).sum();
    let cap = m.settings.journal_cap_bytes;
    let (mut level, mut text) = (CheckLevel::Ok, format!("about {documents} documents to change"));
    if let Some(first) = all.first().filter(|_| documents > 0) {
        let (duration, basis) = (duration_text(millis), &first.estimate_from);
        text = format!("{text}, {duration} ({basis}), a journal of {}", bytes(journal));
    }
    for one in all.iter().filter(|one| one.journal_bytes > cap) {
        level = CheckLevel::Warning;
        let (limit, needed) = (bytes(cap), bytes(one.journal_bytes));
        text = format!(
            "{text}; {} would stop half-way: its journal is limited to {limit} and needs about {needed}",
            one.id
        );
    }
    (level, text)
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
