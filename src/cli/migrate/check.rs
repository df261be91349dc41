use clap::Args;
use migrator::{DriftKind, IndexDrift, Lint, Severity, Source, Status};
use serde::Serialize;
use serde_json::json;

use super::diff::index_drift;
use super::{CONTRADICTION, CliError, Context, DRIFT, Lines, Output, Run};
use crate::cli::doctor;
use crate::cli::output::LOCKED;
use crate::repository::{IndexFailure, declared_indexes, expected_failures};
use crate::startup;

/// The exit code of pending migrations.
const PENDING: u8 = 3;
/// The exit code of a migration that needs an operator.
const NEEDS_REPAIR: u8 = 4;

/// Check that database and program agree; report by exit code
///
/// Examples:
///   field-notes migrate check
///   field-notes migrate check --before-deploy --json
///
/// Exit codes: 0 if they agree; 3 if migrations are pending; 4 if one needs an operator; 6 if a checksum, an
/// index or a condition has drifted, or if a start would fail; 7 if the migrations of the program contradict one
/// another. The first of 7, 4, 6 and 3 that applies is returned. Conditions that do not hold any more are accepted
/// unless the migration was stamped, because users may change the data. With --before-deploy, pending migrations
/// and missing indexes are accepted, because the next start applies and creates them.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct CheckArgs {
    /// Accept everything that the next start of this program fixes
    #[arg(long)]
    before_deploy: bool,
}

impl Run for CheckArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let status = context.migrator.status().await?;
        let mut report = CheckReport { before_deploy: self.before_deploy, ..CheckReport::default() };
        report.check_ledger(context, &status).await?;
        report.check_checksums(context).await?;
        report.check_conditions(context, &status).await?;
        report.check_indexes(context).await?;
        report.check_start(context).await?;
        let lints = context.migrator.lint().await?;
        let errors = lints.iter().filter(|lint| lint.severity == Severity::Error).map(Lint::to_string);
        report.add("lint", "no lint errors", CONTRADICTION, errors);
        Ok(report.into_output())
    }
}

/// Returns whether a migration was recorded as applied by an operator, so that its condition was never checked. Those of
/// all others were, and what differs now was changed since.
pub(super) fn is_stamped(status: &Status, id: &str) -> bool {
    status.applied.iter().any(|entry| entry.id == id && entry.source == Some(Source::Stamped))
}

#[derive(Debug, Default)]
struct CheckReport {
    before_deploy: bool,
    fine: Vec<&'static str>,
    /// Differences that the next start fixes or that are known.
    accepted: Vec<String>,
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize)]
struct Problem {
    /// `heads`, `repair`, `pending`, `checksum`, `condition`, `index`, `start` or `lint`.
    kind: &'static str,
    text: String,
    #[serde(skip)]
    code: u8,
}

