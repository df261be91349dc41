//! The shapes of commands, for the check of what a sharded cluster accepts. Debug builds only.
//!
//! A shape is one property of a command without its values, as five fields separated by tabs: the program, the command,
//! `transaction` or `-`, the kind of property, and the property. The test harness names a file in `RECORD_COMMANDS`; each
//! process appends the shapes that are not in it yet.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::sync::OnceLock;

use bson::{Bson, Document};
use mongodb::event::command::CommandStartedEvent;
use parking_lot::Mutex;

/// Names the file.
const VARIABLE: &str = "RECORD_COMMANDS";
/// The program in the shapes of its own commands; others are `tests`.
const PROGRAM: &str = "field-notes";

/// The recorder of this process, if the harness asks for one.
static RECORDER: OnceLock<Option<Recorder>> = OnceLock::new();

struct Recorder {
    program: &'static str,
    state: Mutex<(HashSet<String>, File)>,
}

impl Recorder {
    fn open() -> Option<Self> {
        let path = std::env::var_os(VARIABLE)?;
        let known = fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect();
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|error| eprintln!("failed to open {VARIABLE}: {error}")).ok()?;
        let executable = std::env::current_exe().ok()?;
        let is_program = executable.file_name().is_some_and(|name| name == PROGRAM);
        Some(Self { program: if is_program { PROGRAM } else { "tests" }, state: Mutex::new((known, file)) })
    }

    fn record(&self, shapes: BTreeSet<String>) {
        let mut state = self.state.lock();
        let (known, file) = &mut *state;
        let mut new = String::new();
        for shape in shapes {
            let line = format!("{}\t{shape}", self.program);
            if !known.contains(&line) {
                new.push_str(&line);
                new.push('\n');
                known.insert(line);
            }
        }
        // One write for all, so that lines of several processes do not interleave.
        if let Err(error) = file.write_all(new.as_bytes()) {
            eprintln!("failed to record a command: {error}");
        }
    }
}

/// Returns true if the commands of this process are recorded.
pub(super) fn are_recorded() -> bool {
    RECORDER.get_or_init(Recorder::open).is_some()
}

/// Records the shapes of a command.
pub(super) fn record(event: &CommandStartedEvent) {
    if let Some(Some(recorder)) = RECORDER.get() {
        recorder.record(command_shapes(&event.db, &event.command_name, &event.command));
    }
}

/// Returns the shapes of a command on a database, without the program.
pub fn command_shapes(database: &str, name: &str, command: &Document) -> BTreeSet<String> {
    let scope = if command.get("autocommit") == Some(&Bson::Boolean(false)) { "transaction" } else { "-" };
    let mut shapes = Shapes { prefix: format!("{name}\t{scope}"), all: BTreeSet::new() };
    let database = match database {
        "admin" | "config" | "local" => database,
        _ => "own",
    };
    shapes.add("database", database);
    shapes.command(name, command);
    shapes.all
}

/// Collects the shapes of one command.
struct Shapes {
    prefix: String,
    all: BTreeSet<String>,
}

impl Shapes {
    fn add(&mut self, kind: &str, property: &str) {
        self.all.insert(format!("{}\t{kind}\t{property}", self.prefix));
    }

    fn command(&mut self, name: &str, command: &Document) {
        let target = command.get_str(name).unwrap_or_default();
        for (key, value) in command.iter().filter(|(key, _)| *key != name) {
            self.add("option", key);
            match (key.as_str(), value) {
                ("readConcern", Bson::Document(concern)) => {
                    if let Ok(level) = concern.get_str("level") {
                        self.add("read concern", level);
                    }
                }
                ("writeConcern", Bson::Document(concern)) => match concern.get("w") {
                    Some(Bson::String(w)) => self.add("write concern", w),
                    Some(w) => self.add("write concern", &w.to_string()),
                    None => {}
                },
                ("$readPreference", Bson::Document(preference)) => {
                    self.add("read preference", preference.get_str("mode").unwrap_or_default());
                }
                ("filter" | "query" | "validator" | "partialFilterExpression", Bson::Document(query)) => {
                    self.query(query);
                }
                ("projection" | "fields", value) => self.expression(value),
                ("pipeline", Bson::Array(stages)) => self.pipeline(stages),
                ("indexes", Bson::Array(indexes)) => self.indexes(target, indexes),
                ("updates", Bson::Array(updates)) => {
                    updates
                        .iter()
                        .filter_map(Bson::as_document)
                        .for_each(|update| self.update(target, update));
                }
                ("deletes", Bson::Array(deletes)) => {
                    deletes
                        .iter()
                        .filter_map(Bson::as_document)
                        .for_each(|delete| self.delete(target, delete));
                }
                _ => {}
            }
        }
        match name {
            "findAndModify" => {
                let upsert = command.get_bool("upsert").unwrap_or_default();
                let kind = if upsert { "upsert one" } else { "find and modify one" };
                self.one(kind, target, command.get_document("query").ok());
                self.changes(target, command.get("update"));
            }
            "aggregate" if target.is_empty() => self.add("target", "the whole database"),
            "explain" => {
                if let Ok(explained) = command.get_document(name) {
                    let of = explained.keys().next().cloned().unwrap_or_default();
                    self.add("explained", &of);
                    self.command(&of, explained);
                }
            }
            "renameCollection" => {
                let database = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
                let is_within = database(target) == database(command.get_str("to").unwrap_or_default());
                self.add("target", if is_within { "same database" } else { "other database" });
            }
            _ => {}
        }
    }

