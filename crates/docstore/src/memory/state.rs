use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocument, RawDocumentBuf};
use futures_util::stream::{self, StreamExt as _};

use crate::engine::{Operation, Output, Reach};
use crate::eval::matcher::{CompiledFilter, Matcher};
use crate::eval::project::{included, project};
use crate::eval::{duplicate, encode, id_first, update};
use crate::model::query::check_document;
use crate::order::{self, KeyField, key_fields, sort_key, unreadable};
use crate::{Change, Error, Filter, Find, Index, Result, Update, UpdateResult, Write};

/// The content of a store. Copies share what they have in common.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) collections: BTreeMap<String, Arc<Collection>>,
}

/// A collection.
#[derive(Clone, Default)]
pub(super) struct Collection {
    /// The documents in the order of their insertion.
    rows: BTreeMap<u64, Arc<RawDocumentBuf>>,
    /// The row of each encoded id.
    ids: BTreeMap<Vec<u8>, u64>,
    next: u64,
    /// In order of creation.
    pub(super) indexes: Vec<Arc<IndexState>>,
}

/// An index. Its keys are kept if they are unique.
#[derive(Clone)]
pub(super) struct IndexState {
    pub(super) index: Index,
    fields: Vec<KeyField>,
    partial: Option<Arc<CompiledFilter>>,
    keys: BTreeMap<Vec<u8>, u64>,
}

impl State {
    /// Executes an operation and appends the changes that it made, even if it fails.
    pub(super) fn execute(
        &mut self,
        name: &str,
        operation: Operation,
        changes: &mut Vec<Change>,
    ) -> Result<Output> {
        Ok(match operation {
            Operation::Find(find) => {
                let found = self.find(name, &find)?;
                Output::Documents(stream::iter(found.into_iter().map(Ok)).boxed())
            }
            Operation::Count(filter) => Output::Count(self.matches(name, &filter, None)?.len() as u64),
            Operation::RenameTo(to) => Output::Done(self.rename(name, to, changes)?),
            Operation::Drop => {
                if self.collections.remove(name).is_some() {
                    changes.push(Change::Unknown);
                }
                Output::Done(())
            }
            write => {
                // A document that is rejected creates no collection.
                let stored = self.collections.get(name).cloned().unwrap_or_default();
                let mut writer = Writer { name, collection: stored, changes, written: false };
                let done = writer.execute(write);
                let Writer { collection, written, .. } = writer;
                if written {
                    self.collections.insert(name.to_owned(), collection);
                }
                done?
            }
        })
    }

    fn find(&self, name: &str, find: &Find) -> Result<Vec<RawDocumentBuf>> {
        let matcher = Matcher::new(find)?;
        let stored = self.collections.get(name).filter(|_| find.limit != Some(0));
        let Some(stored) = stored else { return Ok(Vec::new()) };
        let fields = key_fields(find.sort.fields());
        let mut found = Vec::new();
        for document in stored.rows.values() {
            if matcher.matches(document)? {
                found.push((sort_key(document, &fields)?, document));
            }
        }
        // Equal documents stay in the order of their insertion.
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let window = found.into_iter().skip(number(find.skip)).take(find.limit.map_or(usize::MAX, number));
        let paths = find.projection.as_ref().map(included);
        let projected = |document: &Arc<RawDocumentBuf>| match &paths {
            Some(paths) => project(document, paths),
            None => Ok(RawDocumentBuf::clone(document)),
        };
        window.map(|(_, document)| projected(document)).collect()
    }

    fn matches(&self, name: &str, filter: &Filter, limit: Option<usize>) -> Result<Vec<u64>> {
        self.collections.get(name).map_or(Ok(Vec::new()), |stored| stored.matches(filter, limit))
    }

    fn rename(&mut self, from: &str, to: String, changes: &mut Vec<Change>) -> Result<()> {
        if from == to {
            return Err(Error::Invalid(format!("{from:?} has that name already")));
        }
        let Some(stored) = self.collections.remove(from) else {
            return Err(Error::Invalid(format!("{from:?} cannot be renamed: it does not exist")));
        };
        self.collections.insert(to, stored);
        changes.push(Change::Unknown);
        Ok(())
    }

    /// Creates an index unless it exists.
    pub(super) fn create_index(&mut self, name: &str, index: &Index) -> Result<()> {
        let mut stored = self.collections.get(name).cloned().unwrap_or_default();
        let mut existing = stored.indexes.iter().map(|stored| &stored.index);
        if existing.clone().any(|other| other.name() == index.name() && other.same_definition(index)) {
            return Ok(());
        }
        index.check_conflict(name, &mut existing)?;
        let mut new = IndexState::new(index)?;
        for (row, document) in &stored.rows {
            let keys = new.keys_of(name, document)?;
            new.check_unique(name, &keys, None)?;
            new.insert(keys, *row);
        }
        Arc::make_mut(&mut stored).indexes.push(Arc::new(new));
        self.collections.insert(name.to_owned(), stored);
        Ok(())
    }
}

