//! Brings files that are stored already into the library, such as those of the original.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Error;
use super::media_facts::{integer, preview, variant};
use crate::clock::{Clock, is_within};
use crate::domain::{AssetType, ImageFilter, Media, MediaAddition, MediaDraft, MediaVariant};
use crate::media::{
    ExaminedFile, FileContent, FileFormat, Key, MediaId, MediaKind, ObjectInfo, Storage, StorageError,
    examine,
};
use crate::repository::{self, Repository};

/// The number of files of one item that are read at the same time.
const READS: usize = 4;
/// The time in which an upload is over. The files of younger ids may be those of an upload that has not entered the library yet.
const UPLOAD_TIME: TimeDelta = TimeDelta::minutes(15);

/// The import of stored files into the library.
pub struct MediaImport {
    media: Repository<Media>,
    storage: Storage,
    clock: Arc<dyn Clock>,
}

/// The stored files, by what the names say.
#[derive(Debug, Default)]
pub struct ImportPlan {
    /// Files with an id in their names, by id.
    pub groups: Vec<MediaGroup>,
    /// Files that cannot enter the library.
    pub left_out: Vec<(Key, LeftOut)>,
}

/// The files that have one id in their names.
#[derive(Debug, PartialEq, Eq)]
pub struct MediaGroup {
    /// The id.
    pub id: MediaId,
    /// The files.
    pub files: Vec<ObjectInfo>,
}

/// The reason for which a file does not enter the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOut {
    /// The name has no id.
    NoId,
    /// The extension is of no known type of pictures or videos.
    OtherType,
    /// It cannot be read as a picture or video.
    Unreadable(String),
    /// It was made of a video that is not there, or cannot be read.
    NoVideo,
    /// An item with the same bytes, which has this id, is in the library.
    SameBytes(String),
    /// Its upload may not have ended yet.
    Recent,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoId => f.write_str("no id in the name"),
            Self::OtherType => f.write_str("not a known type of picture or video"),
            Self::Unreadable(reason) => f.write_str(reason),
            Self::NoVideo => f.write_str("made of a video that is missing or cannot be read"),
            Self::SameBytes(id) => write!(f, "the same bytes as {id}"),
            Self::Recent => f.write_str("uploaded in the last minutes; run the command again later"),
        }
    }
}

/// The outcome for the files of a [`MediaGroup`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ImportedGroup {
    /// The type of the new item, unless there was one.
    pub added: Option<AssetType>,
    /// The number of files that entered the library.
    pub files: usize,
    /// The number of files that were in the library.
    pub known: usize,
    /// The files that did not enter it.
    pub left_out: Vec<(Key, LeftOut)>,
}

impl ImportPlan {
    /// Groups files by the ids in their names.
    pub fn new(files: impl IntoIterator<Item = ObjectInfo>) -> Self {
        let (mut plan, mut groups) = (Self::default(), BTreeMap::<MediaId, Vec<ObjectInfo>>::new());
        for file in files {
            let reason = match file.key.id() {
                Some(_) if file.key.media_type().is_none() => LeftOut::OtherType,
                Some(id) => {
                    groups.entry(id).or_default().push(file);
                    continue;
                }
                None => LeftOut::NoId,
            };
            plan.left_out.push((file.key, reason));
        }
        plan.groups = groups.into_iter().map(|(id, files)| MediaGroup { id, files }).collect();
        plan.groups.iter_mut().for_each(|group| group.files.sort_by(|one, other| one.key.cmp(&other.key)));
        plan.left_out.sort_by(|(one, _), (other, _)| one.cmp(other));
        plan
    }
}

impl MediaGroup {
    /// Returns the number of bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Returns the type of the item, as the names of its files say.
    pub fn asset_type(&self) -> AssetType {
        let is_video =
            |file: &ObjectInfo| file.key.media_type().is_some_and(|kind| kind.kind == MediaKind::Video);
        if self.files.iter().any(is_video) { AssetType::Video } else { AssetType::Image }
    }
}

impl ImportedGroup {
    fn without(files: Vec<Key>, reason: &LeftOut) -> Self {
        let left_out = files.into_iter().map(|key| (key, reason.clone())).collect();
        Self { left_out, ..Self::default() }
    }
}

impl MediaImport {
    /// Imports from `storage` into `media`.
    pub fn new(media: Repository<Media>, storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { media, storage, clock }
    }

    /// Lists the stored files. Their names are in memory.
    ///
    /// # Errors
    /// The failure of the storage.
    pub async fn plan(&self) -> Result<ImportPlan, Error> {
        let files: Vec<ObjectInfo> = self.storage.list(None).try_collect().await?;
        Ok(ImportPlan::new(files))
    }

    /// Returns what an import of a group would do as far as that is known without reading its files.
    ///
    /// # Errors
    /// The failure of the store.
    pub async fn expect(&self, group: &MediaGroup) -> Result<ImportedGroup, Error> {
        Ok(self.look_up(group).await?.0)
    }

