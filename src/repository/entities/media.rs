use std::cmp::Reverse;
use std::collections::HashMap;

use bson::{Bson, Document, RawDocument, doc};
use chrono::{DateTime, Utc};
use docstore::{Field, Filter, Find, Index, Projection, Update};

use crate::domain::{
    AssetType, FieldPatch as _, Id, ImageFilter, Listing, Media, MediaDraft, MediaPatch, MediaVariant,
    Restored, TrashType, Visibility, Window,
};
use crate::repository::lists::order::{self, NEWEST_FIRST, OrderField};
use crate::repository::row::{
    CREATED, DELETED, Row, VERSION, Value, integer_or_zero, is_deleted, not_deleted, optional_integer,
    reference, text, texts, word,
};
use crate::repository::writes::{deleted_until, deleted_with_id, placeholder};
use crate::repository::{BadField, DraftFields, Entity, Error, Repository, SoftDelete, Versioned};

/// The field with the id in the names of the files.
const ASSET_ID: &str = "asset_id";
/// The field with the hash of the uploaded bytes; while a deleted file is purged, a text that no upload has.
const CONTENT_HASH: &str = "content_hash";

impl DraftFields for MediaDraft {
    fn read(row: &Row<'_>) -> Result<Self, BadField> {
        Ok(Self {
            asset_id: row.read(ASSET_ID, text)?,
            content_hash: row.read(CONTENT_HASH, text)?,
            filter: row.read("filter", word)?,
            asset_type: row.read("type", word)?,
            content_type: row.read("content_type", text)?,
            names: row.read("names", texts)?,
            width: row.read("width", integer_or_zero)?,
            height: row.read("height", integer_or_zero)?,
            duration_ms: row.read("duration_ms", optional_integer)?,
            bytes: row.read("bytes", integer_or_zero)?,
            variants: row.read("variants", variants)?,
            alt_text: row.read("alt_text", reference)?,
            thumbhash: row.read("thumbhash", reference)?,
        })
    }

    fn to_document(&self) -> Document {
        let Self {
            asset_id,
            content_hash,
            filter,
            asset_type,
            content_type,
            names,
            width,
            height,
            duration_ms,
            bytes,
            variants,
            alt_text,
            thumbhash,
        } = self;
        let variants = variants_array(variants);
        doc! {
            "asset_id": asset_id,
            "content_hash": content_hash,
            "filter": filter.as_str(),
            "type": asset_type.as_str(),
            "content_type": content_type,
            "names": names,
            "width": width,
            "height": height,
            "duration_ms": duration_ms,
            "bytes": bytes,
            "variants": variants,
            "alt_text": alt_text,
            "thumbhash": thumbhash,
        }
    }

    fn to_update(patch: &MediaPatch) -> Update {
        let MediaPatch { alt_text } = patch.clone();
        match alt_text.change() {
            Some(alt_text) => Update::new().set("alt_text", alt_text),
            None => Update::new(),
        }
    }
}

impl Entity for Media {
    const COLLECTION: &'static str = "media";
    const ORDER: &'static [OrderField] = NEWEST_FIRST;
    type Filter = Option<AssetType>;

    fn indexes() -> Vec<Index> {
        let own = [
            Index::on([CONTENT_HASH, "filter"]).unique(),
            Index::on([ASSET_ID]),
            order::narrowed("type", NEWEST_FIRST),
            order::whole(NEWEST_FIRST),
        ];
        own.into_iter().chain(order::for_deleted()).collect()
    }

    fn from_row(row: &Row<'_>) -> Result<Self, BadField> {
        Ok(Self { meta: row.meta()?, draft: MediaDraft::read(row)? })
    }

    fn filter(filter: &Option<AssetType>) -> Filter {
        filter.map_or(Filter::All, |kind| Filter::eq("type", kind.as_str()))
    }

    fn visible(_: Visibility) -> Filter {
        Filter::All
    }
}

impl SoftDelete for Media {
    const TRASH_TYPE: TrashType = TrashType::Media;
    const NAME_FIELD: &'static str = ASSET_ID;
    const TITLE_FIELD: &'static str = "names";
}

