use std::collections::BTreeMap;

use async_trait::async_trait;
use bson::{Bson, Document, doc};
use docstore::{Collection, Database, Field, Filter, Find, Projection, Sort, Store, Update, Write};

use crate::entry::id_of;
use crate::session::{Batch, Scope, Session};
use crate::{Result, StepCounts};

/// What runs changed.
pub(crate) const JOURNAL: &str = "_migration_undo";
/// How many entries are undone at once.
const BATCH: u64 = 500;

// An entry's `_id` says what it is about, so that a repeated step writes the same entry again:
//   {migration, kind: "field", collection, id, field}  before?, set
//   {migration, kind: "insert", step}                  collection, document
// Documents compare field by field, so a migration's entries are one range of ids, in which those of kind "field"
// come before those of kind "insert": a field is restored before the document that holds it goes.

/// The `_id` of the entry of a changed field.
pub(crate) fn field_key(migration: &str, collection: &str, id: &Bson, field: &Field) -> Document {
    doc! { "migration": migration, "kind": "field", "collection": collection, "id": id.clone(), "field": field.as_str() }
}

/// The `_id` of the entry of an inserted document.
pub(crate) fn insert_key(migration: &str, step: &str) -> Document {
    doc! { "migration": migration, "kind": "insert", "step": step }
}

/// Writes that a field got a value. `before` is what it had.
pub(crate) fn field_entry(key: Document, before: Option<&Bson>, set: &Bson, run: &str) -> Write {
    let update = Update::new().set("set", set.clone()).set("run_id", run);
    let update = match before {
        Some(before) => update.set("before", before.clone()),
        None => update.unset("before"),
    };
    Write::UpdateOne { filter: Filter::id(key), update, upsert: true }
}

/// Writes that a document was inserted.
pub(crate) fn insert_entry(key: Document, collection: &str, document: &Document, run: &str) -> Write {
    let update =
        Update::new().set("collection", collection).set("document", document.clone()).set("run_id", run);
    Write::UpdateOne { filter: Filter::id(key), update, upsert: true }
}

/// All entries of a migration.
fn of(migration: &str) -> Filter {
    range(doc! { "migration": migration }, migration)
}

fn inserts_of(migration: &str) -> Filter {
    range(doc! { "migration": migration, "kind": "insert" }, migration)
}

fn range(from: Document, migration: &str) -> Filter {
    // No id of a migration holds a control character, so none comes between.
    let to = doc! { "migration": format!("{migration}\u{1}") };
    Filter::gte(Field::ID, from).also(Filter::lt(Field::ID, to))
}

/// What deleting the documents that a run inserted would lose: those that were edited since.
pub(crate) async fn losses(db: &Database, migration: &str) -> Result<Vec<String>> {
    let read = Find::new(inserts_of(migration)).sort(Sort::ascending(Field::ID));
    let mut entries = db.collection(JOURNAL).find(read).await?;
    let mut losses = Vec::new();
    while let Some(entry) = entries.next_document().await? {
        let Some(insert) = Insert::read(&entry) else { continue };
        let found =
            db.collection(insert.collection).find_one(Find::new(Filter::id(insert.id.clone()))).await?;
        if found.is_some_and(|now| now != *insert.document) {
            losses.push(format!(
                "deletes the document {} of {}, which was changed since {migration} inserted it",
                insert.id, insert.collection
            ));
        }
    }
    Ok(losses)
}

struct Insert<'a> {
    collection: &'a str,
    id: &'a Bson,
    document: &'a Document,
}

impl<'a> Insert<'a> {
    fn read(entry: &'a Document) -> Option<Self> {
        let document = entry.get_document("document").ok()?;
        Some(Self { collection: entry.get_str("collection").ok()?, id: document.get("_id")?, document })
    }
}

struct Change<'a> {
    id: &'a Bson,
    field: &'a str,
    set: &'a Bson,
    before: Option<&'a Bson>,
}

impl<'a> Change<'a> {
    fn read(entry: &'a Document) -> Option<(&'a str, Self)> {
        let key = entry.get_document("_id").ok()?;
        let change = Self {
            id: key.get("id")?,
            field: key.get_str("field").ok()?,
            set: entry.get("set")?,
            before: entry.get("before"),
        };
        Some((key.get_str("collection").ok()?, change))
    }
}

/// Removes some entries of a migration without undoing them. Run until there are none; gives how many there were.
pub(crate) struct Forget<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) migration: &'a str,
    pub(crate) counts: &'a [StepCounts],
    pub(crate) warnings: &'a [String],
}

#[async_trait]
impl Batch for Forget<'_> {
    type Out = usize;

    async fn run(&self, scope: &Scope) -> Result<usize> {
        let journal = scope.collection(JOURNAL);
        let ids = Projection::Include(Vec::new());
        let read =
            Find::new(of(self.migration)).sort(Sort::ascending(Field::ID)).limit(BATCH).projection(ids);
        let entries = journal.find(read).await?.documents().await?;
        let keys: Vec<Bson> = entries.iter().filter_map(|entry| entry.get("_id").cloned()).collect();
        if !keys.is_empty() {
            self.session.touch(scope, self.migration, self.counts, self.warnings).await?;
            journal.delete_many(&Filter::is_in(Field::ID, keys)).await?;
            self.session.boundary(self.migration, scope);
        }
        Ok(entries.len())
    }
}

