//! Reads.
//!
//! A read after a position may take several queries. The server's comparisons stay within a type but its sort orders do
//! not, so the types that sort later are listed explicitly. Each part of a query is a range of one index, and the server
//! merges them.

use bson::{Bson, Document, RawDocumentBuf, doc};
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use mongodb::error::Error as DriverError;
use mongodb::options::{CountOptions, FindOptions, Hint};

use crate::engine::RawStream;
use crate::mongo::engine::{Core, Session};
use crate::mongo::error::{classify, failed};
use crate::mongo::translate::{self, on};
use crate::{Direction, Field, Filter, Find, Result, Sort};

const READING: &str = "reading documents";
/// Maximum number of documents for which all parts of a read run concurrently, although some may be discarded.
const FEW: u64 = 200;

/// Types in sort order, starting after null; an array sorts by one of its elements.
const TYPES: [&[&str]; 9] = [
    &["number"],
    &["string", "symbol"],
    &["object"],
    &["binData"],
    &["objectId"],
    &["bool"],
    &["date"],
    &["timestamp"],
    &["regex", "javascript"],
];

impl Core {
    pub(crate) async fn find(&self, name: &str, find: &Find, session: Session<'_>) -> Result<RawStream> {
        if find.limit == Some(0) {
            // The server treats 0 as no limit.
            return Ok(stream::empty().boxed());
        }
        let mut parts = queries(find);
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
        let limit = find.limit.map(|limit| limit.saturating_add(find.skip));
        let part = Find { skip: 0, limit, ..find.clone() };
        let mut found: Vec<RawDocumentBuf> = Vec::new();
        if session.is_none() && limit.is_some_and(|limit| limit <= FEW) {
            let reads = parts.into_iter().map(|query| async {
                self.find_by(name, &part, query, None).await?.try_collect::<Vec<_>>().await
            });
            found.extend(try_join_all(reads).await?.into_iter().flatten());
        } else {
            for query in parts {
                if limit.is_some_and(|limit| found.len() as u64 >= limit) {
                    break;
                }
                let documents = self.find_by(name, &part, query, session.as_deref_mut()).await?;
                found.extend(documents.try_collect::<Vec<_>>().await?);
            }
        }
        let window = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let found = found.into_iter().take(limit.map_or(usize::MAX, window)).skip(window(find.skip));
        Ok(stream::iter(found.map(Ok)).boxed())
    }

    async fn find_by(&self, name: &str, find: &Find, part: Part, session: Session<'_>) -> Result<RawStream> {
        let options = find_options(find, &part);
        let collection = self.raw(name);
        match session {
            None => {
                let name = name.to_owned();
                let failed = move |error: DriverError| classify(READING, &name, &error);
                let read = async move {
                    let cursor = collection.find(part.query).with_options(options).await.map_err(&failed)?;
                    Ok(cursor.map_err(failed).boxed())
                };
                self.limiter.read(read).await
            }
            Some(session) => {
                // A cursor in a transaction borrows the session for each batch, and so does the next operation: read it to
                // the end.
                let action = collection.find(part.query).with_options(options);
                let read = async {
                    let mut cursor = action.session(&mut *session).await?;
                    cursor.stream(session).try_collect::<Vec<_>>().await
                };
                let found = read.await.map_err(failed(READING, name))?;
                Ok(stream::iter(found.into_iter().map(Ok)).boxed())
            }
        }
    }

    pub(crate) async fn count(&self, name: &str, filter: &Filter, session: Session<'_>) -> Result<u64> {
        let (collection, query) = (self.raw(name), filter.to_mql());
        let mut options = CountOptions::default();
        options.hint = hint(filter);
        options.collation = Some(translate::simple_collation());
        let counted = match session {
            None => {
                let count = async move { Ok(collection.count_documents(query).with_options(options).await) };
                self.limiter.read(count).await?
            }
            Some(session) => collection.count_documents(query).with_options(options).session(session).await,
        };
        counted.map_err(failed("counting documents", name))
    }
}

