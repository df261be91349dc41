//! The commands that a sharded cluster accepts, and the check of recorded commands against it.
//!
//! No sharded cluster runs in the tests. The driver's commands are recorded instead (`RECORD_COMMANDS`), and each of their
//! properties must be in a table of this module, whose rows name the page of the MongoDB manual (below
//! <https://www.mongodb.com/docs/v6.0/>) that they come from. They hold for `mongos` 6.0 to 8.0. What is not in a table is
//! refused, so that a new command, option, stage or operator fails the tests until someone has looked it up.

use std::collections::BTreeSet;

/// A command.
struct Command {
    name: &'static str,
    /// Its own options, beside [`COMMON_OPTIONS`].
    options: &'static [&'static str],
    /// The members of its statements, index definitions or first stage.
    statements: &'static [&'static str],
    /// The databases on which it may be run.
    databases: &'static [&'static str],
    /// True if it may be part of a transaction over several shards.
    in_transaction: bool,
    /// The page of the manual.
    source: &'static str,
}

const OWN: &[&str] = &["own"];
const ADMIN: &[&str] = &["admin"];
const ANY: &[&str] = &["own", "admin"];
const CRUD: &str = "core/transactions-operations/#crud-operations";

/// Commands of the program that `mongos` accepts.
const COMMANDS: &[Command] = &[
    Command {
        name: "abortTransaction",
        options: &[],
        statements: &[],
        databases: ADMIN,
        in_transaction: true,
        source: "reference/command/abortTransaction/",
    },
    Command {
        name: "aggregate",
        options: &["collation", "cursor", "hint", "pipeline"],
        // Options of `$changeStream`.
        statements: &["resumeAfter", "startAfter", "startAtOperationTime"],
        databases: OWN,
        in_transaction: true,
        source: CRUD,
    },
    Command {
        name: "buildInfo",
        options: &[],
        statements: &[],
        databases: ADMIN,
        in_transaction: false,
        source: "reference/command/buildInfo/",
    },
    Command {
        name: "commitTransaction",
        options: &[],
        statements: &[],
        databases: ADMIN,
        in_transaction: true,
        source: "core/transactions-sharded-clusters/",
    },
    Command {
        name: "connectionStatus",
        options: &["showPrivileges"],
        statements: &[],
        databases: OWN,
        in_transaction: false,
        source: "reference/command/connectionStatus/",
    },
    Command {
        // Options of views, capped and time series collections come from those that a backup holds.
        name: "create",
        options: &[
            "capped",
            "collation",
            "max",
            "pipeline",
            "size",
            "timeseries",
            "validationAction",
            "validationLevel",
            "validator",
            "viewOn",
        ],
        statements: &[],
        databases: OWN,
        in_transaction: false,
        source: "reference/command/create/",
    },
    Command {
        name: "createIndexes",
        options: &["indexes"],
        statements: &[
            "background",
            "collation",
            "default_language",
            "expireAfterSeconds",
            "hidden",
            "key",
            "language_override",
            "name",
            "partialFilterExpression",
            "sparse",
            "textIndexVersion",
            "unique",
            "v",
            "weights",
            "wildcardProjection",
        ],
        databases: OWN,
        in_transaction: false,
        source: "reference/command/createIndexes/",
    },
    Command {
        name: "dbStats",
        options: &[],
        statements: &[],
        databases: OWN,
        in_transaction: false,
        source: "reference/command/dbStats/#behavior",
    },
    Command {
        name: "delete",
        options: &["deletes", "ordered"],
        statements: &["collation", "limit", "q"],
        databases: OWN,
        in_transaction: true,
        source: CRUD,
    },
    Command {
        name: "drop",
        options: &[],
        statements: &[],
        databases: OWN,
        in_transaction: false,
        source: "reference/command/drop/",
    },
    Command {
        name: "dropDatabase",
        options: &[],
        statements: &[],
        databases: OWN,
        in_transaction: false,
        source: "reference/command/dropDatabase/#sharded-clusters",
    },
    Command {
        name: "dropIndexes",
        options: &["index"],
        statements: &[],
        databases: OWN,
        in_transaction: false,
        source: "reference/command/dropIndexes/",
    },
    Command {
        name: "endSessions",
        options: &[],
        statements: &[],
        databases: ADMIN,
        in_transaction: false,
        source: "reference/command/endSessions/",
    },
    Command {
        name: "explain",
        options: &["collation", "filter", "hint", "limit", "projection", "skip", "sort", "verbosity"],
        statements: &[],
        databases: OWN,
        in_transaction: false,
        source: "reference/command/explain/",
    },
    Command {
        name: "find",
        options: &[
            "batchSize",
            "collation",
            "filter",
            "hint",
            "limit",
            "projection",
            "singleBatch",
            "skip",
            "sort",
        ],
        statements: &[],
        databases: OWN,
        in_transaction: true,
        source: CRUD,
    },
    Command {
        // On a sharded collection the filter must hold the shard key: see [`SHARDED`].
        name: "findAndModify",
        options: &["bypassDocumentValidation", "collation", "fields", "new", "query", "update", "upsert"],
        statements: &[],
        databases: OWN,
        in_transaction: true,
        source: CRUD,
    },
    Command {
        name: "getMore",
        options: &["batchSize", "collection"],
        statements: &[],
        databases: OWN,
        in_transaction: true,
        source: "reference/command/getMore/",
    },
    Command {
        name: "hello",
        options: &[],
        statements: &[],
        databases: ADMIN,
        in_transaction: false,
        source: "reference/command/hello/#sharded-instances",
    },
    Command {
        name: "insert",
        options: &["bypassDocumentValidation", "documents", "ordered"],
        statements: &[],
        databases: OWN,
        in_transaction: true,
        source: CRUD,
    },
    Command {
        name: "killCursors",
        options: &["cursors"],
        statements: &[],
        databases: OWN,
        in_transaction: false,
        source: "reference/command/killCursors/",
    },
    Command {
        name: "listCollections",
        options: &["authorizedCollections", "cursor", "filter", "nameOnly"],
        statements: &[],
        databases: OWN,
        in_transaction: false,
        source: "reference/command/listCollections/",
    },
    Command {
        name: "listDatabases",
        options: &["authorizedDatabases", "filter", "nameOnly"],
        statements: &[],
        databases: ADMIN,
        in_transaction: false,
        source: "reference/command/listDatabases/",
    },
    Command {
        name: "listIndexes",
        options: &["cursor"],
        statements: &[],
        databases: OWN,
        in_transaction: false,
        source: "reference/command/listIndexes/",
    },
    Command {
        name: "ping",
        options: &[],
        statements: &[],
        databases: ANY,
        in_transaction: false,
        source: "reference/command/ping/",
    },
    Command {
        // Also sharded collections, within a database, since 5.0. The target loses its distribution: see docs/scale.md.
        name: "renameCollection",
        options: &["dropTarget", "to"],
        statements: &[],
        databases: ADMIN,
        in_transaction: false,
        source: "reference/command/renameCollection/#sharded-collections",
    },
    Command {
        name: "saslContinue",
        options: &[],
        statements: &[],
        databases: ADMIN,
        in_transaction: false,
        source: "core/authentication/",
    },
    Command {
        name: "saslStart",
        options: &[],
        statements: &[],
        databases: ADMIN,
        in_transaction: false,
        source: "core/authentication/",
    },
    Command {
        // On a sharded collection the filter of a single update must hold the shard key or `_id`: see [`SHARDED`].
        name: "update",
        options: &["bypassDocumentValidation", "ordered", "updates"],
        statements: &["collation", "multi", "q", "u", "upsert"],
        databases: OWN,
        in_transaction: true,
        source: CRUD,
    },
];

