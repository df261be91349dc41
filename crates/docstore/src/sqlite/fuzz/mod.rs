//! Fuzz targets of the embedded engine: plans and statements, and documents as they are stored.

/// Makes documents, filters, updates and reads from the bytes of an input.
mod generate;
/// MongoDB's matching rules on decoded values, written apart from the engine's.
mod model;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use arbitrary::Unstructured;
use bson::{Bson, Document, RawDocument, RawDocumentBuf};
use rusqlite::{Connection, params};

use self::generate::Change;
use crate::engine::{Operation, Reach};
use crate::eval::project::{included, project};
use crate::order::{self, key_fields, sort_key};
use crate::sqlite::catalog::checksum;
use crate::sqlite::check;
use crate::sqlite::open::SCHEMA;
use crate::sqlite::query::read::PlannedRead;
use crate::sqlite::query::scan;
use crate::sqlite::write::ddl::create_index;
use crate::sqlite::write::operations::{execute, is_refusal};
use crate::sqlite::write::session::Session;
use crate::{Direction, Error, Filter, Find, Index, Projection, Result, Sort, Update};

/// The collection that is written and read.
const COLLECTION: &str = "c";
/// The fields that reads of stored documents name.
const FIELDS: [&str; 5] = ["_id", "a", "b", "a.b", "a.c"];

/// Writes random documents under random indexes and runs random reads. Each read returns what the model returns,
/// whatever its plan, the indexes equal the documents, and SQLite reports no error.
pub fn query_plans(data: &[u8]) {
    // An input that ends early is complete as it is.
    let Ok(input) = generate::input(&mut Unstructured::new(data)) else { return };
    with_session(|session| {
        for change in input.changes {
            make(session, change);
        }
        let documents = read(session, Find::new(Filter::All));
        let fault = check::documents(session.connection, &session.catalog).expect("no document is damaged");
        assert_eq!(fault, None, "an index differs from the documents");
        for find in input.reads {
            compare(session, &documents, find);
        }
    });
}

/// Reads, updates and deletes a document whose stored bytes are the input. Damage is reported as such, for this document
/// alone, and nothing else is reported.
pub fn stored_documents(data: &[u8]) {
    let Some((&mode, elements)) = data.split_first() else { return };
    let bytes = framed(elements);
    index_definition(&bytes);
    if let Ok(document) = RawDocument::from_bytes(&bytes) {
        paths(document);
    }
    with_session(|session| {
        let whole =
            Document::from_iter([("_id".to_owned(), Bson::Int32(1)), ("a".to_owned(), Bson::Int32(1))]);
        session.insert(COLLECTION, &whole).expect("a document is inserted");
        let table = session.collection(COLLECTION).expect("the collection exists").id;
        let sum = match mode % 4 {
            // A version without checksums wrote the document.
            0 => None,
            1 => Some(checksum(&bytes) ^ 1),
            _ => Some(checksum(&bytes)),
        };
        let id = order::encode_value(&Bson::Int32(2)).expect("a number has a key");
        let insert = format!("INSERT INTO c_{table} (id, doc, checksum) VALUES (?, ?, ?)");
        session.connection.execute(&insert, params![id, bytes, sum]).expect("the row is inserted");
        reads(session, &bytes, sum.is_some_and(|sum| sum != checksum(&bytes)));
        for index in
            [Index::on(["a"]), Index::by([("a.b", Direction::Descending), ("b", Direction::Ascending)])]
        {
            accept(create_index(session, COLLECTION, &index));
        }
        reads(session, &bytes, false);
        let fault = accept(check::documents(session.connection, &session.catalog)).flatten();
        assert_eq!(fault, None, "an index differs from the documents");
        let filter = Filter::exists("a");
        let update = Update::new().set("b", 1).inc("a", 1);
        let many = Operation::Update { filter: filter.clone(), update, reach: Reach::Many };
        accept(execute(session, COLLECTION, many));
        accept(execute(session, COLLECTION, Operation::Delete { filter, many: true }));
    });
}

