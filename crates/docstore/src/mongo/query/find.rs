use bson::{Document, RawDocumentBuf, doc};
use futures_util::future::try_join_all;
use futures_util::stream::{StreamExt, TryStreamExt};
use mongodb::error::Error as DriverError;
use mongodb::options::{CountOptions, FindOptions, Hint};

use crate::engine::RawStream;
use crate::mongo::core::{Core, Session};
use crate::mongo::error::{ErrorContext, classify};
use crate::mongo::query::seek::{self, Part};
use crate::mongo::translate;
use crate::mongo::write::operations::READING;
use crate::{Field, Filter, Find, Result};

/// Maximum number of documents for which all parts of a read run concurrently, although some may be discarded.
const FEW: u64 = 200;
const COUNTING: &str = "counting documents";

impl Core {
    pub(crate) async fn find(&self, name: &str, find: &Find, session: Session<'_>) -> Result<RawStream> {
        if find.limit == Some(0) {
            // The server treats 0 as no limit.
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

    /// Reads consecutive parts: concurrently, because most parts are empty; one after the other in a transaction and for
    /// reads without a small limit.
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
        let (collection, doing) = (self.raw(name), name.to_owned());
        let ours =
            move |error: DriverError| classify(ErrorContext { what: READING, collection: &doing }, &error);
        let options = find_options(find, &part);
        match session {
            None => {
                let read = async move {
                    let cursor = collection.find(part.query).with_options(options).await.map_err(&ours)?;
                    Ok(cursor.map_err(ours).boxed())
                };
                self.limiter.read(read).await
            }
            Some(session) => {
                // A cursor in a transaction borrows the session for each batch, and so does the next operation: read it to
                // the end.
                let action = collection.find(part.query).with_options(options);
                let mut cursor = action.session(&mut *session).await.map_err(&ours)?;
                let found: Vec<_> = cursor.stream(session).try_collect().await.map_err(&ours)?;
                Ok(futures_util::stream::iter(found.into_iter().map(Ok)).boxed())
            }
        }
    }

    pub(crate) async fn count(&self, name: &str, filter: &Filter, session: Session<'_>) -> Result<u64> {
        let (collection, query) = (self.raw(name), translate::filter(filter));
        let mut options = CountOptions::default();
        options.hint = hint(filter);
        let counted = match session {
            None => {
                let count = async move { Ok(collection.count_documents(query).with_options(options).await) };
                self.limiter.read(count).await?
            }
            Some(session) => collection.count_documents(query).with_options(options).session(session).await,
        };
        match counted {
            Ok(count) => Ok(count),
            Err(error) => Err(self.error(COUNTING, name, &error).await),
        }
    }
}

/// Returns the index on `_id` as a hint for filters with a closed range of ids. The planner does not always choose it: where
/// ids grow with a date, its trial run over the index on that date meets the matching documents first and misjudges the
/// rest.
fn hint(filter: &Filter) -> Option<Hint> {
    is_id_range(filter).then(|| Hint::Keys(doc! { "_id": 1 }))
}

fn is_id_range(filter: &Filter) -> bool {
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

fn find_options(find: &Find, part: &Part) -> FindOptions {
    let mut options = FindOptions::default();
    options.hint = hint(&find.filter);
    options.skip = Some(find.skip);
    options.limit = find.limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
    options.sort = (!part.sort.fields().is_empty()).then(|| translate::sort(&part.sort));
    options.projection = find.projection.as_ref().map(translate::projection);
    options
}

/// Builds the `find` command for a part of a read.
pub(crate) fn find_command(name: &str, find: &Find, part: Part) -> Document {
    let Part { query, sort } = part;
    let mut command = doc! { "find": name, "filter": query };
    if !sort.fields().is_empty() {
        command.insert("sort", translate::sort(&sort));
    }
    if is_id_range(&find.filter) {
        command.insert("hint", doc! { "_id": 1 });
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
