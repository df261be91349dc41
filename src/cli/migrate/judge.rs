use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Args, Subcommand};
use docstore::Index;
use migrator::{CheckLevel, DriftKind, Finding, IndexDrift, Lint, Preflight, Severity, drift};
use serde::Serialize;
use serde_json::json;

use super::context::Context;
use super::output::{Output, count};
use super::{author, plan};
use crate::cli::CliError;
use crate::repository::declared_indexes;

/// The exit code of drift.
const DRIFT: u8 = 6;
/// The exit code of migrations that contradict one another, or themselves.
const CONTRADICTION: u8 = 7;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Find out whether database and program agree, and say so by the exit code
    #[command(after_help = "Examples:
  field-notes migrate check
  field-notes migrate check --before-deploy --json

The exit code is 0; 3 if migrations are pending; 4 if one needs an operator; 6 if a checksum, an index or a condition is not as it
should be; 7 if the migrations of the program contradict one another. Of several the gravest: 7, 4, 6, 3.
With --before-deploy, what a start will do by itself is no fault: pending migrations and missing indexes; nor is what did not hold
already when a migration was applied or taken over.")]
    Check(CheckOf),
    /// Look for what is unsafe in the migrations
    #[command(after_help = "Examples:
  field-notes migrate lint
  field-notes migrate lint --strict

The exit code is 7 if there are errors, and with --strict if there are warnings. The data is looked at, too, where there is any.")]
    Lint {
        /// Take a warning for an error
        #[arg(long)]
        strict: bool,
    },
    /// Ask applied migrations whether what they promised still holds
    #[command(after_help = "Examples:
  field-notes migrate verify

The exit code is 6 if something does not hold.")]
    Verify,
    /// Look at everything that an up needs: server, rights, variables, lock, modes, room for backups
    #[command(after_help = "Examples:
  field-notes migrate preflight
  field-notes migrate preflight --to 0004 --json

The exit code is 8 if an up would be refused or fail. Nothing is written.")]
    Preflight(plan::Plan),
    /// Write the source of the migration that makes indexes as they are declared
    #[command(after_help = "Examples:
  field-notes migrate diff \"repair the indexes of stories\"

Nothing is written where indexes are as declared. What only misses is made by a start, too.")]
    Diff(author::New),
}

#[derive(Debug, Clone, Args)]
pub(super) struct CheckOf {
    /// Accept what a start of this program will do by itself
    #[arg(long)]
    before_deploy: bool,
}

impl Verb {
    pub(super) async fn run(self, context: &Context) -> Result<Output, CliError> {
        match self {
            Self::Check(CheckOf { before_deploy }) => {
                Ok(CheckReport::of(context, before_deploy).await?.told())
            }
            Self::Lint { strict } => lint(context, strict).await,
            Self::Verify => verify(context).await,
            Self::Preflight(wanted) => {
                let mut found = context.migrator.preflight(&wanted.range.request()).await;
                if context.is_missing()
                    && let Some(check) = found.checks.iter_mut().find(|check| check.name == "connection")
                {
                    "there is no store yet; an up makes it".clone_into(&mut check.text);
                }
                let code = found.exit_code();
                Ok(Output::new(&found, preflight_text(&found)).with_code(code))
            }
            Self::Diff(wanted) => author::diff(context, &wanted).await,
        }
    }
}

/// What was looked at, and what is wrong.
#[derive(Debug, Default, Serialize)]
struct CheckReport {
    /// What is as it should be.
    fine: Vec<&'static str>,
    /// What a start will do by itself.
    accepted: Vec<String>,
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize)]
struct Problem {
    /// `heads`, `repair`, `pending`, `checksum`, `condition`, `index` or `lint`.
    kind: &'static str,
    text: String,
    #[serde(skip)]
    code: u8,
}

impl CheckReport {
    async fn of(context: &Context, before_deploy: bool) -> Result<Self, CliError> {
        let mut judgement = Self::default();
        let migrator = &context.migrator;

        let heads = migrator.heads();
        let several = (heads.len() > 1).then(|| {
            format!("several migrations come last: {}\n  run `field-notes migrate merge`", heads.join(", "))
        });
        judgement.take("heads", "one migration comes last", CONTRADICTION, several);

        let status = migrator.status().await?;
        let pending: Vec<_> = status.pending.iter().map(|entry| entry.id.as_str()).collect();
        let state = match migrator.verify().await {
            Ok(()) => None,
            Err(error) => match error.exit_code() {
                // Output already.
                CONTRADICTION if heads.len() > 1 => None,
                code @ (3..=7) => Some((code, error.to_string())),
                _ => return Err(error.into()),
            },
        };
        match state {
            Some((3, _)) if before_deploy => {
                judgement.accepted.push(format!("pending: {}", pending.join(", ")));
            }
            Some((3, text)) => judgement.take("pending", "", 3, Some(text)),
            Some((code, text)) => judgement.take("repair", "", code, Some(text)),
            None => judgement.fine.push("nothing is pending, and nothing failed"),
        }

        let changed = migrator.checksum_drift().await?;
        let changed = changed.iter().map(|drift| {
            format!(
                "{drift}\n  restore its source, or run \
                 `field-notes migrate repair {} --accept-checksum --reason \"…\"`",
                drift.id
            )
        });
        judgement.take("checksum", "what is applied is what the program has", DRIFT, changed);

        let broken = migrator.conditions().await?;
        // What was told when it was applied or taken over has been there ever since; a deploy does not make it worse.
        let known = |id: &str, finding: &Finding| {
            status.applied.iter().any(|entry| entry.id == id && entry.warnings.contains(&finding.0))
        };
        let (old, new): (Vec<_>, Vec<_>) =
            broken.iter().partition(|(id, finding)| before_deploy && known(id, finding));
        judgement.accepted.extend(old.iter().map(|(id, finding)| format!("known of {id}: {finding}")));
        let broken = new.iter().map(|(id, finding)| format!("{id}: {finding}"));
        judgement.take("condition", "what was promised holds", DRIFT, broken);

        let mut odd = Vec::new();
        let drifts = index_drift(context).await?;
        let unmade = drifts
            .iter()
            .filter(|drift| matches!(drift.kind, DriftKind::Missing | DriftKind::Different))
            .count();
        let never_started = unmade == declared_indexes().len();
        if never_started {
            judgement.accepted.push("no start has made the indexes yet".to_owned());
        }
        for drift in drifts {
            match drift.kind {
                DriftKind::OtherName => {}
                DriftKind::Missing if never_started => {}
                DriftKind::Missing if before_deploy => judgement.accepted.push(drift.to_string()),
                DriftKind::Missing => odd.push(format!("{drift}; a start makes it")),
                _ => odd.push(format!("{drift}\n  run `field-notes migrate diff \"repair the indexes\"`")),
            }
        }
        judgement.take("index", "indexes are as declared", DRIFT, odd);

        let lints = migrator.lint().await?;
        let grave = lints.iter().filter(|lint| lint.severity == Severity::Error).map(Lint::to_string);
        judgement.take("lint", "no rule finds an error", CONTRADICTION, grave);
        Ok(judgement)
    }

