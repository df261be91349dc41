use bson::{Bson, Document, RawDocumentBuf, doc};
use futures_util::future::try_join_all;
use futures_util::stream::{StreamExt, TryStreamExt};
use mongodb::ClientSession;
use mongodb::error::{Error as DriverError, ErrorKind};
use mongodb::options::{Hint, ReturnDocument, WriteConcern};

use super::classify::{Doing, MAX_DOCUMENT, classify};
use super::seek::{self, Part};
use super::{indexes, translate};
use crate::engine::{RawStream, Reach};
use crate::filter::check_value;
use crate::{Error, Field, Filter, Find, FindAndUpdate, Result, Update, UpdateResult};

/// The database of an engine and of its transactions. Each operation takes the session of a transaction, if it is in
/// one.
#[derive(Clone)]
pub(super) struct Core {
    pub(super) database: mongodb::Database,
    pub(super) write_concern: Option<WriteConcern>,
}

pub(super) type Session<'a> = Option<&'a mut ClientSession>;

pub(super) const READING: &str = "reading documents";
/// So many documents are few enough to be read more than once for nothing.
const FEW: u64 = 200;
const COUNTING: &str = "counting documents";
const INSERTING: &str = "inserting documents";
pub(super) const UPDATING: &str = "updating documents";
pub(super) const DELETING: &str = "deleting documents";

impl Core {
    pub(super) fn raw(&self, collection: &str) -> mongodb::Collection<RawDocumentBuf> {
        self.database.collection(collection)
    }

    /// One of ours for an error of the driver; looks up what the driver leaves out.
    pub(super) async fn error(&self, what: &'static str, collection: &str, error: &DriverError) -> Error {
        self.complete(classify(Doing { what, collection }, error)).await
    }

    /// The driver drops the server's answer to `insert_many`, and with it the fields of a violated index.
    pub(super) async fn complete(&self, error: Error) -> Error {
        match error {
            Error::DuplicateKey { collection, index, fields } if fields.is_empty() => {
                let fields = indexes::fields_of(self, &collection, &index).await;
                Error::DuplicateKey { collection, index, fields }
            }
            other => other,
        }
    }

    pub(super) async fn find(&self, name: &str, find: &Find, session: Session<'_>) -> Result<RawStream> {
        find.check()?;
        check_collection(name)?;
        if find.limit == Some(0) {
            // To the server 0 means no limit.
            return Ok(futures_util::stream::empty().boxed());
        }
        let mut parts = seek::queries(find);
        match parts.pop() {
            Some(only) if parts.is_empty() => self.find_by(name, find, only, session).await,
            last => {
                parts.extend(last);
                self.find_in_parts(name, find, parts, session).await
            }
        }
    }

    /// Reads what follows one another: at the same time, since most of it is nothing; in a transaction, and where
    /// everything is wanted, one by one.
    async fn find_in_parts(
        &self,
        name: &str,
        find: &Find,
        parts: Vec<Part>,
        mut session: Session<'_>,
    ) -> Result<RawStream> {
        let most = find.limit.map(|limit| limit.saturating_add(find.skip));
        let part = Find { skip: 0, limit: most, ..find.clone() };
        let mut found: Vec<RawDocumentBuf> = Vec::new();
        if session.is_none() && most.is_some_and(|most| most <= FEW) {
            let reads = parts.into_iter().map(|query| async {
                self.find_by(name, &part, query, None).await?.try_collect::<Vec<_>>().await
            });
            found.extend(try_join_all(reads).await?.into_iter().flatten());
        } else {
            for query in parts {
                if most.is_some_and(|most| found.len() as u64 >= most) {
                    break;
                }
                let documents = self.find_by(name, &part, query, session.as_deref_mut()).await?;
                found.extend(documents.try_collect::<Vec<_>>().await?);
            }
        }
        let window = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let found = found.into_iter().take(most.map_or(usize::MAX, window)).skip(window(find.skip));
        Ok(futures_util::stream::iter(found.map(Ok)).boxed())
    }

