use std::collections::BTreeSet;

use docstore::{Field, Filter};

use super::{Linter, Rule, Severity};
use crate::operation::Operation;
use crate::step::Step;
use crate::{Mode, Phase, Undo};

/// Words that do not describe a change.
const VAGUE: &str = "change changes cleanup data db do fix fixes migrate migration minor misc more new other patch stuff temp test \
                     thing things tmp update updates various wip";

/// Prefix of the engine's own collections.
const ENGINE: &str = "_migration";

/// Constructors of steps that remove something.
const TAKE_AWAY: &[&str] = &["unset_field", "rename_end", "delete"];

/// Calls whose value differs between attempts, as tokens of the source.
const RANDOM: &[&str] = &[
    "Utc :: now (",
    "Local :: now (",
    "DateTime :: now (",
    "SystemTime :: now (",
    "Instant :: now (",
    "ObjectId :: new (",
    "Uuid :: new_v4 (",
    "Uuid :: now_v7 (",
    "rand :: ",
];

/// Calls that read the environment of the process, as tokens of the source.
const ENVIRONMENT: &[&str] = &["env :: var (", "env :: var_os (", "env :: vars (", "dotenvy :: "];

impl Linter<'_> {
    pub(super) fn check_declaration(&mut self) {
        self.check_name();
        self.check_undo();
        self.check_touched();
        self.check_steps();
        self.check_concerns();
        self.check_renames();
        match self.meta.phase {
            Phase::Expand => self.check_expand(),
            Phase::Contract => self.check_contract(),
        }
        self.check_code();
    }

    fn check_name(&mut self) {
        let words: Vec<&str> = self.meta.id.split('_').skip(1).filter(|word| !word.is_empty()).collect();
        let says_nothing = |word: &&str| {
            VAGUE.split(' ').any(|vague| vague == *word) || word.bytes().all(|b| b.is_ascii_digit())
        };
        if words.iter().all(says_nothing) {
            let text = "the name does not describe the change; name the change and its object, as in add_user_id_to_stories";
            self.add(Rule::VagueName, None, text);
        }
        if words.iter().skip(1).any(|word| *word == "and") {
            let text = "the name joins two changes; write a migration for each, so that each can be rolled back alone";
            self.add(Rule::TwoInName, None, text);
        }
        if self.meta.summary.trim().is_empty() {
            let text = "the summary is empty; describe the change in one line, for the status";
            self.add(Rule::NoSummary, None, text);
        }
    }

    fn check_undo(&mut self) {
        let (rule, text) = match self.undo {
            Undo::Irreversible(why) if why.trim().is_empty() => (
                Rule::NoReason,
                "it is irreversible without a stated reason; give the reason, for the operator who decides",
            ),
            Undo::Journal if !self.meta.journal => (
                Rule::NoJournal,
                "its rollback needs a journal, which it does not keep; keep one, or declare it irreversible",
            ),
            Undo::Code if self.code.as_ref().is_some_and(|code| !code.has("down")) => {
                (Rule::NoDown, "its rollback is code, but it has no method `down`")
            }
            _ => return,
        };
        self.add(rule, None, text);
    }

    fn check_touched(&mut self) {
        let meta = self.meta;
        for variable in self.variables.clone() {
            if !meta.requires_env.contains(&variable.as_str()) {
                let text = format!(
                    "it reads {variable} and does not require it, so that it could fail midway; add it to `requires_env`"
                );
                self.add(Rule::UndeclaredVariable, None, text);
            }
        }
        if meta.touches.is_empty() {
            let text = "it does not say which collections it writes to, so it never goes as independent of others; \
                        add `touches`";
            return self.add(Rule::TouchesUnsaid, None, text);
        }
        for step in self.steps.iter().filter(|step| !meta.touches.contains(&step.writes_to())) {
            let to = step.writes_to();
            let text = format!("it writes to {to}, which is not among the collections that it `touches`");
            self.add(Rule::TouchesMore, Some(step), text);
        }
    }

    fn check_steps(&mut self) {
        let mut names = BTreeSet::new();
        for step in self.steps {
            if !names.insert(&step.name) {
                let text = "another step has the same name, by which a repeated run identifies its journal";
                self.add(Rule::RepeatedStep, Some(step), text);
            }
            let changes_id = match &step.operation {
                Operation::Unset { field, .. } => *field == Field::ID,
                _ => step.operation.written_field() == Some(&Field::ID),
            };
            if changes_id {
                let text = "the id of a document cannot be changed; copy the documents under new ids and delete the old ones";
                self.add(Rule::ChangesId, Some(step), text);
            }
            if step.writes_to().starts_with(ENGINE) {
                let text = "migrations must not write to the engine's own collections";
                self.add(Rule::EngineCollection, Some(step), text);
            }
            if self.meta.mode != Mode::Transaction {
                continue;
            }
            if step.is_ddl() {
                let text =
                    "indexes cannot be created in a transaction; move them to a migration with another mode";
                self.add(Rule::DefinesInTransaction, Some(step), text);
            } else if step.operation.pending().is_some_and(|filter| is_whole(&filter, step)) {
                let text = "it changes the whole collection in one transaction, which fails once the collection has grown; \
                            use the mode `Idempotent` or `Batched`";
                self.add(Rule::WholeInTransaction, Some(step), text);
            }
        }
    }

    /// Reports a migration that makes several changes in several collections, which are separate concerns.
    fn check_concerns(&mut self) {
        let collections: BTreeSet<&str> = self.steps.iter().map(Step::writes_to).collect();
        let kinds: BTreeSet<String> = self.steps.iter().map(kind).collect();
        if self.steps.iter().any(Step::is_ddl) && !self.steps.iter().all(Step::is_ddl) {
            let text =
                "it changes documents and indexes; in separate migrations, one can fail without the other";
            self.add(Rule::SeveralConcerns, None, text);
        } else if collections.len() > 1 && kinds.len() > 1 {
            let text = "it makes different changes to different collections; in separate migrations, each can be rolled back alone";
            self.add(Rule::SeveralConcerns, None, text);
        }
    }

    /// A rename needs three releases; see [`Step::rename_begin`].
    fn check_renames(&mut self) {
        for step in self.steps {
            let Operation::Unset { field: old, renamed_to, .. } = &step.operation else { continue };
            let copies = |other: &Step, new: Option<&Field>| {
                other.collection == step.collection
                    && matches!(&other.operation, Operation::CopyField { from, to, .. }
                        if from == old && new.is_none_or(|new| to == new))
            };
            let is_begun =
                |new| self.before.as_ref().is_none_or(|all| all.iter().any(|other| copies(other, Some(new))));
            if self.steps.iter().any(|other| copies(other, None)) {
                let text = format!(
                    "it copies {old} and removes it at once, so programs that read it fail in between; begin the rename here, \
                     and end it in a later migration, after a program that uses the new field"
                );
                self.add(Rule::RenameAtOnce, Some(step), text);
            } else if let Some(new) = renamed_to.as_ref().filter(|new| !is_begun(new)) {
                let text = format!(
                    "it removes {old} where {new} exists, but no earlier migration copies {old} to {new}"
                );
                self.add(Rule::RenameWithoutCopy, Some(step), text);
            }
        }
    }

    fn check_expand(&mut self) {
        for step in self.steps {
            let (severity, rule, text) = match &step.operation {
                Operation::Unset { .. } | Operation::Delete { .. } => (
                    Severity::Error,
                    Rule::ExpandTakesAway,
                    "it removes what older programs may need; declare it as `Phase::Contract`, and run it once they are gone",
                ),
                Operation::DropIndex(_) => (
                    Severity::Warning,
                    Rule::ExpandTakesAway,
                    "older programs may need the index; declare it as `Phase::Contract`",
                ),
                Operation::CreateIndex(index) if index.is_unique() => (
                    Severity::Warning,
                    Rule::ExpandTightens,
                    "writes of older programs may be rejected as duplicates; make sure that they never write any",
                ),
                _ => continue,
            };
            self.add_as(severity, rule, Some(step), text);
        }
        // Steps made in code are known only after a dry run; its source can always be read.
        if self.steps.is_empty()
            && let Some(code) = &self.code
        {
            let lines = code.reach("up");
            let is_called =
                |method: &&&str| lines.iter().any(|line| line.contains(&format!("Step : : {method} (")));
            if let Some(method) = TAKE_AWAY.iter().find(is_called) {
                let text = format!(
                    "its code calls `{method}`, which removes what older programs may need; declare it as `Phase::Contract`"
                );
                self.add(Rule::ExpandTakesAway, None, text);
            }
        }
    }

    fn check_contract(&mut self) {
        let adds = |step: &Step| match &step.operation {
            Operation::Set { only_missing, .. } => *only_missing,
            Operation::CopyField { .. }
            | Operation::Insert { .. }
            | Operation::InsertMany { .. }
            | Operation::Copy { .. } => true,
            Operation::CreateIndex(index) => !index.is_unique(),
            _ => false,
        };
        if !self.steps.is_empty() && self.steps.iter().all(adds) {
            let text = "it only adds; as `Phase::Expand` it could run beside older programs";
            self.add(Rule::ContractOnlyAdds, None, text);
        }
    }

    fn check_code(&mut self) {
        let Some(code) = &self.code else { return };
        let lines = [code.reach("up"), code.reach("steps")].concat();
        let first = |calls: &[&str]| {
            let call = calls.iter().find(|call| lines.iter().any(|line| has(line, call)))?;
            Some(call.replace(' ', "").trim_end_matches('(').trim_end_matches("::").to_owned())
        };
        if let Some(call) = first(RANDOM) {
            let text = format!(
                "it uses `{call}`, whose value differs between attempts; use `cx.now()`, `Value::Now`, or let the store \
                 generate the id"
            );
            self.add(Rule::NotDeterministic, None, text);
        }
        if let Some(call) = first(ENVIRONMENT) {
            let text = format!(
                "it uses `{call}`, which bypasses the configuration; require the variable and read it with `cx.env`"
            );
            self.add(Rule::ProcessEnvironment, None, text);
        }
    }
}

