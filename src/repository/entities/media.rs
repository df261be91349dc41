use bson::{Bson, Document, RawDocument, doc};
use docstore::{Filter, Find, Index, Update};

use crate::domain::{
    AssetType, FieldPatch as _, ImageFilter, Media, MediaDraft, MediaPatch, MediaVariant, Visibility,
};
use crate::repository::entity::{
    DELETED, Row, VERSION, Value, integer_or_zero, optional_integer, reference, text, texts, word,
};
use crate::repository::lists::order::{self, NEWEST_FIRST, OrderField};
use crate::repository::{BadField, DraftFields, Entity, Error, Repository, Versioned};

impl DraftFields for MediaDraft {
    fn read(row: &Row<'_>) -> Result<Self, BadField> {
        Ok(Self {
            asset_id: row.read("asset_id", text)?,
            content_hash: row.read("content_hash", text)?,
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
        let variants: Vec<Bson> = variants.iter().map(|variant| variant_document(variant).into()).collect();
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
        let MediaPatch { alt_text, names } = patch.clone();
        let update = Update::new();
        let update = match alt_text.change() {
            Some(alt_text) => update.set("alt_text", alt_text),
            None => update,
        };
        match names.change() {
            Some(names) => update.set("names", names),
            None => update,
        }
    }
}

impl Entity for Media {
    const COLLECTION: &'static str = "media";
    const ORDER: &'static [OrderField] = NEWEST_FIRST;
    type Filter = Option<AssetType>;

    fn indexes() -> Vec<Index> {
        let own = [
            Index::on(["content_hash", "filter"]).unique(),
            Index::on(["asset_id"]),
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

/// The file with some content, and whether it is in the trash.
pub struct StoredContentHash {
    /// The file.
    pub media: Versioned<Media>,
    /// True if it is deleted.
    pub is_deleted: bool,
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
    ) -> Result<Option<StoredContentHash>, Error> {
        let same =
            Filter::and([Filter::eq("content_hash", content_hash), Filter::eq("filter", filter.as_str())]);
        let Some(document) = self.collection.find_one_raw(Find::new(same)).await? else { return Ok(None) };
        let is_marked = |field: &str| document.get_bool(field).unwrap_or_default();
        let is_deleted = is_marked("deleted") || is_marked("is_deleted");
        Ok(Some(StoredContentHash { media: Self::read_versioned(&document)?, is_deleted }))
    }

    /// Takes a file out of the trash, because it was uploaded again.
    pub async fn revive(&self, media: &Versioned<Media>) -> Result<(), Error> {
        let update =
            Update::new().set("deleted", false).set("is_deleted", false).unset(DELETED).inc(VERSION, 1_i64);
        self.collection.update_one(&Filter::id(media.id), &update).await?;
        Ok(())
    }
}

fn variant_document(variant: &MediaVariant) -> Document {
    let MediaVariant { variant, path, width, height, size_bytes } = variant;
    doc! { "variant": variant, "path": path, "width": width, "height": height, "size_bytes": size_bytes }
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
    })
}