impl Repository<Media> {
    /// Returns the file that was made from these bytes with this filter, even if it is deleted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find_by_hash(
        &self,
        content_hash: &str,
        filter: ImageFilter,
    ) -> Result<Option<Versioned<Media>>, Error> {
        let same =
            Filter::and([Filter::eq(CONTENT_HASH, content_hash), Filter::eq("filter", filter.as_str())]);
        self.find_one_versioned(same).await
    }

    /// Records that a file was uploaded again, with new names if there are any, and takes it out of the trash; false if it was
    /// purged since it was read.
    pub async fn reuse(&self, media: &Versioned<Media>, names: Option<&[String]>) -> Result<bool, Error> {
        let content_hash = media.revised.item.draft.content_hash.as_str();
        let same = Filter::id(media.id).also(Filter::eq(CONTENT_HASH, content_hash));
        let update = match names {
            Some(names) => undeleted().set("names", names.to_vec()),
            None => undeleted(),
        };
        Ok(self.collection.update_one(&same, &update).await?.matched > 0)
    }

    /// Returns the file with this id in its names, unless it is deleted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find_by_asset_id(&self, asset_id: &str) -> Result<Option<Versioned<Media>>, Error> {
        self.find_one_versioned(Filter::eq(ASSET_ID, asset_id).also(not_deleted())).await
    }

    /// Lists those of the files with these ids in their names that exist, newest first.
    pub async fn list_assets<'a>(
        &self,
        asset_ids: impl IntoIterator<Item = &'a str>,
        window: Window,
    ) -> Result<Listing<Media>, Error> {
        let find = Find::new(Filter::is_in(ASSET_ID, asset_ids).also(not_deleted()))
            .projection(Projection::include([CREATED]));
        let (documents, _) = self.collection.find(find).await?.readable_documents().await?;
        let place = |document: &bson::RawDocumentBuf| {
            let created = document.get_datetime(CREATED).ok();
            Some((Reverse(created), Id::from(document.get_object_id("_id").ok()?)))
        };
        let mut all: Vec<_> = documents.iter().filter_map(place).collect();
        all.sort_unstable();
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let shown = all.iter().skip(size(window.offset)).take(size(window.limit));
        let ids: Vec<Id> = shown.map(|(_, id)| *id).collect();
        let find =
            Find::new(Filter::is_in(Field::ID, ids.iter().map(|id| id.object_id())).also(not_deleted()));
        let (documents, _) = self.collection.find(find).await?.readable_documents().await?;
        let read = documents.iter().filter_map(|document| self.or_skip(Self::read(document)));
        let mut read: HashMap<Id, Media> = read.map(|media| (media.meta.id, media)).collect();
        let items = ids.iter().filter_map(|id| read.remove(id)).collect();
        Ok(Listing { items, total: all.len() as u64, window, cursor_page: None })
    }

    /// Takes a deleted file out of the trash; `None` if it is not there, or is being purged.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read; it stays in the trash.
    pub async fn restore_media(&self, id: Id) -> Result<Option<Restored>, Error> {
        let Some(deleted) = self.find_deleted(id).await? else { return Ok(None) };
        let MediaDraft { asset_id, content_hash, names, .. } = deleted.draft;
        let same = deleted_with_id(id).also(Filter::eq(CONTENT_HASH, content_hash.as_str()));
        if is_being_purged(&content_hash)
            || self.collection.update_one(&same, &undeleted()).await?.matched == 0
        {
            return Ok(None);
        }
        Ok(Some(Restored { id, title: names.into_iter().next().unwrap_or_default(), slug: asset_id }))
    }

    /// Returns some of the files that [`Repository::count_deleted_until`] counts; none if there are none.
    pub async fn find_deleted_until(
        &self,
        instant: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<DeletedMedia>, Error> {
        let find = Find::new(deleted_until(instant)).limit(limit);
        let documents = self.collection.find(find).await?.documents().await?;
        Ok(documents.iter().map(DeletedMedia::from_document).collect())
    }

    /// Returns what is left of the deleted file with this id, readable or not.
    pub async fn find_to_purge(&self, id: Id) -> Result<Option<DeletedMedia>, Error> {
        let document = self.collection.find_one(Find::new(deleted_with_id(id))).await?;
        Ok(document.as_ref().map(DeletedMedia::from_document))
    }

    /// Begins to purge a file: from now on it cannot be restored, and the same bytes are another file when they are uploaded.
    /// Returns false if it was restored since it was read. If the process dies before [`Repository::end_purge`], the file
    /// stays in the trash, and can be purged again.
    pub async fn begin_purge(&self, media: &DeletedMedia) -> Result<bool, Error> {
        let update = Update::new().set(CONTENT_HASH, placeholder(&media.id)).inc(VERSION, 1_i64);
        Ok(self.collection.update_one(&media.unchanged, &update).await?.matched > 0)
    }

    /// Reports whether another document describes files with the same names.
    pub async fn shares_files(&self, media: &DeletedMedia) -> Result<bool, Error> {
        let others =
            Filter::eq(ASSET_ID, media.asset_id.as_str()).also(Filter::ne(Field::ID, media.id.clone()));
        Ok(self.collection.find_one_raw(Find::new(others)).await?.is_some())
    }

    /// Removes the document of a file that was purged.
    pub async fn end_purge(&self, media: &DeletedMedia) -> Result<(), Error> {
        let purged = Filter::id(media.id.clone())
            .also(Filter::eq(CONTENT_HASH, placeholder(&media.id)))
            .also(is_deleted());
        self.collection.delete_one(&purged).await?;
        Ok(())
    }
}