    fn update(&mut self, collection: &str, update: &Document) {
        update.keys().for_each(|key| self.add("statement", key));
        let query = update.get_document("q").ok();
        if let Some(query) = query {
            self.query(query);
        }
        if update.get("multi") != Some(&Bson::Boolean(true)) {
            let upsert = update.get_bool("upsert").unwrap_or_default();
            self.one(if upsert { "upsert one" } else { "update one" }, collection, query);
        }
        self.changes(collection, update.get("u"));
    }

    fn delete(&mut self, collection: &str, delete: &Document) {
        delete.keys().for_each(|key| self.add("statement", key));
        let query = delete.get_document("q").ok();
        if let Some(query) = query {
            self.query(query);
        }
        if !matches!(delete.get("limit"), Some(Bson::Int32(0) | Bson::Int64(0))) {
            self.one("delete one", collection, query);
        }
    }

    /// Adds the fields that the filter of a write of one document compares for equality.
    fn one(&mut self, kind: &str, collection: &str, query: Option<&Document>) {
        let mut fields = BTreeSet::new();
        if let Some(query) = query {
            equalities(query, &mut fields);
        }
        self.add(kind, &format!("{collection}: {}", fields.into_iter().collect::<Vec<_>>().join(",")));
    }

    /// Adds the operators or stages of an update, and the fields that it writes.
    fn changes(&mut self, collection: &str, update: Option<&Bson>) {
        match update {
            Some(Bson::Document(operators)) => {
                for (operator, fields) in operators {
                    self.add("operator", operator);
                    for (field, operand) in fields.as_document().into_iter().flatten() {
                        self.add("write", &format!("{collection}: {operator} {field}"));
                        if let (true, Some(modifiers)) =
                            (operator == "$addToSet" || operator == "$push", operand.as_document())
                        {
                            modifiers
                                .keys()
                                .filter(|key| key.starts_with('$'))
                                .for_each(|key| self.add("operator", key));
                        }
                    }
                }
            }
            Some(Bson::Array(stages)) => {
                for (stage, fields) in stages.iter().filter_map(Bson::as_document).flatten() {
                    self.add("stage", stage);
                    self.expression(fields);
                    for field in fields.as_document().into_iter().flat_map(Document::keys) {
                        self.add("write", &format!("{collection}: {stage} {field}"));
                    }
                }
            }
            _ => {}
        }
    }

    /// Adds the operators of a filter. Operands are data.
    fn query(&mut self, query: &Document) {
        for (key, value) in query {
            if !key.starts_with('$') {
                if let Bson::Document(operators) = value {
                    self.operators(operators);
                }
                continue;
            }
            self.add("operator", key);
            match value {
                Bson::Array(parts) => {
                    parts.iter().filter_map(Bson::as_document).for_each(|part| self.query(part));
                }
                Bson::Document(_) if key == "$expr" => self.expression(value),
                _ => {}
            }
        }
    }

    /// Adds the operators on one field.
    fn operators(&mut self, operators: &Document) {
        for (operator, operand) in operators.iter().filter(|(key, _)| key.starts_with('$')) {
            self.add("operator", operator);
            match (operator.as_str(), operand) {
                ("$not", Bson::Document(operand)) => self.operators(operand),
                ("$elemMatch", Bson::Document(operand)) => self.query(operand),
                _ => {}
            }
        }
    }

    fn pipeline(&mut self, stages: &[Bson]) {
        for (stage, operand) in stages.iter().filter_map(Bson::as_document).flatten() {
            self.add("stage", stage);
            match (stage.as_str(), operand) {
                ("$match", Bson::Document(query)) => self.query(query),
                ("$changeStream", Bson::Document(options)) => {
                    options.keys().for_each(|key| self.add("statement", key));
                }
                ("$lookup" | "$unionWith", Bson::Document(joined)) => {
                    joined.get_array("pipeline").into_iter().for_each(|stages| self.pipeline(stages));
                }
                _ => self.expression(operand),
            }
        }
    }