    fn take(
        &mut self,
        kind: &'static str,
        fine: &'static str,
        code: u8,
        texts: impl IntoIterator<Item = String>,
    ) {
        let before = self.problems.len();
        self.problems.extend(texts.into_iter().map(|text| Problem { kind, text, code }));
        if self.problems.len() == before {
            self.fine.push(fine);
        }
    }

    fn code(&self) -> u8 {
        let has = |code: &u8| self.problems.iter().any(|problem| problem.code == *code);
        let gravest = [CONTRADICTION, 4, DRIFT, 3].into_iter().find(has);
        gravest.or_else(|| self.problems.first().map(|problem| problem.code)).unwrap_or(0)
    }

    fn told(&self) -> Output {
        let mut text = String::new();
        for fine in &self.fine {
            _ = writeln!(text, "✓ {fine}");
        }
        for accepted in &self.accepted {
            _ = writeln!(text, "· {accepted}");
        }
        for Problem { text: what, .. } in &self.problems {
            _ = writeln!(text, "✗ {what}");
        }
        let code = self.code();
        let value = json!({
            "fine": self.fine, "accepted": self.accepted, "problems": self.problems, "exit_code": code,
        });
        Output::new(&value, text).with_code(code)
    }
}

/// What the database has in place of the declared indexes.
pub(super) async fn index_drift(context: &Context) -> Result<Vec<IndexDrift>, CliError> {
    let mut declared: BTreeMap<&str, Vec<Index>> = BTreeMap::new();
    for one in declared_indexes() {
        declared.entry(one.collection).or_default().push(one.index);
    }
    let declared: Vec<_> = declared.into_iter().map(|(name, indexes)| (name.to_owned(), indexes)).collect();
    Ok(drift::compare(&context.database, &declared).await?)
}

fn preflight_text(found: &Preflight) -> String {
    let mut text = String::new();
    for check in &found.checks {
        let mark = match check.level {
            CheckLevel::Ok => "✓",
            CheckLevel::Warning => "!",
            CheckLevel::Error => "✗",
        };
        let _ = writeln!(text, "{mark} {}: {}", check.name, check.text);
    }
    text.push_str(if found.passed() {
        "an up can run; nothing was changed\n"
    } else {
        "an up would be refused, or fail; nothing was changed\n"
    });
    text
}

async fn lint(context: &Context, strict: bool) -> Result<Output, CliError> {
    let lints = context.migrator.lint().await?;
    let errors = lints.iter().filter(|lint| lint.severity == Severity::Error).count();
    let warnings = lints.len() - errors;
    let mut text = lints.iter().fold(String::new(), |text, lint| format!("{text}{lint}\n"));
    _ = writeln!(text, "{}, {}", count(errors, "error"), count(warnings, "warning"));
    let fails = errors > 0 || (strict && warnings > 0);
    let told = Output::new(&json!({ "lints": lints, "errors": errors, "warnings": warnings }), text);
    Ok(told.with_code(if fails { CONTRADICTION } else { 0 }))
}

async fn verify(context: &Context) -> Result<Output, CliError> {
    let applied = context.migrator.status().await?.applied.len();
    let findings = context.migrator.conditions().await?;
    let mut text = String::new();
    for (id, finding) in &findings {
        _ = writeln!(text, "✗ {id}: {finding}");
    }
    let summary = match (findings.len(), applied) {
        (0, 0) => "nothing is applied, so there is nothing to hold\n".to_owned(),
        (0, n) => format!("what {} promised holds\n", count(n, "applied migration")),
        (n, _) => {
            let does = if n == 1 { "does" } else { "do" };
            let one = findings.iter().all(|(id, _)| *id == findings[0].0);
            let redo = if one { findings[0].0.as_str() } else { "ID" };
            format!(
                "{n} of what was promised {does} not hold; nothing was changed\n  correct the data, or run \
                 `field-notes migrate redo {redo}`\n"
            )
        }
    };
    text.push_str(&summary);
    let findings: Vec<_> =
        findings.iter().map(|(id, finding)| json!({ "migration": id, "finding": finding.0 })).collect();
    let code = if findings.is_empty() { 0 } else { DRIFT };
    Ok(Output::new(&json!({ "applied": applied, "findings": findings }), text).with_code(code))
}