    async fn find_by(&self, name: &str, find: &Find, part: Part, session: Session<'_>) -> Result<RawStream> {
        let Part { query, sort } = part;
        let collection = self.raw(name);
        let mut action = collection.find(query).skip(find.skip);
        if is_range_of_ids(&find.filter) {
            action = action.hint(Hint::Keys(doc! { "_id": 1 }));
        }
        if let Some(limit) = find.limit {
            action = action.limit(i64::try_from(limit).unwrap_or(i64::MAX));
        }
        if !sort.fields().is_empty() {
            action = action.sort(translate::sort(&sort));
        }
        if let Some(projection) = &find.projection {
            action = action.projection(translate::projection(projection));
        }
        let doing = name.to_owned();
        let ours = move |error: DriverError| classify(Doing { what: READING, collection: &doing }, &error);
        match session {
            None => {
                let cursor = action.await.map_err(&ours)?;
                Ok(cursor.map_err(ours).boxed())
            }
            Some(session) => {
                // A cursor of a transaction needs its session for each batch, and the next operation needs it too.
                let mut cursor = action.session(&mut *session).await.map_err(&ours)?;
                let found: Vec<_> = cursor.stream(session).try_collect().await.map_err(&ours)?;
                Ok(futures_util::stream::iter(found.into_iter().map(Ok)).boxed())
            }
        }
    }

    pub(super) async fn count(&self, name: &str, filter: &Filter, session: Session<'_>) -> Result<u64> {
        filter.check()?;
        check_collection(name)?;
        let collection = self.raw(name);
        let mut action = collection.count_documents(translate::filter(filter));
        if is_range_of_ids(filter) {
            action = action.hint(Hint::Keys(doc! { "_id": 1 }));
        }
        if let Some(session) = session {
            action = action.session(session);
        }
        match action.await {
            Ok(count) => Ok(count),
            Err(error) => Err(self.error(COUNTING, name, &error).await),
        }
    }

    pub(super) async fn insert(
        &self,
        name: &str,
        documents: Vec<Document>,
        session: Session<'_>,
    ) -> Result<()> {
        check_insert(name, &documents)?;
        self.insert_checked(name, &documents, session).await
    }

    /// Inserts in order; [`Error::Batch`] at the first that fails.
    pub(super) async fn insert_checked(
        &self,
        name: &str,
        documents: &[Document],
        session: Session<'_>,
    ) -> Result<()> {
        let mut raw = Vec::with_capacity(documents.len());
        let mut too_large = None;
        for (at, document) in documents.iter().enumerate() {
            let encoded = encoded(document)?;
            let bytes = encoded.as_bytes().len();
            if bytes > MAX_DOCUMENT {
                too_large = Some((at, bytes));
                break;
            }
            raw.push(encoded);
        }
        if !raw.is_empty() {
            let collection = self.raw(name);
            let mut action = collection.insert_many(&raw).ordered(true);
            if let Some(session) = session {
                action = action.session(session);
            }
            if let Err(error) = action.await {
                let at = failed_at(&error);
                let source = self.error(INSERTING, name, &error).await;
                return Err(in_batch(at, source));
            }
        }
        match too_large {
            None => Ok(()),
            Some((at, bytes)) => {
                Err(in_batch(Some(at), Error::TooLarge { collection: name.to_owned(), bytes }))
            }
        }
    }

    pub(super) async fn update(
        &self,
        name: &str,
        filter: &Filter,
        update: &Update,
        reach: Reach,
        session: Session<'_>,
    ) -> Result<UpdateResult> {
        check_update(name, filter, update)?;
        let collection = self.raw(name);
        let mut action = match reach {
            Reach::One => collection.update_one(translate::filter(filter), translate::update(update)),
            Reach::OneOrInsert => collection
                .update_one(translate::filter_to_upsert(filter), translate::upsert(filter, update))
                .upsert(true),
            Reach::Many => collection.update_many(translate::filter(filter), translate::update(update)),
        };
        if let Some(session) = session {
            action = action.session(session);
        }
        match action.await {
            Ok(done) => Ok(UpdateResult {
                matched: done.matched_count,
                modified: done.modified_count,
                upserted_id: done.upserted_id,
            }),
            Err(error) => Err(self.error(UPDATING, name, &error).await),
        }
    }

    pub(super) async fn find_one_and_update(
        &self,
        name: &str,
        find: &FindAndUpdate,
        session: Session<'_>,
    ) -> Result<Option<RawDocumentBuf>> {
        find.check()?;
        check_collection(name)?;
        let collection = self.raw(name);
        let (query, update) = if find.upsert {
            (translate::filter_to_upsert(&find.filter), translate::upsert(&find.filter, &find.update))
        } else {
            (translate::filter(&find.filter), translate::update(&find.update))
        };
        let returned = if find.return_new { ReturnDocument::After } else { ReturnDocument::Before };
        let mut action =
            collection.find_one_and_update(query, update).upsert(find.upsert).return_document(returned);
        if !find.sort.fields().is_empty() {
            action = action.sort(translate::sort(&find.sort));
        }
        if let Some(session) = session {
            action = action.session(session);
        }
        match action.await {
            Ok(found) => Ok(found),
            Err(error) => Err(self.error(UPDATING, name, &error).await),
        }
    }