/// Commands that only a replica set accepts. The program does not send them to `mongos`, whose `hello` says
/// `msg: "isdbgrid"`: the tests named here run it in front of one that refuses them ([`crate::mongos`]).
const REPLICA_SET_ONLY: &[(&str, &str, &str)] = &[(
    "replSetGetStatus",
    "reference/command/replSetGetStatus/#definition: the server must be a member of a replica set",
    "mongos_has_no_lag_and_is_not_asked_for_it",
)];

/// Commands that tests send through the driver's handle to prepare a server, and the program never does.
const OF_TESTS: &[(&str, &str)] = &[
    ("collMod", "reference/command/collMod/"),
    ("configureFailPoint", "a command for tests of the server"),
    ("createUser", "reference/command/createUser/"),
    ("getParameter", "reference/command/getParameter/"),
    ("killAllSessions", "reference/command/killAllSessions/"),
    ("profile", "sent to a member of a replica set, not through `mongos`"),
    ("replSetStepDown", "sent to a member of a replica set, not through `mongos`"),
    ("setParameter", "reference/command/setParameter/"),
    ("validate", "reference/command/validate/"),
];

/// Options of every command.
const COMMON_OPTIONS: &[&str] = &[
    "$clusterTime",
    "$db",
    "$readPreference",
    "apiVersion",
    "autocommit",
    "comment",
    "lsid",
    "maxTimeMS",
    "readConcern",
    "recoveryToken",
    "startTransaction",
    "txnNumber",
    "writeConcern",
];

