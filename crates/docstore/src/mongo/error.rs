use bson::{Bson, Document};
use mongodb::error::{Error as DriverError, ErrorKind, TRANSIENT_TRANSACTION_ERROR, WriteFailure};

use crate::Error;

/// Maximum size of a stored document, in bytes.
pub(crate) const MAX_DOCUMENT: usize = 16 * 1024 * 1024;
/// Stands for every write concern error: the primary applied the write, and a majority did not confirm it.
const NOT_CONFIRMED: i32 = 64;

/// The activities that write documents.
pub(crate) const INSERTING: &str = "inserting documents";
pub(crate) const UPDATING: &str = "updating documents";
pub(crate) const DELETING: &str = "deleting documents";
pub(crate) const COMMITTING: &str = "committing a transaction";

/// Returns the error of a request whose outcome the server did not report.
fn unanswered(what: &'static str, reason: String) -> Error {
    if [INSERTING, UPDATING, DELETING, COMMITTING].contains(&what) {
        Error::Unconfirmed(reason)
    } else {
        Error::Unavailable(reason)
    }
}

/// A server error with a code.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerError {
    pub(crate) code: i32,
    pub(crate) name: String,
    pub(crate) message: String,
    /// Keys of the violated index.
    pub(crate) key_pattern: Option<Document>,
    /// The id of the document that a validator refused.
    pub(crate) refused: Option<Bson>,
}

/// Maps a driver error to [`Error`]. `what` is the failed activity, as in "reading documents"; `collection` is empty for
/// activities on the database.
pub(crate) fn classify(what: &'static str, collection: &str, error: &DriverError) -> Error {
    if let Some(coded) = server_error(error) {
        let transient = error.contains_label(TRANSIENT_TRANSACTION_ERROR);
        return from_code(what, collection, &coded, transient);
    }
    match error.kind.as_ref() {
        ErrorKind::Authentication { .. } => Error::Unauthorized("authentication failed".into()),
        ErrorKind::Io(source) => unanswered(what, format!("{what}: {source}")),
        // Also of a command that was sent.
        ErrorKind::ConnectionPoolCleared { message, .. }
            if !message.contains("SCRAM failure") && !message.contains("AuthenticationFailed") =>
        {
            unanswered(what, format!("{what}: {}", without_topology(message)))
        }
        ErrorKind::ServerSelection { message, .. }
        | ErrorKind::ConnectionPoolCleared { message, .. }
        | ErrorKind::DnsResolve { message, .. } => {
            if message.contains("SCRAM failure") || message.contains("AuthenticationFailed") {
                Error::Unauthorized("authentication failed".into())
            } else {
                Error::Unavailable(format!("{what}: {}", without_topology(message)))
            }
        }
        ErrorKind::Shutdown => Error::Unavailable("the store is closed".into()),
        ErrorKind::Transaction { message, .. } if message.contains("not supported") => {
            Error::Unsupported("transactions need a replica set or a sharded cluster".into())
        }
        ErrorKind::Transaction { message, .. } => Error::TransactionEnded(message.clone()),
        ErrorKind::SessionsNotSupported => Error::Unsupported("this server has no sessions".into()),
        ErrorKind::InvalidArgument { message, .. } => Error::Invalid(message.clone()),
        ErrorKind::IncompatibleServer { message, .. } => Error::Unsupported(message.clone()),
        other => reported(what, without_content(&other.to_string())),
    }
}

/// Returns a function that maps a driver error as [`classify`] does.
pub(crate) fn failed(what: &'static str, collection: &str) -> impl Fn(DriverError) -> Error {
    move |error| classify(what, collection, &error)
}

/// Returns whether the server reported one of these codes.
pub(crate) fn has_code(error: &DriverError, codes: &[i32]) -> bool {
    server_error(error).is_some_and(|coded| codes.contains(&coded.code))
}