/// A file in the trash. Nothing of it must be readable, since that may be the reason why it was deleted.
pub struct DeletedMedia {
    /// The id in the names of the files; empty if it is not known.
    pub asset_id: String,
    /// The whole names of the files.
    pub paths: Vec<String>,
    /// True if it is a video.
    pub is_video: bool,
    id: Bson,
    unchanged: Filter,
}

impl DeletedMedia {
    fn from_document(document: &Document) -> Self {
        let id = document.get("_id").cloned().unwrap_or(Bson::Null);
        let same = |field: &'static str| match document.get(field) {
            Some(value) => Filter::eq(field, value.clone()),
            None => Filter::missing(field),
        };
        let unchanged =
            Filter::and([Filter::id(id.clone()), is_deleted(), same(CONTENT_HASH), same(DELETED)]);
        let variants = document.get_array("variants").map(Vec::as_slice).unwrap_or_default();
        let path = |variant: &Bson| Some(variant.as_document()?.get_str("path").ok()?.to_owned());
        Self {
            asset_id: document.get_str(ASSET_ID).unwrap_or_default().to_owned(),
            paths: variants.iter().filter_map(path).collect(),
            is_video: document.get_str("type").is_ok_and(|kind| kind == AssetType::Video.as_str()),
            id,
            unchanged,
        }
    }
}

pub(super) fn is_being_purged(content_hash: &str) -> bool {
    content_hash.starts_with('~')
}

/// Returns the update that takes a document out of the trash.
fn undeleted() -> Update {
    Update::new().set("deleted", false).set("is_deleted", false).unset(DELETED).inc(VERSION, 1_i64)
}

pub(super) fn variants_array(variants: &[MediaVariant]) -> Vec<Bson> {
    variants.iter().map(|variant| variant_document(variant).into()).collect()
}

fn variant_document(variant: &MediaVariant) -> Document {
    let MediaVariant { variant, path, width, height, size_bytes, sha256 } = variant;
    let mut document =
        doc! { "variant": variant, "path": path, "width": width, "height": height, "size_bytes": size_bytes };
    if let Some(sha256) = sha256 {
        document.insert("sha256", sha256);
    }
    document
}

fn variants(value: Value<'_>) -> Option<Vec<MediaVariant>> {
    let Some(value) = value else { return Some(Vec::new()) };
    value.as_array()?.into_iter().map(|element| variant(element.ok()?.as_document()?)).collect()
}

fn variant(document: &RawDocument) -> Option<MediaVariant> {
    let row = Row::new(document).ok()?;
    Some(MediaVariant {
        variant: row.read("variant", text).ok()?,
        path: row.read("path", text).ok()?,
        width: row.read("width", integer_or_zero).ok()?,
        height: row.read("height", integer_or_zero).ok()?,
        size_bytes: row.read("size_bytes", integer_or_zero).ok()?,
        sha256: row.read("sha256", reference).ok()?,
    })
}
