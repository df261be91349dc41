//! Entities: how a domain type is stored, and the repository that reads it. Both sides of a document are here: the collection,
//! the fields and their readers, and the filters that reads, writes and lists share.

#![expect(clippy::option_option, reason = "the outer option says whether the value can be read")]

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::raw::RawElement;
use bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf};
use chrono::{DateTime, Utc};
use docstore::{Collection, Database, Direction, Filter, Find, Index, Update};
use parking_lot::Mutex;

use super::Error;
use super::engagement::EngagementRecords;
use super::idempotency::IdempotencyRecords;
use super::lists::cursor::Cursors;
use super::lists::order;
use super::lists::totals::Totals;
use crate::domain::{
    Draft, Id, Item, Meta, PatchOf, Revised, Revision, SlugLookup, TargetType, TrashType, Visibility,
    is_script_url, is_web_url,
};

/// The collection of former names.
pub(super) const SLUG_HISTORY: &str = "slug_history";
/// The field that counts the changes of a document. Documents of the original do not have it.
pub(super) const VERSION: &str = "version";
pub(super) const SLUG: &str = "slug";
pub(super) const CREATED: &str = "createdDate";
pub(super) const UPDATED: &str = "updatedDate";
pub(super) const DELETED: &str = "deletedDate";
/// Integers beyond 2^53 are not exact as doubles.
const MAX_EXACT_DOUBLE: f64 = 9_007_199_254_740_992.0;
/// The maximum number of corrupt documents that are remembered, so that each is logged once.
const MAX_LOGGED_CORRUPT: usize = 10_000;

/// The name of a field that holds an unexpected value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadField(pub &'static str);

/// A draft whose fields are declared with `fields!`.
pub trait DraftFields: Draft {
    /// Reads the draft of a stored document.
    fn read(row: &Row<'_>) -> Result<Self, BadField>;

    /// Returns the fields of a new document.
    fn to_document(&self) -> Document;

    /// Returns the update that a patch makes.
    fn to_update(patch: &Self::Patch) -> Update;
}

/// A domain item that is stored in a collection.
pub trait Entity: Item<Draft: DraftFields> + Sized + Send + 'static {
    /// The name of the collection.
    const COLLECTION: &'static str;
    /// The order of lists, without the id that ends it.
    const ORDER: &'static [(&'static str, Direction)];
    /// Selects the items of a list.
    type Filter: Send + Sync;

    /// Returns the indexes of the collection.
    fn indexes() -> Vec<Index>;

    /// Converts a stored document; fails with the first field that cannot be read.
    fn from_row(row: &Row<'_>) -> Result<Self, BadField>;

    /// Returns the documents that a filter selects. The repository excludes deleted ones.
    fn filter(filter: &Self::Filter) -> Filter;

    /// Returns the documents that a visibility includes.
    fn visible(visibility: Visibility) -> Filter {
        visible(visibility)
    }

    /// Adds the fields of a new document that follow from its draft.
    fn derive_on_insert(_draft: &Self::Draft, _now: DateTime<Utc>, _document: &mut Document) {}

    /// Adds the changes that follow from a patch.
    fn derive_on_update(&self, _patch: &PatchOf<Self>, _now: DateTime<Utc>, update: Update) -> Update {
        update
    }
}

/// An entity whose deleted documents stay in the collection until they are purged.
pub trait SoftDelete: Entity {
    /// The type in the trash.
    const TRASH_TYPE: TrashType;
    /// The field with the unique name in URLs.
    const NAME_FIELD: &'static str = "slug";
    /// The field with the title, or with several of which the first counts.
    const TITLE_FIELD: &'static str = "title";
    /// The type of its reactions and comments, if it takes any.
    const TARGET_TYPE: Option<TargetType> = None;
    /// The field that keeps a deleted document's name after another document took it.
    const FORMER_NAME_FIELD: &'static str = "slug_before";
}

/// An entity with a slug, which is unique in its collection.
pub trait Sluggable: SoftDelete {
    /// Returns its slug.
    fn slug(&self) -> &str;
}