/// Extracts the server's code and message from the variants in which the driver reports them.
fn server_error(error: &DriverError) -> Option<ServerError> {
    let (code, name, message) = match error.kind.as_ref() {
        ErrorKind::Command(e) => (e.code, Some(&e.code_name), &e.message),
        ErrorKind::Write(WriteFailure::WriteError(e)) => (e.code, e.code_name.as_ref(), &e.message),
        ErrorKind::Write(WriteFailure::WriteConcernError(e)) => {
            (NOT_CONFIRMED, Some(&e.code_name), &e.message)
        }
        ErrorKind::InsertMany(e) => match (e.write_errors.as_deref(), &e.write_concern_error) {
            (Some([first, ..]), _) => (first.code, first.code_name.as_ref(), &first.message),
            (_, Some(e)) => (NOT_CONFIRMED, Some(&e.code_name), &e.message),
            _ => return None,
        },
        _ => return None,
    };
    // The driver keeps no response for `insert_many`.
    let details = match error.kind.as_ref() {
        ErrorKind::InsertMany(e) => e.write_errors.as_ref().and_then(|all| all.first()?.details.as_ref()),
        _ => None,
    };
    let response = error.server_response().and_then(|raw| Document::try_from(raw.as_ref()).ok());
    Some(ServerError {
        code,
        name: name.cloned().unwrap_or_default(),
        message: message.clone(),
        key_pattern: response.as_ref().and_then(key_pattern),
        refused: details.and_then(document_id).or_else(|| response.as_ref().and_then(refused)),
    })
}

/// Finds the key pattern at the top of a response (`findAndModify`, `createIndexes`) or in its first write error.
fn key_pattern(response: &Document) -> Option<Document> {
    if let Ok(pattern) = response.get_document("keyPattern") {
        return Some(pattern.clone());
    }
    match response.get_array("writeErrors").ok()?.first()? {
        Bson::Document(first) => first.get_document("keyPattern").ok().cloned(),
        _ => None,
    }
}

/// Finds the id of the document that a validator refused: at the top of a response (`findAndModify`), or in its first write
/// error.
pub(crate) fn refused(response: &Document) -> Option<Bson> {
    let first = || response.get_array("writeErrors").ok()?.first()?.as_document();
    let error = if response.contains_key("errInfo") { response } else { first()? };
    document_id(error.get_document("errInfo").ok()?)
}

fn document_id(info: &Document) -> Option<Bson> {
    info.get("failingDocumentId").cloned()
}

/// Maps a server code to [`Error`]. `transient`: the server labels the error as one after which the transaction may be
/// retried.
pub(crate) fn from_code(what: &'static str, collection: &str, coded: &ServerError, transient: bool) -> Error {
    let inapplicable =
        |what: &str| Error::Inapplicable { collection: collection.to_owned(), what: what.to_owned() };
    let reason = || format!("{what}: {} ({})", without_content(&coded.message), coded.code);
    match coded.code {
        11000 | 11001 | 12582 => duplicate(collection, coded),
        13 => Error::Unauthorized(format!("{what}: {}", missing_privilege(coded))),
        18 | 8000 => Error::Unauthorized(format!("{what}: {}", name_or_code(coded))),
        // 388: the transaction did not fit into the server's cache. A smaller one may fit, or the same one later.
        112 | 388 => Error::WriteConflict,
        121 => Error::InvalidDocument {
            collection: collection.to_owned(),
            id: coded.refused.clone().map(Box::new),
        },
        14031 => Error::DiskFull(without_content(&coded.message)),
        225 | 251 | 256 | 290 => Error::TransactionEnded(without_content(&coded.message)),
        20 if coded.message.contains("Transaction numbers") => {
            Error::Unsupported("transactions need a replica set or a sharded cluster".into())
        }
        // No transaction reads such a collection, although the server labels this as transient: other snapshots may be
        // available later.
        246 if coded.message.contains("not supported") => {
            Error::Unsupported(format!("{collection}: {}", without_content(&coded.message)))
        }
        59 | 115 | 263 | 40573 => Error::Unsupported(without_content(&coded.message)),
        // Interrupted, shutting down, host unreachable, time limit exceeded, majority not confirmed.
        6 | 7 | 50 | 64 | 89 | 91 | 189 | 262 | 9001 | 11600 | 11602 => unanswered(what, reason()),
        // Not primary, cursor lost.
        43 | 134 | 10058 | 10107 | 13435 | 13436 => Error::Unavailable(reason()),
        _ if transient => Error::WriteConflict,
        2 if coded.message.contains("parallel arrays") => {
            Error::Invalid("two sort fields are arrays in the same document".into())
        }
        // Documents of a time series collection have no index on their id.
        2 if coded.message.contains("hint") => {
            reported(what, format!("{collection}: {}", without_content(&coded.message)))
        }
        2 => inapplicable("a value has the wrong type or would overflow"),
        14 | 16837 | 10141 => inapplicable("a field is of the wrong type"),
        28 => inapplicable("a path traverses a value that is not a document"),
        171 => inapplicable("two arrays in one document cannot be indexed or sorted together"),
        10334 | 17280 | 17419 | 17420 => Error::TooLarge {
            collection: collection.to_owned(),
            bytes: stated_size(&coded.message).unwrap_or(MAX_DOCUMENT + 1),
        },
        40 | 54 => Error::Invalid(
            "two changes affect the same field, or the filter gives a new document two values for it".into(),
        ),
        52 | 55 | 56 | 57 => Error::Invalid("invalid field name".into()),
        53 => Error::Invalid("an id must not be an array, a regular expression or undefined".into()),
        66 => Error::Invalid("the id of a document must not be changed".into()),
        73 => Error::Invalid(format!("{collection:?} is not a valid collection name")),
        _ => reported(what, format!("{} ({})", without_content(&coded.message), name_or_code(coded))),
    }
}