impl Collection {
    fn matches(&self, filter: &Filter, limit: Option<usize>) -> Result<Vec<u64>> {
        let compiled = CompiledFilter::new(filter)?;
        let mut found = Vec::new();
        for (row, document) in &self.rows {
            if limit.is_some_and(|limit| found.len() >= limit) {
                break;
            }
            if compiled.matches(document)? {
                found.push(*row);
            }
        }
        Ok(found)
    }
}

impl IndexState {
    fn new(index: &Index) -> Result<Self> {
        let partial = index.partial_filter().map(CompiledFilter::new).transpose()?.map(Arc::new);
        Ok(Self { fields: key_fields(index.fields()), partial, keys: BTreeMap::new(), index: index.clone() })
    }

    /// Returns the keys of a document.
    fn keys_of(&self, collection: &str, document: &RawDocument) -> Result<BTreeSet<Vec<u8>>> {
        if let Some(partial) = &self.partial
            && !partial.matches(document)?
        {
            return Ok(BTreeSet::new());
        }
        let keys = order::extract(document, &self.fields, self.index.is_sparse())?;
        let Some((a, b)) = &keys.parallel else { return Ok(keys.set) };
        let name = self.index.name();
        let what = format!("index {name} cannot hold a document in which both {a} and {b} are arrays");
        Err(unfit(collection, what))
    }

    fn check_unique(&self, collection: &str, keys: &BTreeSet<Vec<u8>>, row: Option<u64>) -> Result<()> {
        let taken = |key| self.keys.get(key).is_some_and(|holder| Some(*holder) != row);
        if self.index.is_unique() && keys.iter().any(taken) {
            let fields = self.index.fields().iter().map(|(field, _)| field.to_string()).collect();
            return Err(duplicate(collection, self.index.name(), fields));
        }
        Ok(())
    }

    fn insert(&mut self, keys: BTreeSet<Vec<u8>>, row: u64) {
        if self.index.is_unique() {
            self.keys.extend(keys.into_iter().map(|key| (key, row)));
        }
    }

    fn remove(&mut self, row: u64) {
        self.keys.retain(|_, holder| *holder != row);
    }
}

/// Writes documents of one collection, each of them wholly or not at all.
struct Writer<'a> {
    name: &'a str,
    collection: Arc<Collection>,
    changes: &'a mut Vec<Change>,
    written: bool,
}