/// Read concerns, with the page of the manual. Within a transaction over several shards only `snapshot` shows one state.
const READ_CONCERNS: &[(&str, &str)] = &[
    ("local", "reference/read-concern-local/"),
    ("majority", "reference/read-concern-majority/"),
    ("snapshot", "core/transactions-sharded-clusters/#read-concerns"),
];

/// Stages of aggregations and of updates, with the page of the manual.
const STAGES: &[(&str, &str)] = &[
    ("$addFields", "reference/operator/aggregation/addFields/"),
    ("$changeStream", "changeStreams/#availability"),
    ("$group", "reference/operator/aggregation/group/"),
    ("$limit", "reference/operator/aggregation/limit/"),
    ("$match", "reference/operator/aggregation/match/"),
    ("$project", "reference/operator/aggregation/project/"),
    ("$set", "reference/operator/aggregation/set/"),
    ("$skip", "reference/operator/aggregation/skip/"),
    ("$sort", "reference/operator/aggregation/sort/"),
    ("$unset", "changeStreams/#modify-change-stream-output"),
];

/// Operators of filters, updates and expressions. Sharding restricts only `$where` of these kinds, which is not among them
/// (core/sharded-cluster-requirements/).
const OPERATORS: &[&str] = &[
    "$add",
    "$addToSet",
    "$and",
    "$cond",
    "$each",
    "$eq",
    "$exists",
    "$expr",
    "$gt",
    "$gte",
    "$ifNull",
    "$in",
    "$inc",
    "$jsonSchema",
    "$literal",
    "$lt",
    "$lte",
    "$ne",
    "$nor",
    "$not",
    "$or",
    "$regex",
    "$rename",
    "$set",
    "$setOnInsert",
    "$subtract",
    "$sum",
    "$type",
    "$unset",
];

/// Kinds of index fields other than ascending and descending, which a restored collection may have.
const INDEX_KINDS: &[&str] = &["2dsphere", "hashed", "text"];

/// Collections that docs/scale.md proposes to shard, and their shard keys. All others stay unsharded, where the
/// rules about shard keys (core/sharded-cluster-requirements/) do not apply.
pub const SHARDED: &[(&str, &[&str])] = &[
    ("comments", &["target_type", "target_id"]),
    ("idempotency_keys", &["_id"]),
    ("reactions", &["target_type", "target_id"]),
    ("slug_history", &["collection", "slug"]),
];