/// Reads and writes the entities of one collection. Cheap to clone.
#[derive(Clone)]
pub struct Repository<E> {
    pub(super) collection: Collection,
    /// Former slugs, of all collections.
    pub(super) history: Collection,
    pub(super) idempotency: IdempotencyRecords,
    pub(super) engagement: EngagementRecords,
    pub(super) totals: Arc<Totals>,
    pub(super) cursors: Arc<Cursors>,
    /// The ids of corrupt documents that lists have skipped and logged.
    corrupt: Arc<Mutex<HashSet<String>>>,
    entity: PhantomData<fn() -> E>,
}

/// An entity as it was read, with the version that optimistic concurrency control compares.
#[derive(Debug, Clone)]
pub struct Versioned<E> {
    /// The entity and its revision.
    pub revised: Revised<E>,
    pub(super) id: ObjectId,
    pub(super) version: i64,
    same_version: Filter,
}

impl<E: Entity> Repository<E> {
    /// Opens the collection of `E` in a database.
    pub fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(E::COLLECTION),
            history: database.collection(SLUG_HISTORY),
            idempotency: IdempotencyRecords::new(database),
            engagement: EngagementRecords::new(database),
            totals: Arc::new(Totals::new(database, E::COLLECTION)),
            cursors: Arc::new(Cursors::new(database, E::COLLECTION)),
            corrupt: Arc::default(),
            entity: PhantomData,
        }
    }

    /// Returns the query of a whole list.
    pub fn list_query(filter: &E::Filter) -> Find {
        Find::new(E::filter(filter).also(not_deleted())).sort(order::sort(E::ORDER))
    }

    /// Returns the entity with this id, unless it is deleted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find(&self, id: Id) -> Result<Option<E>, Error> {
        self.find_one(Find::new(Filter::id(id.object_id()).also(not_deleted()))).await
    }

    /// Returns the entity with this id and its version, unless it is deleted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find_versioned(&self, id: Id) -> Result<Option<Versioned<E>>, Error> {
        self.find_one_versioned(Filter::id(id.object_id()).also(not_deleted())).await
    }

    /// Returns the entities with these ids and their versions, except those that are deleted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if one cannot be read.
    pub async fn find_all_versioned(
        &self,
        ids: impl IntoIterator<Item = Id>,
    ) -> Result<HashMap<Id, Versioned<E>>, Error> {
        let ids = ids.into_iter().map(|id| Bson::ObjectId(id.object_id()));
        let find = Find::new(Filter::is_in("_id", ids).also(not_deleted()));
        let documents = self.collection.find(find).await?.raw_documents().await?;
        let read = |document: &RawDocumentBuf| {
            let versioned = Self::read_versioned(document)?;
            Ok((versioned.revised.item.meta().id, versioned))
        };
        documents.iter().map(read).collect()
    }

    pub(super) async fn find_one(&self, find: Find) -> Result<Option<E>, Error> {
        let document = self.collection.find_one_raw(find).await?;
        document.map(|document| Self::read(&document)).transpose()
    }

    /// Reads an entity from a document.
    pub(super) fn read(document: &RawDocument) -> Result<E, Error> {
        read_row(E::COLLECTION, document, E::from_row)
    }

    /// Returns the entity with this id if callers of this visibility see it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find_visible(&self, id: Id, visibility: Visibility) -> Result<Option<Versioned<E>>, Error> {
        self.find_one_versioned(seen::<E>(Filter::id(id.object_id()), visibility)).await
    }

    pub(super) async fn find_one_versioned(&self, filter: Filter) -> Result<Option<Versioned<E>>, Error> {
        let document = self.collection.find_one_raw(Find::new(filter)).await?;
        document.map(|document| Self::read_versioned(&document)).transpose()
    }

    pub(super) fn read_versioned(document: &RawDocument) -> Result<Versioned<E>, Error> {
        // The revision covers every stored byte, so that it differs after any change by any writer.
        let revision = Revision::from_bytes(document.as_bytes());
        let value = |field: &'static str| -> Result<Option<Bson>, Error> {
            let value = document.get(field).map_err(|error| Error::undecodable(E::COLLECTION, error))?;
            value.map(Bson::try_from).transpose().map_err(|error| Error::undecodable(E::COLLECTION, error))
        };
        let version = value(VERSION)?;
        // Writers that do not know the version change at least the date.
        let same = |field: &'static str, value: Option<Bson>| match value {
            Some(value) => Filter::eq(field, value),
            None => Filter::missing(field),
        };
        let same_version = Filter::and([same(VERSION, version.clone()), same(UPDATED, value(UPDATED)?)]);
        let version = match version {
            Some(Bson::Int64(version)) => version,
            Some(Bson::Int32(version)) => i64::from(version),
            _ => 0,
        };
        let id = document.get_object_id("_id").unwrap_or_default();
        let item = Self::read(document)?;
        Ok(Versioned { revised: Revised { item, revision }, id, version, same_version })
    }

    /// Drops what a list cannot read, and logs each corrupt document once.
    pub(super) fn or_skip<T>(&self, read: Result<T, Error>) -> Option<T> {
        let error = match read {
            Ok(entity) => return Some(entity),
            Err(error) => error,
        };
        if let Error::Corrupt { collection, id, field } = &error {
            let mut logged = self.corrupt.lock();
            if logged.len() < MAX_LOGGED_CORRUPT && logged.insert(id.clone()) {
                tracing::error!(collection, document.id = id, field, "a list skips a corrupt document");
            }
        }
        None
    }
}