/// Returns the index on `_id` as a hint for filters with a closed range of ids. The planner does not always choose it: where
/// ids grow with a date, its trial run over the index on that date meets the matching documents first and misjudges the
/// rest.
fn hint(filter: &Filter) -> Option<Hint> {
    let conditions = filter.conjuncts();
    let from =
        |condition: &&Filter| matches!(condition, Filter::Gt(f, _) | Filter::Gte(f, _) if *f == Field::ID);
    let until =
        |condition: &&Filter| matches!(condition, Filter::Lt(f, _) | Filter::Lte(f, _) if *f == Field::ID);
    let is_range = conditions.iter().any(from) && conditions.iter().any(until);
    is_range.then(|| Hint::Keys(doc! { "_id": 1 }))
}

pub(crate) fn find_options(find: &Find, part: &Part) -> FindOptions {
    let mut options = FindOptions::default();
    options.hint = hint(&find.filter);
    options.collation = Some(translate::simple_collation());
    options.skip = Some(find.skip);
    options.limit = find.limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
    options.sort = (!part.sort.fields().is_empty()).then(|| translate::directions(part.sort.fields()));
    options.projection = find.projection.as_ref().map(translate::projection);
    options
}

/// One query of a read, and its sort.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) query: Document,
    pub(crate) sort: Sort,
}

/// Returns the queries of a read, whose results are consecutive: one query where the server can merge the parts. It cannot
/// if it must also merge within a part or may choose between indexes. When it merges, a missing value sorts before null,
/// while its indexes treat them as equal; documents without a value in the first sort field are therefore read separately.
pub(crate) fn queries(find: &Find) -> Vec<Part> {
    let whole = |query| vec![Part { query, sort: find.sort.clone() }];
    match (&find.after, find.sort.fields()) {
        (Some(begin), [(first, direction), _, ..]) if begin.is_empty() && merges(&find.filter) => {
            let part = |operator, sort| Part { query: with(find, &[on(first, operator, Bson::Null)]), sort };
            let mut parts = vec![part("$eq", without(&find.sort, 1)), part("$ne", find.sort.clone())];
            if *direction == Direction::Descending {
                parts.reverse();
            }
            parts
        }
        (None, _) => whole(find.filter.to_mql()),
        (Some(begin), _) if begin.is_empty() => whole(find.filter.to_mql()),
        (Some(position), _) => {
            let parts = parts(find, position);
            if parts.is_empty() {
                whole(doc! { "$nor": [{}] })
            } else if is_plain(&find.filter) && !position.contains(&Bson::Null) {
                whole(doc! { "$or": parts.into_iter().map(|part| part.query).collect::<Vec<_>>() })
            } else {
                parts
            }
        }
    }
}

/// Returns true if the server may merge several ranges for a filter.
fn merges(filter: &Filter) -> bool {
    filter.conjuncts().iter().any(|condition| matches!(condition, Filter::Or(_) | Filter::In(..)))
}

/// Removes the first fields of a sort, which are null in every document of the part.
fn without(sort: &Sort, nulls: usize) -> Sort {
    Sort(sort.fields()[nulls..].to_vec())
}

/// Adds conditions to the filter of a read. A disjunction stays at the top level, where the server merges the indexes of
/// its parts.
fn with(find: &Find, conditions: &[Document]) -> Document {
    let with = |choice: Document| {
        let mut all = conditions.to_vec();
        all.extend((!choice.is_empty()).then_some(choice));
        doc! { "$and": all }
    };
    match &find.filter {
        Filter::Or(choices) if choices.len() > 1 => {
            let choices = choices.iter().map(|choice| with(choice.to_mql()));
            doc! { "$or": choices.collect::<Vec<_>>() }
        }
        other => with(other.to_mql()),
    }
}

/// Returns true if a filter has at most one equality and otherwise only conditions that use no index.
fn is_plain(filter: &Filter) -> bool {
    let mut equalities = 0;
    filter.conjuncts().into_iter().all(|condition| match condition {
        Filter::Ne(..) => true,
        Filter::Eq(_, value) => {
            equalities += 1;
            *value != Bson::Null && equalities == 1
        }
        _ => false,
    })
}