    pub(super) async fn delete(
        &self,
        name: &str,
        filter: &Filter,
        many: bool,
        session: Session<'_>,
    ) -> Result<u64> {
        filter.check()?;
        check_collection(name)?;
        let collection = self.raw(name);
        let query = translate::filter(filter);
        let mut action = if many { collection.delete_many(query) } else { collection.delete_one(query) };
        if let Some(session) = session {
            action = action.session(session);
        }
        match action.await {
            Ok(done) => Ok(done.deleted_count),
            Err(error) => Err(self.error(DELETING, name, &error).await),
        }
    }

    /// A command of this database, with the write concern that the driver adds to its own.
    pub(super) async fn write_command(
        &self,
        mut command: Document,
        session: Session<'_>,
    ) -> Result<Document, DriverError> {
        if let Some(session) = session {
            return self.database.run_command(command).session(session).await;
        }
        if let Some(concern) = &self.write_concern {
            command.insert("writeConcern", bson::serialize_to_bson(concern).map_err(ErrorKind::from)?);
        }
        self.database.run_command(command).await
    }
}

/// Whether a filter has both ends of a range of ids. The index on the id is then the one to use, which the server does not
/// always see: where ids grow with a date, the first documents by that date are in the range of the last ids, and all
/// others, which it looks at afterwards, are not.
fn is_range_of_ids(filter: &Filter) -> bool {
    fn ends(filter: &Filter) -> (bool, bool) {
        match filter {
            Filter::And(filters) => {
                filters.iter().map(ends).fold((false, false), |(a, b), (c, d)| (a || c, b || d))
            }
            Filter::Gt(field, _) | Filter::Gte(field, _) => (*field == Field::ID, false),
            Filter::Lt(field, _) | Filter::Lte(field, _) => (false, *field == Field::ID),
            _ => (false, false),
        }
    }
    ends(filter) == (true, true)
}

/// Names that the server refuses, told before anything is sent.
pub(super) fn check_collection(name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('.') || name.ends_with('.') || name.contains(['$', '\0']) {
        return Err(Error::Invalid(format!("{name:?} cannot be the name of a collection")));
    }
    Ok(())
}

/// A document that can be stored: types of ours only, and an id that is no array.
pub(super) fn check_document(document: &Document) -> Result<()> {
    document.values().try_for_each(check_value)?;
    match document.get("_id") {
        Some(Bson::Array(_)) => Err(Error::Invalid("an id cannot be an array".into())),
        _ => Ok(()),
    }
}

pub(super) fn check_insert(name: &str, documents: &[Document]) -> Result<()> {
    check_collection(name)?;
    documents.iter().try_for_each(check_document)
}

pub(super) fn check_update(name: &str, filter: &Filter, update: &Update) -> Result<()> {
    filter.check()?;
    update.check()?;
    check_collection(name)
}

pub(super) fn encoded(document: &Document) -> Result<RawDocumentBuf> {
    RawDocumentBuf::try_from(document)
        .map_err(|_| Error::Invalid("a document holds a field name that cannot be stored".into()))
}

/// The position of the document that an insert failed at; `None` if it did not fail at a document.
fn failed_at(error: &DriverError) -> Option<usize> {
    match error.kind.as_ref() {
        ErrorKind::InsertMany(failure) => failure.write_errors.as_ref()?.first().map(|first| first.index),
        _ => None,
    }
}

/// An error without a position stays as it is: how many writes are done is not known.
pub(super) fn in_batch(at: Option<usize>, source: Error) -> Error {
    match at {
        Some(at) => Error::Batch { at, source: Box::new(source) },
        None => source,
    }
}

/// A part of a read as a `find` command.
pub(super) fn find_command(name: &str, find: &Find, part: Part) -> Document {
    let Part { query, sort } = part;
    let mut command = doc! { "find": name, "filter": query };
    if !sort.fields().is_empty() {
        command.insert("sort", translate::sort(&sort));
    }
    if find.skip > 0 {
        command.insert("skip", i64::try_from(find.skip).unwrap_or(i64::MAX));
    }
    if let Some(limit) = find.limit.filter(|limit| *limit > 0) {
        command.insert("limit", i64::try_from(limit).unwrap_or(i64::MAX));
    }
    if let Some(projection) = &find.projection {
        command.insert("projection", translate::projection(projection));
    }
    command
}