impl<E: SoftDelete> Repository<E> {
    /// Returns the filter of the item that has a name, if callers of this visibility see it.
    pub fn name_filter(name: &str, visibility: Visibility) -> Filter {
        seen::<E>(Filter::eq(E::NAME_FIELD, name), visibility)
    }

    /// Looks up the item that a name leads to for callers of this visibility: its current holder, else a former one.
    ///
    /// The common case is one query. Every name that leads nowhere takes the same queries, whether it is unknown or
    /// belongs to a deleted item or a draft, so that their times do not differ.
    pub async fn find_by_name(
        &self,
        name: &str,
        visibility: Visibility,
    ) -> Result<Option<SlugLookup<E>>, Error> {
        match self.find_one_versioned(Self::name_filter(name, visibility)).await? {
            Some(current) => Ok(Some(SlugLookup::Current(current.revised))),
            None => self.find_by_former_name(name, visibility).await,
        }
    }
}

impl<E> Versioned<E> {
    /// Selects the entity unless it was changed or deleted since it was read.
    pub(super) fn unchanged(&self) -> Filter {
        self.same().also(not_deleted())
    }

    /// Selects the entity unless it was changed since it was read, even if it is deleted.
    pub(super) fn same(&self) -> Filter {
        Filter::and([Filter::id(self.id), self.same_version.clone()])
    }
}

/// Reads a document of a collection with `from_row`.
pub(super) fn read_row<T>(
    collection: &'static str,
    document: &RawDocument,
    from_row: impl FnOnce(&Row<'_>) -> Result<T, BadField>,
) -> Result<T, Error> {
    Row::new(document).and_then(|row| from_row(&row)).map_err(|BadField(field)| {
        let id = document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
        Error::Corrupt { collection, id: display_id(&id.unwrap_or(Bson::Null)), field }
    })
}

/// Formats an id of any type for people.
pub(super) fn display_id(id: &Bson) -> String {
    match id {
        Bson::ObjectId(id) => id.to_hex(),
        Bson::String(text) => text.clone(),
        other => format!("{other}"),
    }
}

/// The elements of a stored document, borrowed from its bytes. Values are decoded when they are read.
pub struct Row<'a>(Vec<RawElement<'a>>);

/// The value of a field; `None` if it is missing or null.
pub(super) type Value<'a> = Option<RawBsonRef<'a>>;

impl<'a> Row<'a> {
    /// Splits a document into its elements.
    pub(super) fn new(document: &'a RawDocument) -> Result<Self, BadField> {
        let elements = document.iter_elements().collect::<Result<_, _>>();
        elements.map(Self).map_err(|_| BadField("(document)"))
    }