impl CheckReport {
    /// Adds problems of one kind; without any, `fine` is reported.
    fn add(
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

    async fn check_ledger(&mut self, context: &Context, status: &Status) -> Result<(), CliError> {
        let heads = context.migrator.heads();
        let several = (heads.len() > 1)
            .then(|| format!("several heads: {}\n  run `field-notes migrate merge`", heads.join(", ")));
        let is_reported = several.is_some();
        self.add("heads", "there is one head", CONTRADICTION, several);
        let Err(error) = context.migrator.verify().await else {
            self.fine.push("no migration is pending or failed");
            return Ok(());
        };
        match error.exit_code() {
            CONTRADICTION if is_reported => self.fine.push("no migration is pending or failed"),
            PENDING if self.before_deploy => {
                let ids: Vec<_> = status.pending.iter().map(|entry| entry.id.as_str()).collect();
                self.accepted.push(format!("pending: {}", ids.join(", ")));
            }
            PENDING => self.add("pending", "", PENDING, [error.to_string()]),
            code @ (4..=7) => self.add("repair", "", code, [error.to_string()]),
            _ => return Err(error.into()),
        }
        Ok(())
    }

    async fn check_checksums(&mut self, context: &Context) -> Result<(), CliError> {
        let changed = context.migrator.checksum_drift().await?;
        let changed = changed.iter().map(|drift| {
            let id = &drift.id;
            format!(
                "{drift}\n  restore its source, or run `field-notes migrate repair {id} --accept-checksum --reason \"…\"`"
            )
        });
        self.add("checksum", "applied migrations match the program", DRIFT, changed);
        Ok(())
    }

    async fn check_conditions(&mut self, context: &Context, status: &Status) -> Result<(), CliError> {
        let findings = context.migrator.conditions().await?;
        let (violations, changed): (Vec<_>, Vec<_>) =
            findings.iter().partition(|(id, _)| is_stamped(status, id));
        self.accepted.extend(changed.iter().map(|(id, finding)| format!("changed since {id}: {finding}")));
        let violations = violations.iter().map(|(id, finding)| format!("{id}: {finding}"));
        self.add("condition", "all conditions held when migrations were applied", DRIFT, violations);
        Ok(())
    }

    async fn check_indexes(&mut self, context: &Context) -> Result<(), CliError> {
        let drifts = index_drift(context).await?;
        let absent =
            drifts.iter().filter(|drift| matches!(drift.kind, DriftKind::Missing | DriftKind::Different));
        // A start creates all of them, so that most are absent only before the first start on this database.
        let never_started = absent.count() * 2 > declared_indexes().len();
        if never_started {
            self.accepted.push("indexes are not created yet: the first start creates them".to_owned());
        }
        let failures = expected_failures(&context.database).await?;
        let special = |drift: &IndexDrift| {
            failures.iter().any(|failure| {
                matches!(failure, IndexFailure::Collection { collection, .. } if *collection == drift.collection)
            })
        };
        let mut problems: Vec<_> = failures.iter().map(ToString::to_string).collect();
        self.accepted.extend(doctor::similar_users(&context.database).await?);
        for drift in drifts {
            match drift.kind {
                // A conflict is among the failures.
                DriftKind::OtherName | DriftKind::Different => {}
                _ if special(&drift) => {}
                DriftKind::Missing if never_started => {}
                DriftKind::Missing if self.before_deploy => self.accepted.push(drift.to_string()),
                DriftKind::Missing => problems.push(format!("{drift}; the next start creates it")),
                DriftKind::Extra => {
                    problems
                        .push(format!("{drift}\n  run `field-notes migrate diff \"repair the indexes\"`"));
                }
            }
        }
        let fine = if never_started { "no other index differs" } else { "indexes match their declarations" };
        self.add("index", fine, DRIFT, problems);
        Ok(())
    }

    /// Adds the failures of the next start that the other checks do not report in its words.
    async fn check_start(&mut self, context: &Context) -> Result<(), CliError> {
        let Context { config, database, migrator, .. } = context;
        for failure in startup::expected_failures(config, database, migrator).await? {
            let is_reported = self.problems.iter().any(|problem| problem.text == failure.message);
            if !is_reported {
                let code = if failure.exit == 1 { DRIFT } else { failure.exit };
                self.problems.push(Problem { kind: "start", text: failure.message, code });
            }
        }
        Ok(())
    }

    /// Returns the exit code of the gravest problem.
    fn code(&self) -> u8 {
        let has = |code: &u8| self.problems.iter().any(|problem| problem.code == *code);
        let gravest = [CONTRADICTION, NEEDS_REPAIR, DRIFT, PENDING, LOCKED].into_iter().find(has);
        gravest.or(self.problems.first().map(|problem| problem.code)).unwrap_or(0)
    }

    fn into_output(self) -> Output {
        let mut text = String::new();
        text.push_lines(self.fine.iter().map(|fine| format!("✓ {fine}")));
        text.push_lines(self.accepted.iter().map(|accepted| format!("· {accepted}")));
        text.push_lines(self.problems.iter().map(|problem| format!("✗ {}", problem.text)));
        let code = self.code();
        let Self { fine, accepted, problems, .. } = self;
        let value = json!({ "fine": fine, "accepted": accepted, "problems": problems, "exit_code": code });
        Output::new(&value, text).with_code(code)
    }
}
