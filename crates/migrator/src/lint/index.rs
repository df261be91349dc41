use std::collections::HashSet;

use bson::Bson;
use docstore::{Database, Field, Filter, Find, Index, Projection};
use sha2::{Digest, Sha256};

use super::{Linter, Rule};
use crate::Result;
use crate::operation::Operation;
use crate::step::Step;

/// Maximum number of keys held in memory while searching for duplicates; 16 bytes each.
const KEYS: usize = 4_000_000;
/// Number of documents that are read to determine the type of a field.
const SAMPLE: u64 = 100;

impl Linter<'_> {
    /// Checks an index that would be created.
    pub(super) async fn check_index(
        &mut self,
        db: &Database,
        step: &Step,
        wanted: &Index,
        earlier: &[&Step],
    ) -> Result<()> {
        let there = db.list_indexes(&step.collection).await?;
        if there.iter().any(|index| index.same_definition(wanted)) {
            return Ok(());
        }
        let is_kept = |index: &&Index| {
            !earlier.iter().any(|earlier| {
                earlier.collection == step.collection
                    && matches!(&earlier.operation, Operation::DropIndex(name) if name == index.name())
            })
        };
        let other = there.iter().find(|index| index.same_keys(wanted) || index.name() == wanted.name());
        if let Some(other) = other.filter(is_kept) {
            let text = format!("the existing index {other} differs from {wanted}; drop it first, or use it");
            self.add(Rule::IndexConflict, Some(step), text);
            return Ok(());
        }
        let before: Vec<_> =
            earlier.iter().filter(|earlier| earlier.writes_to() == step.collection).collect();
        let documents = db.collection(&step.collection);
        for field in wanted.fields().iter().map(|(field, _)| field) {
            let is_given = before.iter().any(|Step { operation, .. }| {
                operation.pending().is_none()
                    || operation.written_field() == Some(field)
                    || operation.is_opaque()
            });
            if !is_given
                && documents.find_one(Find::new(Filter::exists(field.clone()))).await?.is_none()
                && documents.find_one(Find::new(Filter::All)).await?.is_some()
            {
                let text =
                    format!("no document of {} has the field {field}; check the name", step.collection);
                self.add(Rule::IndexOnMissingField, Some(step), text);
            }
        }
        // The result of earlier steps is unknown.
        if wanted.is_unique() && before.iter().all(|earlier| earlier.is_ddl()) {
            self.check_duplicates(db, step, wanted).await?;
        }
        Ok(())
    }

    async fn check_duplicates(&mut self, db: &Database, step: &Step, wanted: &Index) -> Result<()> {
        let fields: Vec<Field> = wanted.fields().iter().map(|(field, _)| field.clone()).collect();
        let named: Vec<Field> = fields.iter().filter(|field| **field != Field::ID).cloned().collect();
        let filter = wanted.partial_filter().cloned().unwrap_or(Filter::All);
        let read = Find::new(filter).projection(Projection::include(named));
        let mut cursor = db.collection(&step.collection).find(read).await?;
        let mut seen = HashSet::new();
        let (mut twice, mut first) = (0_u64, None);
        while let Some(document) = cursor.next_document().await? {
            if seen.len() >= KEYS {
                return Ok(());
            }
            // Arrays are taken as a whole, so among documents with arrays some duplicates are not seen.
            let key: Vec<_> = fields.iter().map(|field| field.value_in(&document)).collect();
            if wanted.is_sparse() && key.iter().all(Option::is_none) {
                continue;
            }
            if !seen.insert(hash(&key)) {
                twice += 1;
                first.get_or_insert_with(|| document.get("_id").map(ToString::to_string).unwrap_or_default());
            }
        }
        if let Some(first) = first {
            let text = format!(
                "{twice} documents of {} have a key that another one has too, the first of them {first}; make them unique in \
                 a migration before it",
                step.collection
            );
            self.add(Rule::UniqueOverDuplicates, Some(step), text);
        }
        Ok(())
    }

    /// Reports an indexed field that gets a value of another type than it has: queries by the old type do not find it any
    /// more.
    pub(super) async fn check_type(
        &mut self,
        db: &Database,
        step: &Step,
        field: &Field,
        value: &Bson,
    ) -> Result<()> {
        let indexes = db.list_indexes(&step.collection).await?;
        let Some(index) = indexes.iter().find(|index| index.fields().iter().any(|(other, _)| other == field))
        else {
            return Ok(());
        };
        let read = Find::new(Filter::exists(field.clone()).also(Filter::ne(field.clone(), Bson::Null)))
            .limit(SAMPLE)
            .projection(Projection::include([field.clone()]));
        let sample = db.collection(&step.collection).find(read).await?.documents().await?;
        let mut kinds = sample.iter().filter_map(|document| document.get(field.as_str())).map(kind);
        if let Some(other) = kinds.find(|other| *other != kind(value)) {
            let text = format!(
                "{field} is in the index {} and holds {other} so far; as {} it is not found by the values of before",
                index.name(),
                kind(value)
            );
            self.add(Rule::IndexedTypeChange, Some(step), text);
        }
        Ok(())
    }
}

/// Returns a hash of the key, with what an index takes for equal made equal.
fn hash(key: &[Option<&Bson>]) -> [u8; 16] {
    let key: Vec<_> = key.iter().map(|value| value.map_or(Bson::Null, plain)).collect();
    Sha256::digest(format!("{key:?}"))[..16].try_into().expect("a SHA-256 has 32 bytes")
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