    /// Reads a field; fails with its name if `reader` does not accept the value.
    pub(super) fn read<T>(
        &self,
        field: &'static str,
        reader: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Result<T, BadField> {
        let element = self.0.iter().rfind(|element| element.key().as_str() == field);
        let value = element.map(RawElement::value).transpose().map_err(|_| BadField(field))?;
        reader(value.filter(|value| *value != RawBsonRef::Null)).ok_or(BadField(field))
    }

    /// Reads the fields that every entity has.
    pub(super) fn meta(&self) -> Result<Meta, BadField> {
        Ok(Meta {
            id: self.read("_id", object_id)?,
            created: self.read(CREATED, date)?,
            updated: self.read(UPDATED, date)?,
            user_id: self.read("user_id", reference)?,
        })
    }
}

/// Declares the stored form of a draft's fields: reader and name. Null counts as missing.
macro_rules! fields {
    ($draft:ident, $patch:ident { $($field:ident: $reader:expr => $name:literal,)+ }) => {
        impl $crate::repository::entity::DraftFields for $draft {
            fn read(row: &$crate::repository::entity::Row<'_>) -> Result<Self, $crate::repository::BadField> {
                Ok(Self { $($field: row.read($name, $reader)?,)+ })
            }

            fn to_document(&self) -> bson::Document {
                let Self { $($field,)+ } = self;
                bson::doc! { $($name: $field.clone(),)+ }
            }

            fn to_update(patch: &$patch) -> docstore::Update {
                let $patch { $($field,)+ } = patch.clone();
                let update = docstore::Update::new();
                $(let update = match $crate::domain::FieldPatch::change($field) {
                    Some(value) => update.set($name, value),
                    None => update,
                };)+
                update
            }
        }
    };
}
pub(super) use fields;

/// Narrows a filter to what callers of this visibility see. The store applies it, so that a document which they do not
/// see is neither sent nor decoded.
pub(super) fn seen<E: Entity>(filter: Filter, visibility: Visibility) -> Filter {
    Filter::and([filter, not_deleted(), E::visible(visibility)])
}

/// Selects documents that are not deleted. Deleted ones have either of two marks, or both.
pub(super) fn not_deleted() -> Filter {
    Filter::and([Filter::ne("deleted", true), Filter::ne("is_deleted", true)])
}

/// Selects deleted documents: the opposite of [`not_deleted`], in a form that uses the index of each mark.
pub(super) fn is_deleted() -> Filter {
    Filter::or([Filter::eq("deleted", true), Filter::eq("is_deleted", true)])
}

/// Selects visible documents. One without the field is not published.
pub(super) fn visible(visibility: Visibility) -> Filter {
    let published = Filter::eq("is_published", true);
    match visibility {
        Visibility::Published => published,
        Visibility::PublishedOrOwned(owner) => Filter::or([published, refers("user_id", owner)]),
        Visibility::All => Filter::All,
    }
}

/// Selects documents whose field refers to an id: as text, or as an object id in some old databases.
pub(super) fn refers(field: &'static str, id: Id) -> Filter {
    Filter::is_in(field, [Bson::String(id.to_string()), Bson::ObjectId(id.object_id())])
}

/// Reads a required string.
pub(super) fn text(value: Value<'_>) -> Option<String> {
    value?.as_str().map(str::to_owned)
}

/// Reads a required string, or the first one of a list.
pub(super) fn first_text(value: Value<'_>) -> Option<String> {
    match value? {
        RawBsonRef::Array(texts) => text(texts.into_iter().next()?.ok()),
        value => text(Some(value)),
    }
}

/// Reads a string that is empty by default.
pub(super) fn text_or_empty(value: Value<'_>) -> Option<String> {
    if value.is_none() { Some(String::new()) } else { text(value) }
}

/// Reads a list of strings that is empty by default.
pub(super) fn texts(value: Value<'_>) -> Option<Vec<String>> {
    match value {
        None => Some(Vec::new()),
        Some(value) => value.as_array()?.into_iter().map(|element| text(element.ok())).collect(),
    }
}

/// Reads a required object id.
pub(super) fn object_id(value: Value<'_>) -> Option<Id> {
    value?.as_object_id().map(Id::from)
}

/// Reads an optional reference to another document, as text.
pub(super) fn reference(value: Value<'_>) -> Option<Option<String>> {
    match value {
        None => Some(None),
        Some(RawBsonRef::String(text)) => Some(Some(text.to_owned())),
        Some(RawBsonRef::ObjectId(id)) => Some(Some(id.to_hex())),
        Some(_) => None,
    }
}

/// Reads a required word of an enum.
pub(super) fn word<T: FromStr>(value: Value<'_>) -> Option<T> {
    value?.as_str()?.parse().ok()
}

/// Reads a word of an enum that has a default.
pub(super) fn word_or_default<T: FromStr + Default>(value: Value<'_>) -> Option<T> {
    if value.is_none() { Some(T::default()) } else { word(value) }
}

/// Reads a whole number of any width, zero by default.
pub(super) fn integer_or_zero(value: Value<'_>) -> Option<i64> {
    match value {
        None => Some(0),
        Some(RawBsonRef::Int32(n)) => Some(i64::from(n)),
        Some(RawBsonRef::Int64(n)) => Some(n),
        Some(RawBsonRef::Double(n)) if n.fract() == 0.0 && n.abs() < MAX_EXACT_DOUBLE =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within range")]
            Some(n as i64)
        }
        Some(_) => None,
    }
}