fn name_or_code(coded: &ServerError) -> String {
    if coded.name.is_empty() { format!("code {}", coded.code) } else { coded.name.clone() }
}

/// `not authorized on site to execute command { insert: "stories", documents: … }`: names the privilege and the database.
fn missing_privilege(coded: &ServerError) -> String {
    let parts = coded.message.split_once("not authorized on ").and_then(|(_, rest)| {
        let (database, command) = rest.split_once(" to execute command")?;
        let name = command.trim_start_matches([' ', '{']).split(':').next()?;
        Some((database, name, command.contains("$changeStream")))
    });
    let Some((database, command, follows_changes)) = parts else { return name_or_code(coded) };
    let action = match command {
        "aggregate" if follows_changes => "changeStream",
        "aggregate" | "count" => "find",
        "findAndModify" => "update",
        "delete" => "remove",
        "create" => "createCollection",
        "drop" => "dropCollection",
        "createIndexes" => "createIndex",
        "dropIndexes" => "dropIndex",
        "renameCollection" => "renameCollectionSameDB",
        other => other,
    };
    format!("the user lacks the privilege {action} on the database {database}")
}

fn duplicate(collection: &str, coded: &ServerError) -> Error {
    // `E11000 duplicate key error collection: db.c index: slug_1 dup key: { slug: "x" }`: the index name appears only
    // here, before the values. A collation may stand between them.
    let index = coded.message.split_once(" index: ").map_or("", |(_, rest)| {
        let rest = rest.split_once(" dup key").map_or(rest, |(name, _)| name);
        rest.split_once(" collation: ").map_or(rest, |(name, _)| name)
    });
    let fields = match &coded.key_pattern {
        Some(pattern) => pattern.keys().cloned().collect(),
        None if index == "_id_" => vec!["_id".to_owned()],
        None => Vec::new(),
    };
    Error::DuplicateKey { collection: collection.to_owned(), index: index.to_owned(), fields }
}