fn names(table: &[(&'static str, &str)], name: &str) -> bool {
    table.iter().any(|(row, _)| *row == name)
}

/// Returns why a sharded cluster would refuse a command with this shape, a line of a record; `None` if it accepts it.
///
/// `strictly` refuses what only a replica set accepts and what only tests send.
pub fn refusal(shape: &str, strictly: bool) -> Option<String> {
    let fields: Vec<&str> = shape.split('\t').collect();
    let [program, name, scope, kind, property] = fields[..] else {
        return Some(format!("not a shape: {shape}"));
    };
    let is_strict = strictly || program == "field-notes";
    if names(OF_TESTS, name) {
        return is_strict.then(|| format!("{name} is a command of tests"));
    }
    if let Some((_, source, _)) = REPLICA_SET_ONLY.iter().find(|(row, ..)| *row == name) {
        return strictly.then(|| format!("{name} is refused by mongos ({source})"));
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return Some(format!("{name} is in no table"));
    };
    if scope == "transaction" && !command.in_transaction {
        return Some(format!("{name} takes no part in transactions ({})", command.source));
    }
    let accepted = match kind {
        // Tests look into the databases of the server.
        "database" => command.databases.contains(&property) || (!is_strict && property != "own"),
        "option" => command.options.contains(&property) || COMMON_OPTIONS.contains(&property),
        "statement" => command.statements.contains(&property),
        "stage" => names(STAGES, property),
        "operator" => OPERATORS.contains(&property),
        "index" => INDEX_KINDS.contains(&property),
        "read concern" => names(READ_CONCERNS, property),
        // Acknowledged by one or more members of each shard (reference/write-concern/).
        "write concern" => property == "majority" || property.parse::<u32>().is_ok_and(|members| members > 0),
        // The driver sends the second one to a member that it is connected to directly, and never to `mongos`.
        "read preference" => ["primary", "primaryPreferred"].contains(&property),
        "explained" => property == "find",
        "target" => property != "other database",
        "update one" | "delete one" => has_key(property, true),
        // An upsert and `findAndModify` need the shard key itself.
        "upsert one" | "find and modify one" => has_key(property, false),
        "unique" => is_unique_across_shards(property),
        "write" => keeps_key(property),
        _ => false,
    };
    (!accepted).then(|| format!("{name}, {scope}: {kind} {property} is in no table ({})", command.source))
}

/// Splits `collection: a,b`, and looks up the shard key of the collection.
fn sharded(property: &str) -> Option<(&'static [&'static str], &str)> {
    let (collection, rest) = property.split_once(": ")?;
    SHARDED.iter().find(|(name, _)| *name == collection).map(|(_, key)| (*key, rest))
}

/// Returns true if a filter with equalities on these fields reaches one shard, or names the document's id.
fn has_key(property: &str, id_is_enough: bool) -> bool {
    let Some((key, fields)) = sharded(property) else { return true };
    let fields: BTreeSet<&str> = fields.split(',').collect();
    (id_is_enough && fields.contains("_id")) || key.iter().all(|field| fields.contains(field))
}

/// Returns true if a unique index starts with the shard key.
fn is_unique_across_shards(property: &str) -> bool {
    let Some((key, fields)) = sharded(property) else { return true };
    let fields: Vec<&str> = fields.split(',').collect();
    fields.starts_with(key)
}

/// Returns true if a change leaves the shard key as it is, or sets it in a new document.
fn keeps_key(property: &str) -> bool {
    let Some((key, change)) = sharded(property) else { return true };
    let (operator, field) = change.split_once(' ').unwrap_or((change, ""));
    operator == "$setOnInsert" || !key.contains(&field)
}

/// Returns the shapes of a record that a sharded cluster would refuse, each with the reason, and the number of all.
pub fn check(record: &str) -> (Vec<String>, usize) {
    let shapes: BTreeSet<&str> = record.lines().collect();
    let refused = shapes.iter().filter_map(|shape| refusal(shape, false)).collect();
    (refused, shapes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(shape: &str) -> bool {
        refusal(&shape.replace(", ", "\t"), false).is_some()
    }

    #[test]
    fn shapes_in_no_table_are_refused() {
        for refused in [
            "field-notes, mapReduce, -, database, own",
            "field-notes, collMod, -, database, own",
            "field-notes, find, -, database, local",
            "field-notes, find, -, operator, $where",
            "field-notes, find, -, option, allowPartialResults",
            "field-notes, aggregate, -, stage, $out",
            "field-notes, create, transaction, database, own",
            "field-notes, find, -, read concern, linearizable",
            "field-notes, insert, -, write concern, 0",
            "field-notes, renameCollection, -, target, other database",
            "field-notes, find",
        ] {
            assert!(is_refused(refused), "{refused}");
        }
        for accepted in [
            "tests, collMod, -, database, own",
            "field-notes, replSetGetStatus, -, database, admin",
            "field-notes, find, transaction, option, hint",
            "field-notes, insert, transaction, write concern, majority",
        ] {
            assert!(!is_refused(accepted), "{accepted}");
        }
        assert!(refusal("-\treplSetGetStatus\t-\tdatabase\tadmin", true).is_some());
    }

    #[test]
    fn single_writes_and_unique_indexes_of_sharded_collections_need_the_key() {
        let refused = |kind: &str, property: &str| {
            refusal(&format!("field-notes\tupdate\t-\t{kind}\t{property}"), false).is_some()
        };
        assert!(!refused("update one", "slug_history: _id,last"));
        assert!(!refused("update one", "slug_history: collection,slug"));
        assert!(refused("update one", "slug_history: slug"));
        assert!(refused("update one", "slug_history: "));
        assert!(refused("upsert one", "slug_history: _id"));
        assert!(!refused("upsert one", "idempotency_keys: _id"));
        assert!(!refused("update one", "stories: slug"));
        assert!(refused("unique", "reactions: user_id,target_type,target_id"));
        assert!(!refused("unique", "reactions: target_type,target_id,user_id"));
        assert!(refused("write", "slug_history: $set slug"));
        assert!(!refused("write", "slug_history: $setOnInsert slug"));
        assert!(!refused("write", "slug_history: $set item"));
    }

    #[test]
    fn tables_are_sorted_and_name_their_sources() {
        let names: Vec<_> = COMMANDS.iter().map(|command| command.name).collect();
        assert!(names.is_sorted() && COMMANDS.iter().all(|command| !command.source.is_empty()));
        assert!(OPERATORS.is_sorted() && STAGES.is_sorted() && SHARDED.is_sorted());
        let tests = include_str!("../../docstore/tests/topology.rs");
        for (name, _, test) in REPLICA_SET_ONLY {
            assert!(tests.contains(&format!("fn {test}()")), "no test shows that {name} is not sent");
        }
    }
}