impl Writer<'_> {
    fn execute(&mut self, write: Operation) -> Result<Output> {
        Ok(match write {
            Operation::Insert(documents) => {
                let documents = documents.into_iter().map(id_first);
                Output::Done(in_order(documents, |document| self.insert(&document))?)
            }
            Operation::InsertRaw(documents) => Output::Done(in_order(documents, |raw| {
                let document = Document::try_from(raw.as_ref()).map_err(unreadable)?;
                check_document(&document).and_then(|()| self.insert(&document))
            })?),
            Operation::Update { filter, update, reach } => {
                Output::Updated(self.update(&filter, &update, reach)?)
            }
            Operation::FindAndUpdate { filter, update, upsert } => {
                Output::Document(self.find_and_update(&filter, &update, upsert)?)
            }
            Operation::Delete { filter, many } => Output::Count(self.delete(&filter, many)?),
            Operation::Bulk(writes) => {
                let mut done = UpdateResult::default();
                in_order(writes, |write| self.bulk_one(write, &mut done))?;
                Output::Updated(done)
            }
            Operation::Find(_) | Operation::Count(_) | Operation::RenameTo(_) | Operation::Drop => {
                unreachable!("the state executes these itself")
            }
        })
    }

    fn bulk_one(&mut self, write: Write, done: &mut UpdateResult) -> Result<()> {
        let result = match write {
            Write::Insert(document) => return self.insert(&id_first(document)),
            Write::DeleteMany(filter) => return self.delete(&filter, true).map(drop),
            Write::UpdateOne { filter, update } => self.update(&filter, &update, Reach::One)?,
            Write::UpdateMany { filter, update } => self.update(&filter, &update, Reach::Many)?,
        };
        done.matched += result.matched;
        done.modified += result.modified;
        Ok(())
    }

    fn insert(&mut self, document: &Document) -> Result<()> {
        let id = document.get("_id").ok_or_else(|| Error::Invalid("a document without an id".into()))?;
        if matches!(id, Bson::Array(_)) {
            return Err(Error::Invalid("the id of a document cannot be an array".into()));
        }
        let raw = encode(self.name, document)?;
        let id_key = order::encode_value(id)?;
        if self.collection.ids.contains_key(&id_key) {
            return Err(duplicate(self.name, "_id_", vec!["_id".to_owned()]));
        }
        let row = self.collection.next;
        self.put(row, raw)?;
        let stored = Arc::make_mut(&mut self.collection);
        stored.next += 1;
        stored.ids.insert(id_key, row);
        self.changed(id.clone());
        Ok(())
    }

    /// Stores a document in a row, unless an index rejects it.
    fn put(&mut self, row: u64, raw: RawDocumentBuf) -> Result<()> {
        let mut keys = Vec::with_capacity(self.collection.indexes.len());
        for index in &self.collection.indexes {
            let of_index = index.keys_of(self.name, &raw)?;
            index.check_unique(self.name, &of_index, Some(row))?;
            keys.push(of_index);
        }
        let stored = Arc::make_mut(&mut self.collection);
        for (index, keys) in stored.indexes.iter_mut().zip(keys).filter(|(index, _)| index.index.is_unique())
        {
            let index = Arc::make_mut(index);
            index.remove(row);
            index.insert(keys, row);
        }
        stored.rows.insert(row, Arc::new(raw));
        Ok(())
    }

    fn update(&mut self, filter: &Filter, update: &Update, reach: Reach) -> Result<UpdateResult> {
        let mut result = UpdateResult::default();
        for row in self.collection.matches(filter, (reach != Reach::Many).then_some(1))? {
            let (_, changed) = self.change(row, update)?;
            result.matched += 1;
            result.modified += u64::from(changed);
        }
        if result.matched == 0 && reach == Reach::OneOrInsert {
            result.upserted_id = self.upsert(filter, update)?.get("_id").cloned();
        }
        Ok(result)
    }

    fn find_and_update(
        &mut self,
        filter: &Filter,
        update: &Update,
        upsert: bool,
    ) -> Result<Option<RawDocumentBuf>> {
        if let Some(row) = self.collection.matches(filter, Some(1))?.first() {
            return self.change(*row, update).map(|(document, _)| Some(RawDocumentBuf::clone(&document)));
        }
        if !upsert {
            return Ok(None);
        }
        let document = self.upsert(filter, update)?;
        RawDocumentBuf::try_from(&document).map(Some).map_err(unreadable)
    }

    /// Updates the document in a row; returns it, and whether it differs now.
    fn change(&mut self, row: u64, update: &Update) -> Result<(Arc<RawDocumentBuf>, bool)> {
        let before = Arc::clone(&self.collection.rows[&row]);
        let mut document = Document::try_from(before.as_ref().as_ref()).map_err(unreadable)?;
        if !update::apply(&mut document, update, false).map_err(|what| unfit(self.name, what))? {
            return Ok((before, false));
        }
        self.put(row, encode(self.name, &document)?)?;
        self.changed(document.get("_id").cloned().unwrap_or(Bson::Null));
        Ok((Arc::clone(&self.collection.rows[&row]), true))
    }

    fn upsert(&mut self, filter: &Filter, update: &Update) -> Result<Document> {
        let mut document = update::upserted(filter, update)?.map_err(|what| unfit(self.name, what))?;
        if !document.contains_key("_id") {
            document.insert("_id", ObjectId::new());
        }
        let document = id_first(document);
        self.insert(&document)?;
        Ok(document)
    }

    fn delete(&mut self, filter: &Filter, many: bool) -> Result<u64> {
        let rows = self.collection.matches(filter, (!many).then_some(1))?;
        for row in &rows {
            let stored = Arc::make_mut(&mut self.collection);
            for index in stored.indexes.iter_mut().filter(|index| index.index.is_unique()) {
                Arc::make_mut(index).remove(*row);
            }
            let document = stored.rows.remove(row).expect("the row was found");
            let id = document.get("_id").map_err(unreadable)?.unwrap_or(bson::RawBsonRef::Null);
            let id = Bson::try_from(id).map_err(unreadable)?;
            stored.ids.remove(&order::encode_value(&id)?);
            self.changed(id);
        }
        Ok(rows.len() as u64)
    }

    fn changed(&mut self, id: Bson) {
        self.written = true;
        self.changes.push(Change::Document { collection: self.name.to_owned(), id, in_transaction: false });
    }
}

/// Runs writes in order, up to the first that is rejected.
fn in_order<T>(writes: impl IntoIterator<Item = T>, mut run: impl FnMut(T) -> Result<()>) -> Result<()> {
    for (at, write) in writes.into_iter().enumerate() {
        run(write).map_err(|source| Error::Batch { at, source: Box::new(source) })?;
    }
    Ok(())
}

fn unfit(collection: &str, what: String) -> Error {
    Error::Inapplicable { collection: collection.to_owned(), what }
}