    fn expression(&mut self, value: &Bson) {
        match value {
            Bson::Document(document) => {
                for (key, operand) in document {
                    if key.starts_with('$') {
                        self.add("operator", key);
                    }
                    if key != "$literal" {
                        self.expression(operand);
                    }
                }
            }
            Bson::Array(list) => list.iter().for_each(|value| self.expression(value)),
            _ => {}
        }
    }

    fn indexes(&mut self, collection: &str, indexes: &[Bson]) {
        for index in indexes.iter().filter_map(Bson::as_document) {
            index.keys().for_each(|key| self.add("statement", key));
            if let Ok(filter) = index.get_document("partialFilterExpression") {
                self.query(filter);
            }
            let Ok(key) = index.get_document("key") else { continue };
            for kind in key.values().filter_map(Bson::as_str) {
                self.add("index", kind);
            }
            if index.get("unique") == Some(&Bson::Boolean(true)) {
                let fields = key.keys().map(String::as_str).collect::<Vec<_>>();
                self.add("unique", &format!("{collection}: {}", fields.join(",")));
            }
        }
    }
}

/// Adds the fields that a filter compares for equality.
fn equalities<'a>(query: &'a Document, fields: &mut BTreeSet<&'a str>) {
    for (key, value) in query {
        match value {
            Bson::Array(parts) if key == "$and" => {
                parts.iter().filter_map(Bson::as_document).for_each(|part| equalities(part, fields));
            }
            _ if key.starts_with('$') => {}
            Bson::Document(operators) => {
                if operators.contains_key("$eq") || !operators.keys().any(|key| key.starts_with('$')) {
                    fields.insert(key);
                }
            }
            _ => _ = fields.insert(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn shapes(name: &str, command: &Document) -> Vec<String> {
        command_shapes("notes", name, command).into_iter().collect()
    }

    #[test]
    fn shapes_have_no_values() {
        let command = doc! {
            "update": "stories", "ordered": true, "autocommit": false,
            "updates": [{ "q": { "$and": [{ "_id": { "$eq": 7 } }, { "v": { "$lt": { "$where": 1 } } }] }, "u": { "$set": { "a": { "$b": 1 } } } }],
        };
        let expected = [
            "database\town",
            "operator\t$and",
            "operator\t$eq",
            "operator\t$lt",
            "operator\t$set",
            "option\tautocommit",
            "option\tordered",
            "option\tupdates",
            "statement\tq",
            "statement\tu",
            "update one\tstories: _id",
            "write\tstories: $set a",
        ];
        assert_eq!(shapes("update", &command), expected.map(|shape| format!("update\ttransaction\t{shape}")));
    }

    #[test]
    fn stages_and_keys_of_indexes_are_shapes() {
        let pipeline = doc! { "aggregate": 1, "pipeline": [{ "$changeStream": { "resumeAfter": {} } }, { "$unset": ["a"] }], "cursor": {} };
        let found = shapes("aggregate", &pipeline);
        for shape in
            ["stage\t$changeStream", "stage\t$unset", "statement\tresumeAfter", "target\tthe whole database"]
        {
            assert!(found.contains(&format!("aggregate\t-\t{shape}")), "{found:?}");
        }
        let indexes = doc! { "createIndexes": "users", "indexes": [{ "key": { "a": 1, "b": "text" }, "name": "n", "unique": true }] };
        let found = shapes("createIndexes", &indexes);
        for shape in ["unique\tusers: a,b", "index\ttext"] {
            assert!(found.contains(&format!("createIndexes\t-\t{shape}")), "{found:?}");
        }
    }

    #[test]
    fn expressions_of_an_update_are_shapes_and_literals_are_not() {
        let update = doc! { "findAndModify": "_lock", "query": { "_id": "x" }, "upsert": true, "update": [
            { "$set": { "owner": { "$cond": [{ "$eq": ["$a", 1] }, { "$literal": { "$where": 1 } }, "$owner"] } } },
        ] };
        let found = shapes("findAndModify", &update);
        for shape in [
            "upsert one\t_lock: _id",
            "operator\t$cond",
            "operator\t$eq",
            "operator\t$literal",
            "stage\t$set",
        ] {
            assert!(found.contains(&format!("findAndModify\t-\t{shape}")), "{found:?}");
        }
        assert!(!found.iter().any(|shape| shape.contains("$where")), "{found:?}");
    }
}
