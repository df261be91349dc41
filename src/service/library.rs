use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use futures_util::future::join_all;

use super::Error;
use super::asset_references::AssetReferences;
use super::content::{Content, editable, parse_id, visible};
use crate::domain::{
    AssetType, Caller, Id, Item as _, Listing, MAX_SHOWN_REFERRERS, Media, MediaPatch, MediaUse, PageRequest,
    Precondition, Referrer, Restored, Revised, Section, Window,
};
use crate::media::{Key, MediaId, Storage, VARIANTS};
use crate::repository::{self, Change, ChangeTracker, DeletedMedia, Referrers, ReferringItem, Versioned};

/// The number of deleted files that are read at once when they are purged.
const PURGE_BATCH: u64 = 100;
/// The number of thumbnails that a video can have.
const MAX_THUMBNAILS: usize = 10;

/// The library of uploaded pictures and videos. Cheap to clone.
#[derive(Clone)]
pub struct Library {
    pub(super) content: Content<Media>,
    references: AssetReferences,
    video_jobs: repository::VideoJobs,
    storage: Storage,
}

/// A file of the library, and the content that refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// The file.
    pub media: Media,
    /// The time that is part of its id, if it is one.
    pub uploaded: Option<DateTime<Utc>>,
    /// The first of the items that refer to it and that the caller may see.
    pub referrers: Vec<Referrer>,
}

impl Library {
    /// Describes files of `storage` in `content`.
    pub fn new(
        content: Content<Media>,
        referrers: Referrers,
        tracker: ChangeTracker,
        video_jobs: repository::VideoJobs,
        storage: Storage,
    ) -> Self {
        Self { content, references: AssetReferences::new(referrers, tracker), video_jobs, storage }
    }

    /// Lists files, newest first.
    pub async fn list(&self, kind: Option<AssetType>, page: PageRequest) -> Result<Listing<Media>, Error> {
        Ok(self.content.items.list(&kind, page).await?)
    }

    /// Lists files, newest first, with the content that refers to them.
    pub async fn assets(
        &self,
        caller: &Caller,
        kind: Option<AssetType>,
        window: Window,
    ) -> Result<Listing<Asset>, Error> {
        let listing = self.content.items.list(&kind, window).await?;
        let all = self.references.all().await?;
        let items = all.iter().flat_map(|items| &**items);
        Ok(with_referrers(listing, items.filter(|item| item.referrer.is_visible_to(caller))))
    }

    /// Lists the files to which a section and its content refer, newest first. Content that the caller may not see does not
    /// count.
    pub async fn assets_of_section(
        &self,
        caller: &Caller,
        section: &str,
        window: Window,
    ) -> Result<Listing<Asset>, Error> {
        let section = parse_id::<Section>(section)?.to_string();
        let all = self.references.all().await?;
        let is_shown =
            |item: &&ReferringItem| item.referrer.is_part_of(&section) && item.referrer.is_visible_to(caller);
        let items: Vec<_> = all.iter().flat_map(|items| &**items).filter(is_shown).collect();
        let asset_ids: BTreeSet<&str> =
            items.iter().flat_map(|item| &item.asset_ids).map(String::as_str).collect();
        let listing = self.content.items.list_assets(asset_ids, window).await?;
        Ok(with_referrers(listing, items))
    }

    /// Returns the file with this id, of its document or in its names.
    pub async fn by_id(&self, caller: &Caller, id: &str) -> Result<Revised<Media>, Error> {
        Ok(visible(Some(caller), self.find(id).await?)?.revised)
    }