/// `BSONObj size: 16777300 (0x…) is invalid …`
fn stated_size(message: &str) -> Option<usize> {
    let (_, rest) = message.split_once("size: ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Cuts a server message before the first brace or quote, because it may show a document.
fn without_content(message: &str) -> String {
    message.split(['{', '"']).next().unwrap_or_default().trim_end().to_owned()
}

/// Returns the error without a variant of its own. The driver's text is not used whole, because it contains the server's
/// response and with it the content of documents.
fn reported(what: &'static str, text: String) -> Error {
    Error::Engine { what, source: text.into() }
}

/// Removes the driver's dump of the topology and keeps the first cause in it.
fn without_topology(message: &str) -> String {
    let Some((reason, topology)) = message.split_once(" Topology: ") else { return message.to_owned() };
    let reason = reason.trim_end_matches('.');
    let cause =
        topology.split_once("Error: Kind: ").map(|(_, rest)| rest.split(", labels").next().unwrap_or(rest));
    cause.map_or_else(|| reason.to_owned(), |cause| format!("{reason}: {cause}"))
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn mapped(coded: &ServerError, transient: bool) -> Error {
        from_code("writing", "things", coded, transient)
    }

    fn error(code: i32, message: &str) -> Error {
        mapped(&ServerError { code, message: message.to_owned(), ..ServerError::default() }, false)
    }

    #[test]
    fn duplicate_key_names_the_index_but_not_the_value() {
        let coded = ServerError {
            code: 11000,
            message: r#"E11000 duplicate key error collection: d.things index: my index dup key: { a: " index: x dup key" }"#.into(),
            key_pattern: Some(doc! { "a": 1, "b.c": -1 }),
            ..ServerError::default()
        };
        let error = mapped(&coded, true);
        assert!(
            matches!(&error, Error::DuplicateKey { index, fields, .. } if index == "my index" && fields == &["a", "b.c"]),
            "{error:?}"
        );
    }

    #[test]
    fn messages_omit_document_content() {
        for code in [2, 14, 28, 121, 9999] {
            let text = error(code, "cannot apply to {_id: 1, secret: \"s3cret\"}").to_string();
            assert!(!text.contains("s3cret") && !text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn write_without_confirmation_may_have_been_made() {
        let by =
            |what, code| from_code(what, "things", &ServerError { code, ..ServerError::default() }, false);
        assert!(matches!(by(INSERTING, NOT_CONFIRMED), Error::Unconfirmed(_)));
        assert!(matches!(by(UPDATING, 91), Error::Unconfirmed(_)));
        // The server refused it.
        assert!(matches!(by(INSERTING, 10107), Error::Unavailable(_)));
        assert!(matches!(by("reading documents", 91), Error::Unavailable(_)));
    }

    #[test]
    fn missing_privilege_names_action_and_database() {
        for (command, action) in [
            (r#"{ insert: "stories", documents: [ { title: "s3cret" } ] }"#, "insert"),
            (r#"{ createIndexes: "stories", indexes: [] }"#, "createIndex"),
            ("{ aggregate: 1, pipeline: [ { $changeStream: {} } ] }", "changeStream"),
            ("{ dropDatabase: 1 }", "dropDatabase"),
        ] {
            let text =
                error(13, &format!("not authorized on site__test to execute command {command}")).to_string();
            assert!(
                text.ends_with(&format!("lacks the privilege {action} on the database site__test")),
                "{text}"
            );
        }
        assert!(error(13, "command insert requires authentication").to_string().contains("code 13"));
    }

    #[test]
    fn codes_take_precedence_over_the_transient_label() {
        let by = |code| mapped(&ServerError { code, ..ServerError::default() }, true);
        assert!(matches!(by(24), Error::WriteConflict));
        assert!(matches!(
            error(388, "transaction is too large and will not fit in the storage engine cache"),
            Error::WriteConflict
        ));
        assert!(matches!(by(251), Error::TransactionEnded(_)));
        // The server aborted it after its lifetime limit.
        assert!(matches!(by(290), Error::TransactionEnded(_)));
        assert!(matches!(by(10107), Error::Unavailable(_)));
        // Of the two reasons for a missing snapshot, only one passes.
        let snapshot = |message: &str| {
            let message = message.to_owned();
            mapped(&ServerError { code: 246, message, ..ServerError::default() }, true)
        };
        let never = "Reading from capped collections with readConcern snapshot is not supported";
        assert!(matches!(snapshot(never), Error::Unsupported(text) if text.contains(never)));
        let passing =
            "Unable to read from a snapshot due to pending collection catalog changes; please retry";
        assert!(matches!(snapshot(passing), Error::WriteConflict));
    }

    #[test]
    fn topology_dump_is_reduced_to_the_first_cause() {
        let text = "Server selection timeout: No available servers. Topology: { Type: Unknown, Servers: [ { Address: \
                    h:1, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: {} } ] }";
        assert_eq!(
            without_topology(text),
            "Server selection timeout: No available servers: I/O error: Connection refused (os error 111)"
        );
        assert_eq!(
            without_topology("No available servers. Topology: { Type: Unknown }"),
            "No available servers"
        );
        assert_eq!(without_topology("something else"), "something else");
    }

    #[test]
    fn too_large_reports_the_size_of_the_server() {
        let too_large = error(
            10334,
            "BSONObj size: 16777300 (0x1000054) is invalid. Size must be between 0 and 16793600",
        );
        assert!(matches!(too_large, Error::TooLarge { bytes: 16_777_300, .. }));
    }
}