    /// Returns what is known without reading the files of a group, and those that must be read.
    async fn look_up(&self, group: &MediaGroup) -> Result<(ImportedGroup, Vec<Key>), Error> {
        let item = self.media.find_with_deleted(group.id.as_str()).await?;
        let variants = item.as_ref().map_or(&[][..], |item| item.revised.item.draft.variants.as_slice());
        let is_known = |key: &Key| variants.iter().any(|known| known.path == key.as_str());
        let unknown: Vec<_> =
            group.files.iter().map(|file| file.key.clone()).filter(|key| !is_known(key)).collect();
        let reason = match &item {
            None if self.is_recent(group) => Some(LeftOut::Recent),
            None if unknown.iter().all(Key::is_of_video) => Some(LeftOut::NoVideo),
            _ => None,
        };
        if let Some(reason) = reason {
            return Ok((ImportedGroup::without(unknown, &reason), Vec::new()));
        }
        let added = item.is_none().then(|| group.asset_type());
        let known = group.files.len() - unknown.len();
        Ok((ImportedGroup { added, files: unknown.len(), known, left_out: Vec::new() }, unknown))
    }

    /// Brings the files of a group into the library: as a new item, or as files that an item did not have. Files that are in
    /// the library are not read.
    ///
    /// # Errors
    /// The failure of the store or of the storage. What has entered the library stays in it.
    pub async fn import(&self, group: &MediaGroup) -> Result<ImportedGroup, Error> {
        let (expected, unknown) = self.look_up(group).await?;
        if unknown.is_empty() {
            return Ok(expected);
        }
        let (mut files, mut left_out) = (Vec::new(), Vec::new());
        let read = |key| read(self.storage.clone(), key);
        let mut examined = stream::iter(unknown.into_iter().map(read)).buffered(READS);
        // Only the picture that a preview is made of keeps its bytes.
        let mut smallest: Option<ExaminedFile> = None;
        while let Some((key, outcome)) = examined.next().await {
            let file = match outcome {
                Ok(file) => file,
                Err(StorageError::NotFound) => {
                    left_out.push((key, LeftOut::Unreadable("it was deleted meanwhile".to_owned())));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(reason) = unsuitable(&file) {
                left_out.push((key, LeftOut::Unreadable(reason)));
                continue;
            }
            files.push(Facts::new(&file));
            smallest = smaller(smallest, file);
        }
        files.sort_by_cached_key(Facts::rank);
        let thumbhash = match &smallest {
            Some(picture) => preview(picture).await,
            None => None,
        };
        let imported = match expected.added {
            None => self.complete(group, &files, thumbhash).await?,
            Some(expected) => self.insert(group, &files, expected, thumbhash).await?,
        };
        left_out.extend(imported.left_out);
        Ok(ImportedGroup { left_out, known: expected.known, ..imported })
    }

    async fn complete(
        &self,
        group: &MediaGroup,
        files: &[Facts],
        thumbhash: Option<String>,
    ) -> Result<ImportedGroup, Error> {
        let variants = files.iter().map(|file| file.variant.clone()).collect();
        let addition = MediaAddition { variants, thumbhash, ..MediaAddition::default() };
        self.media.complete(group.id.as_str(), &addition).await?;
        Ok(ImportedGroup { files: files.len(), ..ImportedGroup::default() })
    }

    async fn insert(
        &self,
        group: &MediaGroup,
        files: &[Facts],
        expected: AssetType,
        thumbhash: Option<String>,
    ) -> Result<ImportedGroup, Error> {
        let keys = || files.iter().map(|file| file.key.clone()).collect::<Vec<_>>();
        let Some(main) =
            files.first().filter(|main| !main.key.is_of_video() && main.asset_type() == expected)
        else {
            return Ok(ImportedGroup::without(keys(), &LeftOut::NoVideo));
        };
        let draft = MediaDraft {
            asset_id: group.id.as_str().to_owned(),
            content_hash: main.variant.sha256.clone().unwrap_or_default(),
            filter: ImageFilter::None,
            asset_type: expected,
            content_type: main.content_type.to_owned(),
            names: Vec::new(),
            width: main.variant.width,
            height: main.variant.height,
            duration_ms: main.duration_ms,
            bytes: main.variant.size_bytes,
            variants: files.iter().map(|file| file.variant.clone()).collect(),
            alt_text: None,
            thumbhash,
        };
        let mut other = self.media.find_by_hash(&draft.content_hash, draft.filter).await?;
        if other.is_none() {
            let created = group.id.uploaded().unwrap_or(main.modified);
            match self.media.insert_found(&draft, created).await {
                Ok(()) => {
                    let added = Some(draft.asset_type);
                    return Ok(ImportedGroup { added, files: files.len(), ..ImportedGroup::default() });
                }
                // Another process was faster.
                Err(error @ repository::Error::Duplicate { .. }) => {
                    other = self.media.find_by_hash(&draft.content_hash, draft.filter).await?;
                    if other.is_none() {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        let id = other.map(|other| other.revised.item.draft.asset_id).unwrap_or_default();
        Ok(ImportedGroup::without(keys(), &LeftOut::SameBytes(id)))
    }

    fn is_recent(&self, group: &MediaGroup) -> bool {
        group.id.uploaded().is_some_and(|uploaded| is_within(UPLOAD_TIME, uploaded, self.clock.now()))
    }
}

async fn read(storage: Storage, key: Key) -> (Key, Result<ExaminedFile, StorageError>) {
    let examined = examine(&storage, &key).await;
    (key, examined)
}

/// Returns why a file is not what its name says.
fn unsuitable(file: &ExaminedFile) -> Option<String> {
    let is_video = match &file.content {
        FileContent::Unreadable(reason) => return Some(reason.to_string()),
        FileContent::Video(_) => true,
        FileContent::Picture { .. } => false,
    };
    let named = file.info.key.media_type().map(|named| named.kind == MediaKind::Video);
    (named != Some(is_video)).then(|| "its bytes are of another type than its name says".to_owned())
}

/// Returns the smaller one of two pictures whose bytes are in memory, if one is.
fn smaller(known: Option<ExaminedFile>, file: ExaminedFile) -> Option<ExaminedFile> {
    let Some(size) = area(&file) else { return known };
    if known.as_ref().and_then(area).is_some_and(|least| least <= size) { known } else { Some(file) }
}

/// Returns the number of pixels of a picture whose bytes are in memory.
fn area(file: &ExaminedFile) -> Option<u64> {
    match &file.content {
        FileContent::Picture { width, height, bytes: Some(_), .. } => {
            Some(u64::from(*width) * u64::from(*height))
        }
        _ => None,
    }
}

/// The facts that are kept of an examined file.
struct Facts {
    key: Key,
    variant: MediaVariant,
    content_type: &'static str,
    is_video: bool,
    duration_ms: Option<i64>,
    modified: DateTime<Utc>,
}

impl Facts {
    fn new(file: &ExaminedFile) -> Self {
        let duration_ms = match &file.content {
            FileContent::Video(info) => info.duration_ms.map(integer),
            _ => None,
        };
        let format = file.format();
        Self {
            key: file.info.key.clone(),
            variant: variant(file),
            content_type: format.map_or("", FileFormat::mime),
            is_video: format.is_some_and(FileFormat::is_video),
            duration_ms,
            modified: file.info.modified,
        }
    }

    fn asset_type(&self) -> AssetType {
        if self.is_video { AssetType::Video } else { AssetType::Image }
    }

    /// Orders the files of an item: videos first, those that were made of a video last, the largest first. The uploaded video is
    /// before its other forms, and of pictures that are equally wide the one with the plainest name.
    fn rank(&self) -> impl Ord + use<> {
        let is_derived = self.key.variant() != "originals";
        (
            !self.is_video,
            self.key.is_of_video(),
            self.is_video && is_derived,
            Reverse(self.variant.width),
            is_derived,
            Reverse(self.variant.size_bytes),
            self.key.clone(),
        )
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::{Location, StorageSettings};

    #[tokio::test]
    async fn files_are_grouped_by_the_id_in_every_naming() {
        const ID: &str = "20260102_030405_0a1b2c3d";
        const OTHER: &str = "20250102_030405_0a1b2c3d";
        let settings = StorageSettings { location: Location::Memory, options: Vec::new() };
        let storage = Storage::open(&settings).unwrap();
        let of_id = [
            format!("{ID}.webp"),
            format!("{ID}_750.webp"),
            format!("images/medium/{ID}.webp"),
            format!("photos/65a0b1c2d3e4f50617283940/{ID}_1536.webp"),
            format!("thumbnails/{ID}_poster.jpg"),
            format!("video/originals/{ID}.mp4"),
        ];
        let others = [format!("{OTHER}.png"), "old.png".to_owned(), format!("{OTHER}.svg")];
        for path in of_id.iter().chain(&others) {
            storage.put(&Key::in_uploads(path).unwrap(), Bytes::from_static(b"12")).await.unwrap();
        }
        let plan = ImportPlan::new(storage.list(None).try_collect::<Vec<_>>().await.unwrap());
        let names = |group: &MediaGroup| -> Vec<String> {
            group.files.iter().map(|file| file.key.as_str()["uploads/".len()..].to_owned()).collect()
        };
        assert_eq!(plan.groups.iter().map(|group| group.id.as_str()).collect::<Vec<_>>(), [OTHER, ID]);
        assert_eq!(names(&plan.groups[0]), [format!("{OTHER}.png")]);
        assert_eq!(names(&plan.groups[1]), of_id);
        assert_eq!((plan.groups[1].bytes(), plan.groups[1].asset_type()), (12, AssetType::Video));
        assert_eq!(plan.groups[0].asset_type(), AssetType::Image);
        let left_out: Vec<_> =
            plan.left_out.iter().map(|(key, reason)| (key.file_name(), reason.clone())).collect();
        let svg = format!("{OTHER}.svg");
        assert_eq!(left_out, [(&*svg, LeftOut::OtherType), ("old.png", LeftOut::NoId)]);
    }
}