/// Undoes some entries of a migration, and removes them. Run until there are none.
pub(crate) struct UndoSome<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) migration: &'a str,
    /// Whether documents that were edited since they were inserted are deleted all the same.
    pub(crate) confirmed: bool,
    pub(crate) counts: &'a [StepCounts],
    pub(crate) warnings: &'a [String],
}

/// What one batch of the undo did.
pub(crate) struct Undone {
    pub(crate) entries: usize,
    pub(crate) counts: Vec<StepCounts>,
    pub(crate) warnings: Vec<String>,
}

#[async_trait]
impl Batch for UndoSome<'_> {
    type Out = Undone;

    async fn run(&self, scope: &Scope) -> Result<Undone> {
        let journal = scope.collection(JOURNAL);
        let read = Find::new(of(self.migration)).sort(Sort::ascending(Field::ID)).limit(BATCH);
        let entries = journal.find(read).await?.documents().await?;
        let mut done =
            Undone { entries: entries.len(), counts: self.counts.to_vec(), warnings: self.warnings.to_vec() };
        if entries.is_empty() {
            return Ok(done);
        }
        if !scope.is_transaction() {
            self.session.touch(scope, self.migration, &done.counts, &done.warnings).await?;
            self.session.boundary(self.migration, scope);
        }
        let mut changes: BTreeMap<&str, Vec<Change<'_>>> = BTreeMap::new();
        let mut inserts = Vec::new();
        for entry in &entries {
            match (Change::read(entry), Insert::read(entry)) {
                (Some((collection, change)), _) => changes.entry(collection).or_default().push(change),
                (None, Some(insert)) => inserts.push(insert),
                (None, None) => {
                    done.warnings.push(format!("the journal entry {} cannot be read", id_of(entry)));
                }
            }
        }
        for (collection, changes) in changes {
            let counts = counts_of(&mut done.counts, "restore", collection);
            restore(&scope.collection(collection), &changes, counts).await?;
            self.session.boundary(self.migration, scope);
        }
        for insert in inserts {
            self.delete(scope, &insert, &mut done).await?;
            self.session.boundary(self.migration, scope);
        }
        let keys: Vec<Bson> = entries.iter().filter_map(|entry| entry.get("_id").cloned()).collect();
        journal.delete_many(&Filter::is_in(Field::ID, keys)).await?;
        self.session.boundary(self.migration, scope);
        self.session.touch(scope, self.migration, &done.counts, &done.warnings).await?;
        Ok(done)
    }
}

impl UndoSome<'_> {
    async fn delete(&self, scope: &Scope, insert: &Insert<'_>, done: &mut Undone) -> Result<()> {
        let collection = scope.collection(insert.collection);
        let filter = Filter::id(insert.id.clone());
        let Some(now) = collection.find_one(Find::new(filter.clone())).await? else { return Ok(()) };
        let counts = counts_of(&mut done.counts, "delete", insert.collection);
        if now == *insert.document || self.confirmed {
            counts.deleted += collection.delete_one(&filter).await?;
        } else {
            counts.left += 1;
            done.warnings.push(format!(
                "the document {} of {} was kept, since it was changed after it was inserted",
                insert.id, insert.collection
            ));
        }
        Ok(())
    }
}

/// Gives fields back what they had, where they still have what the run gave them.
async fn restore(collection: &Collection, changes: &[Change<'_>], counts: &mut StepCounts) -> Result<()> {
    let mut fields = Vec::new();
    for name in changes.iter().map(|c| c.field) {
        let field = Field::parse(name)?;
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    let ids: Vec<Bson> = changes.iter().map(|c| c.id.clone()).collect();
    let read = Find::new(Filter::is_in(Field::ID, ids)).projection(Projection::include(fields));
    let found = collection.find(read).await?.documents().await?;
    let by_id: BTreeMap<String, &Document> = found.iter().map(|d| (id_of(d), d)).collect();
    let mut writes = Vec::new();
    for change in changes {
        let now = by_id.get(&change.id.to_string()).and_then(|document| document.get(change.field));
        if now != Some(change.set) {
            counts.left += 1;
            continue;
        }
        let field = Field::parse(change.field)?;
        let filter = Filter::id(change.id.clone()).also(Filter::eq(field.clone(), change.set.clone()));
        let update = match change.before {
            Some(before) => Update::new().set(field, before.clone()),
            None => Update::new().unset(field),
        };
        writes.push(Write::UpdateOne { filter, update, upsert: false });
    }
    counts.updated += collection.bulk_write(writes).await?.modified;
    Ok(())
}

/// The counts of a step, made if they are not there.
pub(crate) fn counts_of<'a>(
    list: &'a mut Vec<StepCounts>,
    step: &str,
    collection: &str,
) -> &'a mut StepCounts {
    let at = list.iter().position(|c| c.step == step && c.collection == collection).unwrap_or_else(|| {
        list.push(StepCounts::new(step, collection));
        list.len() - 1
    });
    &mut list[at]
}
