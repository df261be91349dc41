use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use bson::{Bson, Document};
use docstore::{Database, Field, Filter, Find, Index, Projection};

use super::{Lint, LintSubject, Rule, Severity};
use crate::Result;
use crate::operation::Operation;
use crate::step::Step;

/// Maximum number of keys held in memory while searching for duplicates; 16 bytes each.
const KEYS: usize = 4_000_000;
/// Number of documents that are read to determine the type of a field.
const SAMPLE: u64 = 100;

/// Checks an index that would be created.
pub(super) async fn look(
    db: &Database,
    subject: &LintSubject<'_>,
    step: &Step,
    wanted: &Index,
    earlier: &[Step],
) -> Result<Vec<Lint>> {
    let there = db.list_indexes(&step.collection).await?;
    if there.iter().any(|index| index.same_definition(wanted)) {
        return Ok(Vec::new());
    }
    let dropped = |index: &Index| {
        earlier.iter().any(|e| {
            e.collection == step.collection
                && matches!(&e.operation, Operation::DropIndex(name) if name == index.name())
        })
    };
    let other = there.iter().find(|index| index.same_keys(wanted) || index.name() == wanted.name());
    let mut lints = Vec::new();
    if let Some(other) = other.filter(|index| !dropped(index)) {
        let text = format!("the existing index {other} differs from {wanted}; drop it first, or use it");
        lints.push(subject.lint(Rule::IndexConflict, Severity::Error, Some(step), text));
        return Ok(lints);
    }
    let before: Vec<&Step> = earlier.iter().filter(|e| e.writes_to() == step.collection).collect();
    let documents = db.collection(&step.collection);
    for field in wanted.fields().iter().map(|f| &f.field) {
        let given = before.iter().any(|e| {
            e.operation.pending().is_none() || e.operation.written_field() == Some(field) || is_function(e)
        });
        let without = !given
            && documents.find_one(Find::new(Filter::exists(field.clone()))).await?.is_none()
            && documents.find_one(Find::new(Filter::All)).await?.is_some();
        if without {
            let text = format!("no document of {} has the field {field}; check the name", step.collection);
            lints.push(subject.lint(Rule::IndexOnMissingField, Severity::Warning, Some(step), text));
        }
    }
    // The result of earlier steps is unknown.
    if wanted.is_unique() && before.iter().all(|e| e.is_ddl()) {
        lints.extend(duplicates(db, subject, step, wanted).await?);
    }
    Ok(lints)
}

fn is_function(step: &Step) -> bool {
    matches!(step.operation, Operation::UpdateEach { .. })
}

async fn duplicates(
    db: &Database,
    subject: &LintSubject<'_>,
    step: &Step,
    wanted: &Index,
) -> Result<Option<Lint>> {
    let fields: Vec<Field> = wanted.fields().iter().map(|f| f.field.clone()).collect();
    let named: Vec<Field> = fields.iter().filter(|field| **field != Field::ID).cloned().collect();
    let filter = wanted.partial_filter().cloned().unwrap_or(Filter::All);
    let read = Find::new(filter).projection(Projection::Include(named));
    let mut cursor = db.collection(&step.collection).find(read).await?;
    let mut seen = HashSet::new();
    let (mut twice, mut first) = (0_u64, None);
    while let Some(document) = cursor.next_document().await? {
        if seen.len() >= KEYS {
            return Ok(None);
        }
        let key = key(&document, &fields);
        if wanted.is_sparse() && key.iter().all(Option::is_none) {
            continue;
        }
        if !seen.insert(hash(&key)) {
            twice += 1;
            first.get_or_insert_with(|| document.get("_id").map(ToString::to_string).unwrap_or_default());
        }
    }
    let Some(first) = first else { return Ok(None) };
    let text = format!(
        "{twice} documents of {} have a key that another one has too, the first of them {first}; make them unique in a \
         migration before it",
        step.collection
    );
    Ok(Some(subject.lint(Rule::UniqueOverDuplicates, Severity::Error, Some(step), text)))
}

/// The values of the fields. Arrays are taken as a whole, so among documents with arrays some duplicates are not seen.
fn key<'d>(document: &'d Document, fields: &[Field]) -> Vec<Option<&'d Bson>> {
    fields
        .iter()
        .map(|field| {
            let mut parts = field.parts();
            let mut value = document.get(parts.next()?)?;
            for part in parts {
                value = value.as_document()?.get(part)?;
            }
            Some(value)
        })
        .collect()
}

/// Two hashes of the key, with what an index takes for equal made equal.
fn hash(key: &[Option<&Bson>]) -> (u64, u64) {
    let mut hashers = (DefaultHasher::new(), DefaultHasher::new());
    "second".hash(&mut hashers.1);
    for value in key {
        let value = value.map_or(Bson::Null, plain);
        let text = format!("{value:?}");
        text.hash(&mut hashers.0);
        text.hash(&mut hashers.1);
    }
    (hashers.0.finish(), hashers.1.finish())
}

/// Numbers of different width are equal if their values are.
fn plain(value: &Bson) -> Bson {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::float_cmp,
        reason = "it is compared with what it came from"
    )]
    match value {
        Bson::Int32(n) => Bson::Int64(i64::from(*n)),
        Bson::Double(n) if (*n as i64) as f64 == *n => Bson::Int64(*n as i64),
        Bson::Document(document) => {
            Bson::Document(document.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        Bson::Array(values) => Bson::Array(values.iter().map(plain).collect()),
        other => other.clone(),
    }
}

/// A field that an index holds and that gets a value of another type than it has: queries by the old type find it no
/// more.
pub(super) async fn type_change(
    db: &Database,
    subject: &LintSubject<'_>,
    step: &Step,
) -> Result<Option<Lint>> {
    let Operation::Set { field, value, .. } = &step.operation else { return Ok(None) };
    let value = value.to_bson();
    let indexes = db.list_indexes(&step.collection).await?;
    let Some(index) = indexes.iter().find(|index| index.fields().iter().any(|f| f.field == *field)) else {
        return Ok(None);
    };
    let read = Find::new(Filter::exists(field.clone()).also(Filter::ne(field.clone(), Bson::Null)))
        .limit(SAMPLE)
        .projection(Projection::include([field.clone()]));
    let sample = db.collection(&step.collection).find(read).await?.documents().await?;
    let other = sample
        .iter()
        .filter_map(|document| document.get(field.as_str()))
        .find(|old| kind(old) != kind(&value));
    let Some(other) = other else { return Ok(None) };
    let text = format!(
        "{field} is in the index {} and holds {} so far; as {} it is not found by the values of before",
        index.name(),
        kind(other),
        kind(&value)
    );
    Ok(Some(subject.lint(Rule::IndexedTypeChange, Severity::Warning, Some(step), text)))
}

fn kind(value: &Bson) -> &'static str {
    match value {
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => "numbers",
        Bson::String(_) => "text",
        Bson::Boolean(_) => "booleans",
        Bson::ObjectId(_) => "object ids",
        Bson::DateTime(_) => "dates",
        Bson::Array(_) => "arrays",
        Bson::Document(_) => "documents",
        Bson::Null => "null",
        _ => "values of another type",
    }
}