/// Returns true if the line contains these tokens, not as the end of a longer one.
fn has(line: &str, words: &str) -> bool {
    line.match_indices(&words.replace("::", ": :")).any(|(at, _)| at == 0 || line[..at].ends_with(' '))
}

/// Returns true if the filter excludes only documents that were changed before.
fn is_whole(filter: &Filter, step: &Step) -> bool {
    let own = |field: &Field| match &step.operation {
        Operation::Set { field: changed, .. } | Operation::Unset { field: changed, .. } => field == changed,
        Operation::CopyField { from, to, .. } => field == from || field == to,
        _ => false,
    };
    match filter {
        Filter::All => true,
        Filter::Missing(field) | Filter::Exists(field) | Filter::Ne(field, _) => own(field),
        Filter::And(filters) => filters.iter().all(|filter| is_whole(filter, step)),
        _ => false,
    }
}

/// Returns a key that is equal for steps that make the same change to different collections.
fn kind(step: &Step) -> String {
    match &step.operation {
        Operation::Set { field, .. } => format!("set {field}"),
        Operation::Unset { field, .. } => format!("unset {field}"),
        Operation::CopyField { from, to, .. } => format!("copy {from} to {to}"),
        Operation::UpdateEach { reads, .. } => format!("each {:?}", reads.fields()),
        Operation::Insert { .. } | Operation::InsertMany { .. } => "insert".into(),
        Operation::Delete { .. } => "delete".into(),
        Operation::Copy { .. } => "copy".into(),
        Operation::CreateIndex(_) | Operation::DropIndex(_) => "index".into(),
    }
}