thread_local! {
    /// A store in memory. Each input runs in a transaction that is rolled back.
    static STORE: RefCell<Connection> = RefCell::new({
        let connection = Connection::open_in_memory().expect("a database in memory");
        connection.execute_batch(SCHEMA).expect("the tables are created");
        connection
    });
}

fn with_session(work: impl FnOnce(&mut Session<'_>)) {
    STORE.with_borrow_mut(|connection| {
        let transaction = connection.transaction().expect("a transaction begins");
        let mut session = Session { connection: &transaction, catalog: Arc::default(), changes: Vec::new() };
        session.refresh().expect("the catalog is read");
        work(&mut session);
        transaction.rollback().expect("the transaction is rolled back");
    });
}

/// Makes a change, which may be refused.
fn make(session: &mut Session<'_>, change: Change) {
    let outcome = match change {
        Change::Index(index) => index.check().and_then(|()| create_index(session, COLLECTION, &index)),
        Change::Insert(document) => session.insert(COLLECTION, &document),
        Change::Update { filter, update, reach } => {
            filter.check().and_then(|()| update.check()).and_then(|()| {
                execute(session, COLLECTION, Operation::Update { filter, update, reach }).map(drop)
            })
        }
        Change::Delete(filter) => filter
            .check()
            .and_then(|()| execute(session, COLLECTION, Operation::Delete { filter, many: true }).map(drop)),
    };
    if let Err(error) = outcome {
        assert!(is_refusal(&error), "{error:?}");
    }
}

fn read(session: &Session<'_>, find: Find) -> Vec<RawDocumentBuf> {
    try_read(session, find).unwrap_or_else(|error| panic!("{error:?}"))
}

fn try_read(session: &Session<'_>, find: Find) -> Result<Vec<RawDocumentBuf>> {
    let planned = PlannedRead::new(&session.catalog, COLLECTION, find)?;
    planned.explain();
    planned.open(session.connection)?.read_all(session.connection)?.collect()
}

/// Compares a read, and the count of its filter, with the model.
fn compare(session: &Session<'_>, documents: &[RawDocumentBuf], find: Find) {
    if find.check().is_err() {
        return;
    }
    let decoded = |raw: &RawDocumentBuf| Document::try_from(raw.as_ref()).expect("a stored document");
    let matching = documents.iter().filter(|raw| model::matches(&find.filter, &decoded(raw)));
    let count = matching.clone().count();
    let counted = scan::count(session.connection, &session.catalog, COLLECTION, &find.filter);
    assert_eq!(counted.expect("matches are counted"), count as u64, "{find:?} of {documents:?}");

    let fields = key_fields(find.sort.fields());
    let keyed = matching.map(|raw| Ok((sort_key(raw, &fields)?, raw)));
    let Ok(mut keyed) = keyed.collect::<Result<Vec<_>>>() else {
        // A document with arrays in two fields of the order has no place in it. A read is refused if it meets one.
        return drop(accept(try_read(session, find)));
    };
    if let Some(position) = find.after.as_deref().filter(|position| !position.is_empty()) {
        let mut start = Vec::new();
        for (value, (_, direction)) in position.iter().zip(find.sort.fields()) {
            let encoded = order::encode_value(value).expect("a checked value");
            order::push_field(&mut start, &encoded, *direction == Direction::Descending);
        }
        keyed.retain(|(key, _)| *key > start);
    }
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    let skip = usize::try_from(find.skip).unwrap_or(usize::MAX);
    let limit = find.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let window = keyed.iter().skip(skip).take(limit);
    let projected = |raw: &RawDocument| match &find.projection {
        Some(projection) => project(raw, &included(projection)).expect("a stored document"),
        None => raw.to_owned(),
    };

    let found = read(session, find.clone());
    // Documents of one key may come in any order, and any of them may be in the window.
    let mut candidates = BTreeMap::<Vec<u8>, (&[u8], &RawDocumentBuf)>::new();
    for (key, raw) in &keyed {
        candidates.insert(id_of(raw), (key, raw));
    }
    let mut keys = Vec::new();
    for document in &found {
        let Some((key, raw)) = candidates.remove(&id_of(document)) else {
            panic!("{find:?} returned {document:?} of {documents:?}")
        };
        assert_eq!(*document, projected(raw), "{find:?}");
        keys.push(key);
    }
    let expected: Vec<_> = window.map(|(key, _)| key.as_slice()).collect();
    assert_eq!(keys, expected, "{find:?} returned {found:?} of {documents:?}");
}

fn id_of(document: &RawDocument) -> Vec<u8> {
    let id = document.get("_id").expect("a document").expect("an id");
    let mut key = Vec::new();
    order::encode(id, &mut key).expect("an id has a key");
    key
}

/// Adds length and end to the elements of a document.
fn framed(elements: &[u8]) -> Vec<u8> {
    let length = u32::try_from(elements.len() + 5).expect("an input is short");
    [&length.to_le_bytes()[..], elements, &[0]].concat()
}

/// Decodes the definition of an index.
fn index_definition(bytes: &[u8]) {
    let Ok(definition) = Document::from_reader(bytes) else { return };
    let Ok(index) = Index::from_document(&definition) else { return };
    let encoded = index.to_document();
    let again = Index::from_document(&encoded).expect("an encoded definition can be decoded");
    // NaN differs from itself, but not its bytes.
    assert_eq!(again.to_document().to_vec().ok(), encoded.to_vec().ok());
}

/// Compares look-ups in the bytes with the decoded document.
fn paths(raw: &RawDocument) {
    let Ok(decoded) = Document::try_from(raw) else { return };
    let is_ambiguous = raw.iter_elements().count() != decoded.len();
    for name in decoded.keys().map(String::as_str).chain(["missing"]).filter(|_| !is_ambiguous) {
        let found = order::get(raw, name).expect("a document that can be decoded");
        let found = found.map(|value| Bson::try_from(value).expect("a value that can be decoded"));
        // NaN differs from itself.
        assert_eq!(format!("{found:?}"), format!("{:?}", decoded.get(name).cloned()), "{name}");
    }
}

/// Runs reads of several kinds. A document with a wrong checksum is never returned.
fn reads(session: &Session<'_>, bytes: &[u8], is_damaged: bool) {
    let sorts = [Sort::default(), Sort::ascending("a"), Sort::descending("a.b").then_ascending("b")];
    let all = Filter::and(FIELDS.map(Filter::exists));
    for filter in [Filter::All, Filter::eq("a", 1), Filter::gt("a.b", ""), all.negated()] {
        for sort in &sorts {
            let mut find = Find::new(filter.clone()).sort(sort.clone());
            if sort.fields().len() == 1 {
                find = find.projection(Projection::include(["a.b", "b"])).limit(5);
            }
            let planned = PlannedRead::new(&session.catalog, COLLECTION, find).expect("the read is valid");
            let documents =
                planned.open(session.connection).and_then(|read| read.read_all(session.connection));
            let Some(documents) = accept(documents) else { continue };
            for document in documents {
                let document = accept(document);
                assert!(!is_damaged || document.is_none_or(|document| document.as_bytes() != bytes));
            }
        }
        accept(scan::count(session.connection, &session.catalog, COLLECTION, &filter));
    }
}

/// Returns the outcome, unless the document is damaged or refused.
fn accept<T>(outcome: Result<T>) -> Option<T> {
    match outcome {
        Ok(done) => Some(done),
        Err(error) if is_refusal(&error) || matches!(error.root(), Error::Damaged { .. }) => None,
        Err(error) => panic!("{error:?}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn query_plans() {
        testkit::fuzz::run("query_plans", super::query_plans);
    }

    #[test]
    fn stored_documents() {
        testkit::fuzz::run("stored_documents", super::stored_documents);
    }
}