/// Reads an optional whole number of any width.
pub(super) fn optional_integer(value: Value<'_>) -> Option<Option<i64>> {
    if value.is_none() { Some(None) } else { integer_or_zero(value).map(Some) }
}

/// Reads a boolean that is false by default.
pub(super) fn flag(value: Value<'_>) -> Option<bool> {
    value.map_or(Some(false), RawBsonRef::as_bool)
}

/// Reads a boolean that is true by default.
pub(super) fn flag_or_true(value: Value<'_>) -> Option<bool> {
    value.map_or(Some(true), RawBsonRef::as_bool)
}

/// Reads an optional web URL. Another scheme could run a script when it is clicked.
pub(super) fn web_url(value: Value<'_>) -> Option<Option<String>> {
    match value {
        None | Some(RawBsonRef::String("")) => Some(None),
        Some(RawBsonRef::String(url)) if is_web_url(url) => Some(Some(url.to_owned())),
        Some(_) => None,
    }
}

/// Reads a required link target. Old databases hold any text; URLs that run a script are rejected.
pub(super) fn link_target(value: Value<'_>) -> Option<String> {
    text(value).filter(|url| !is_script_url(url))
}

/// Reads a required date.
pub(super) fn date(value: Value<'_>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(value?.as_datetime()?.timestamp_millis())
}

/// Reads an optional date.
pub(super) fn optional_date(value: Value<'_>) -> Option<Option<DateTime<Utc>>> {
    if value.is_none() { Some(None) } else { date(value).map(Some) }
}

/// Returns the stored form of a date.
pub(super) fn instant(at: DateTime<Utc>) -> Bson {
    Bson::DateTime(bson::DateTime::from_chrono(at))
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;

    use super::*;

    #[test]
    fn references_are_read_from_strings_and_object_ids() {
        let id = ObjectId::parse_str("65a0b1c2d3e4f50617283940").unwrap();
        let hex = Some(Some("65a0b1c2d3e4f50617283940".to_owned()));
        assert_eq!(reference(Some(RawBsonRef::ObjectId(id))), hex);
        assert_eq!(reference(Some(RawBsonRef::String(&id.to_hex()))), hex);
        assert_eq!(reference(None), Some(None));
        assert_eq!(reference(Some(RawBsonRef::Int32(1))), None);
    }

    #[test]
    fn integers_are_read_from_every_numeric_type() {
        for value in [RawBsonRef::Int32(7), RawBsonRef::Int64(7), RawBsonRef::Double(7.0)] {
            assert_eq!(integer_or_zero(Some(value)), Some(7));
        }
        assert_eq!(integer_or_zero(None), Some(0));
        for bad in [
            RawBsonRef::Double(7.5),
            RawBsonRef::Double(1e300),
            RawBsonRef::Double(f64::NAN),
            RawBsonRef::Null,
            RawBsonRef::String("7"),
        ] {
            assert_eq!(integer_or_zero(Some(bad)), None);
        }
    }

    #[test]
    fn dates_out_of_range_are_rejected_without_panic() {
        let far = RawBsonRef::DateTime(bson::DateTime::from_millis(i64::MAX));
        assert_eq!(date(Some(far)), None);
        assert_eq!(date(Some(RawBsonRef::String("2026-01-02"))), None);
    }

    #[test]
    fn null_counts_as_missing_and_bad_fields_are_named() {
        let document = bson::rawdoc! { "title": null, "n": "x" };
        let row = Row::new(&document).unwrap();
        assert_eq!(row.read("title", text_or_empty), Ok(String::new()));
        assert_eq!(row.read("other", reference), Ok(None));
        assert_eq!(row.read("n", integer_or_zero), Err(BadField("n")));
        assert_eq!(row.read("title", text), Err(BadField("title")));
    }
}