/// Returns the queries for documents after a position, in sort order.
fn parts(find: &Find, position: &[Bson]) -> Vec<Part> {
    let mut groups = Vec::new();
    let mut same = Vec::new();
    let mut nulls = 0;
    for (nth, ((field, direction), value)) in find.sort.fields().iter().zip(position).enumerate() {
        let beyond = beyond(field, *direction, value);
        let group = beyond.into_iter().map(|beyond| {
            let is_null = beyond == on(field, "$eq", Bson::Null) && nulls == nth && nth + 1 < position.len();
            let conditions: Vec<_> = same.iter().cloned().chain([beyond]).collect();
            let sort = without(&find.sort, nulls + usize::from(is_null));
            Part { query: with(find, &conditions), sort }
        });
        groups.push(group.collect::<Vec<_>>());
        same.push(on(field, "$eq", value.clone()));
        nulls += usize::from(nulls == nth && *value == Bson::Null && nth + 1 < position.len());
    }
    groups.into_iter().rev().flatten().collect()
}

/// Returns conditions that together match exactly the values after `value`, in sort order.
fn beyond(field: &Field, direction: Direction, value: &Bson) -> Vec<Document> {
    let ascending = direction == Direction::Ascending;
    let mut parts = Vec::new();
    let rank = rank(value);
    let is_nan = matches!(value, Bson::Double(number) if number.is_nan());
    let nan = || on(field, "$eq", f64::NAN);
    match (rank, ascending) {
        (None, false) => return parts,
        (None, true) => return vec![on(field, "$ne", Bson::Null)],
        // NaN sorts before all numbers and compares with none.
        (Some(_), true) if is_nan => parts.push(on(field, "$gte", f64::NEG_INFINITY)),
        (Some(_), false) if is_nan => {}
        (Some(_), true) => parts.push(on(field, "$gt", value.clone())),
        (Some(rank), false) => {
            parts.push(on(field, "$lt", value.clone()));
            if rank == 0 {
                parts.push(nan());
            }
        }
    }
    let rank = rank.unwrap_or_default();
    let others = if ascending { &TYPES[rank + 1..] } else { &TYPES[..rank] };
    if !others.is_empty() {
        let names: Vec<_> = others.iter().flat_map(|names| names.iter().copied()).collect();
        parts.push(on(field, "$type", names));
    }
    if !ascending {
        // Matches missing fields too.
        parts.push(on(field, "$eq", Bson::Null));
    }
    parts
}

/// Returns the index of a value's type in [`TYPES`]; `None` for null.
fn rank(value: &Bson) -> Option<usize> {
    Some(match value {
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => 0,
        Bson::String(_) => 1,
        Bson::Document(_) => 2,
        Bson::Binary(_) => 3,
        Bson::ObjectId(_) => 4,
        Bson::Boolean(_) => 5,
        Bson::DateTime(_) => 6,
        Bson::Timestamp(_) => 7,
        // Other types are rejected earlier.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;

    use super::*;

    fn null(field: &'static str) -> Document {
        doc! { field: { "$eq": null } }
    }

    #[test]
    fn null_is_last_in_descending_order() {
        let order = Sort::descending("d").then_ascending("_id");
        let id = ObjectId::from_bytes([1; 12]);
        let find = Find::new(Filter::eq("a", 1)).sort(order).after(vec![Bson::Null, id.into()]);
        let a = doc! { "a": { "$eq": 1 } };
        let later = doc! { "_id": { "$gt": id } };
        let others = doc! { "_id": { "$type": ["bool", "date", "timestamp", "regex", "javascript"] } };
        let parts = [vec![null("d"), later, a.clone()], vec![null("d"), others, a]];
        let sort = Sort::ascending("_id");
        let parts = parts.map(|all| Part { query: doc! { "$and": all }, sort: sort.clone() });
        assert_eq!(queries(&find), parts);
        let last = Find::new(Filter::All).sort(Sort::descending("d")).after(vec![Bson::Null]);
        assert_eq!(queries(&last)[0].query, doc! { "$nor": [{}] });
    }

    #[test]
    fn missing_values_are_read_separately_when_the_server_merges() {
        let either = Filter::or([Filter::eq("a", 1), Filter::eq("b", 1)]);
        let find = Find::new(either).sort(Sort::descending("d").then_ascending("_id")).after(vec![]);
        let both = |d: Document| {
            let or = ["a", "b"].map(|field| doc! { "$and": [d.clone(), { field: { "$eq": 1 } }] });
            doc! { "$or": or.to_vec() }
        };
        let present = Part { query: both(doc! { "d": { "$ne": null } }), sort: find.sort.clone() };
        assert_eq!(queries(&find), [present, Part { query: both(null("d")), sort: Sort::ascending("_id") }]);
    }
}