    /// Updates what people write about a file.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &str,
        patch: MediaPatch,
        precondition: &Precondition,
    ) -> Result<Revised<Media>, Error> {
        let change = Change { patch, section_id: None };
        loop {
            let stored = editable(caller, self.find(id).await?, precondition)?;
            // After a concurrent change, try again if the precondition allows it.
            if let Some(updated) =
                self.content.items.update(&stored, &change, self.content.clock.now()).await?
            {
                return Ok(updated.revised);
            }
        }
    }

    /// Moves a file to the trash, unless content refers to it and `force` is false. Its bytes stay where they are until it is
    /// purged.
    ///
    /// # Errors
    /// [`Error::MediaInUse`] if content refers to it.
    pub async fn delete(
        &self,
        caller: &Caller,
        id: &str,
        force: bool,
        precondition: &Precondition,
    ) -> Result<(), Error> {
        loop {
            let stored = editable(caller, self.find(id).await?, precondition)?;
            if !force {
                let used = self.usage(caller, &stored.revised.item.draft.asset_id).await?;
                if used.count > 0 {
                    return Err(Error::MediaInUse(used));
                }
            }
            if self.content.items.delete(&stored, self.content.clock.now()).await? {
                return Ok(());
            }
        }
    }

    /// Takes a deleted file out of the trash.
    pub(super) async fn restore(&self, id: Id) -> Result<Restored, Error> {
        self.content.items.restore_media(id).await?.ok_or(Error::NotInTrash(Media::NAME))
    }

    /// Removes a deleted file permanently.
    pub(super) async fn purge(&self, id: Id) -> Result<(), Error> {
        let found = self.content.items.find_to_purge(id).await?.ok_or(Error::NotInTrash(Media::NAME))?;
        if self.purge_one(&found).await? { Ok(()) } else { Err(Error::NotInTrash(Media::NAME)) }
    }

    /// Removes permanently the files that were deleted at this instant or earlier, and returns their number.
    pub(super) async fn purge_until(&self, instant: DateTime<Utc>) -> Result<u64, Error> {
        let mut purged = 0;
        loop {
            let expired = self.content.items.find_deleted_until(instant, PURGE_BATCH).await?;
            if expired.is_empty() {
                return Ok(purged);
            }
            for media in &expired {
                purged += u64::from(self.purge_one(media).await?);
            }
        }
    }

    /// Removes the bytes of a deleted file, then what is known of it; false if it was restored. If the bytes cannot be removed
    /// it stays in the trash, so that a later attempt finds them.
    async fn purge_one(&self, media: &DeletedMedia) -> Result<bool, Error> {
        let items = &self.content.items;
        if !items.begin_purge(media).await? {
            return Ok(false);
        }
        if !items.shares_files(media).await? {
            if media.is_video {
                for path in &media.paths {
                    self.video_jobs.delete_by_file(path).await?;
                }
            }
            let keys = keys(media);
            let deleted = join_all(keys.iter().map(|key| self.storage.delete(key))).await;
            deleted.into_iter().collect::<Result<(), _>>()?;
        }
        items.end_purge(media).await?;
        Ok(true)
    }

    /// Returns the content that refers to a file.
    async fn usage(&self, caller: &Caller, asset_id: &str) -> Result<MediaUse, Error> {
        let all = self.references.all().await?;
        let items = all.iter().flat_map(|items| &**items).filter(|item| item.asset_ids.contains(asset_id));
        let mut used = MediaUse::default();
        for ReferringItem { referrer, .. } in items {
            used.count += 1;
            if used.shown.len() < MAX_SHOWN_REFERRERS && referrer.is_visible_to(caller) {
                used.shown.push(referrer.clone());
            }
        }
        Ok(used)
    }

    async fn find(&self, id: &str) -> Result<Option<Versioned<Media>>, Error> {
        Ok(match (Id::parse(id), MediaId::parse(id)) {
            (Ok(id), _) => self.content.items.find_versioned(id).await?,
            (Err(_), Some(asset_id)) => self.content.items.find_by_asset_id(asset_id.as_str()).await?,
            (Err(_), None) => return Err(Error::InvalidId(Media::NAME)),
        })
    }
}

/// Adds to each file of a list the items that refer to it.
fn with_referrers<'a>(
    listing: Listing<Media>,
    items: impl IntoIterator<Item = &'a ReferringItem>,
) -> Listing<Asset> {
    let Listing { items: files, total, window, cursor_page } = listing;
    let mut referrers: HashMap<String, Vec<Referrer>> =
        files.iter().map(|media| (media.draft.asset_id.clone(), Vec::new())).collect();
    for ReferringItem { referrer, asset_ids } in items {
        for asset_id in asset_ids {
            if let Some(known) = referrers.get_mut(asset_id)
                && known.len() < MAX_SHOWN_REFERRERS
            {
                known.push(referrer.clone());
            }
        }
    }
    let asset = |media: Media| Asset {
        uploaded: MediaId::parse(&media.draft.asset_id).and_then(|id| id.uploaded()),
        referrers: referrers.get(&media.draft.asset_id).cloned().unwrap_or_default(),
        media,
    };
    Listing { items: files.into_iter().map(asset).collect(), total, window, cursor_page }
}

/// Returns the names of all files of a picture or video, also of those that were made of it later.
fn keys(media: &DeletedMedia) -> BTreeSet<Key> {
    let mut keys: BTreeSet<Key> = media.paths.iter().filter_map(|path| Key::parse(path)).collect();
    match MediaId::parse(&media.asset_id) {
        Some(id) if media.is_video => {
            keys.extend([id.video_720p(), id.poster()]);
            keys.extend((0..MAX_THUMBNAILS).map(|index| id.thumbnail(index)));
        }
        Some(id) => keys.extend(VARIANTS.map(|variant| id.image(variant))),
        None => {}
    }
    keys
}
