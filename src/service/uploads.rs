use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};

use super::media_facts::integer;
use super::{Error, VideoJobs};
use crate::clock::Clock;
use crate::domain::{
    AssetType, Authorship, Caller, ImageFilter, MAX_MEDIA_NAMES, Media, MediaDraft, MediaVariant,
    VideoJobDraft, VideoMetadata,
};
use crate::media::image::{ImageError, ImagePool, Picture};
use crate::media::video::probe;
use crate::media::{
    FileFormat, Key, MediaId, Put, ReceivedFile, Storage, StorageError, VARIANTS, hexadecimal, sha256,
};
use crate::repository::{self, New, Repository, Versioned};

/// The use cases of uploads. Cheap to clone.
#[derive(Clone)]
pub struct Uploads {
    media: Repository<Media>,
    storage: Storage,
    images: ImagePool,
    video_jobs: VideoJobs,
    max_video_bytes: u64,
    authorship: Authorship,
    clock: Arc<dyn Clock>,
}

/// The objects of one file of a request, which are removed if another one fails.
struct StoredFile {
    content_hash: String,
    filter: ImageFilter,
    id: MediaId,
    keys: Vec<Key>,
    document: Option<Versioned<Media>>,
}

/// A file whose objects are stored. It enters the library when those of all files of the request are.
enum Staged {
    /// The library has it.
    Known { known: Box<Versioned<Media>>, file: ReceivedFile },
    /// It is new, or its objects were lost.
    Written(Box<Written>),
}

/// A file whose objects were written.
struct Written {
    /// The item that lost its objects.
    known: Option<Versioned<Media>>,
    name: String,
    draft: MediaDraft,
    /// The outcome for each variant.
    puts: Vec<Put>,
    /// Its position among the stored files of the request.
    position: usize,
    now: DateTime<Utc>,
}

/// A file that is ready to be stored.
struct Prepared {
    asset_type: AssetType,
    width: i64,
    height: i64,
    duration_ms: Option<i64>,
    thumbhash: Option<String>,
    variants: Vec<MediaVariant>,
    objects: Vec<(Key, Source)>,
}

/// The bytes of an object.
enum Source {
    Bytes(Bytes),
    File(std::fs::File),
}

impl Uploads {
    /// Stores files in `storage`, and what is known of them in `media`. Videos get jobs.
    pub fn new(
        media: Repository<Media>,
        storage: Storage,
        video_jobs: VideoJobs,
        max_video_bytes: u64,
        authorship: Authorship,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { media, storage, images: ImagePool::default(), video_jobs, max_video_bytes, authorship, clock }
    }

    /// Returns the maximum size of a video.
    pub fn max_video_bytes(&self) -> u64 {
        self.max_video_bytes
    }

    /// Stores all of the files, or none. A file whose bytes are stored already is not stored again.
    ///
    /// # Errors
    /// [`Error::Picture`] or [`Error::Video`] for a file that is damaged or too large, [`Error::Storage`] if one cannot be
    /// stored.
    pub async fn store(
        &self,
        caller: &Caller,
        files: Vec<ReceivedFile>,
        filter: ImageFilter,
    ) -> Result<Vec<Media>, Error> {
        if !caller.may_create(self.authorship) {
            return Err(Error::MayNotCreate);
        }
        let mut done = Vec::new();
        let stored = match self.store_all(caller, files, filter, &mut done).await {
            Ok(stored) => stored,
            Err(error) => {
                for file in &done {
                    self.remove(file).await;
                }
                return Err(error);
            }
        };
        for media in &stored {
            self.enqueue_video(media).await;
        }
        Ok(stored)
    }

    /// Creates the job of a stored video, unless it has one. The upload is done even if that fails.
    async fn enqueue_video(&self, media: &Media) {
        let MediaDraft { asset_type, content_type, width, height, duration_ms, bytes, variants, .. } =
            &media.draft;
        let (AssetType::Video, Some(original)) = (asset_type, variants.first()) else { return };
        #[expect(clippy::cast_precision_loss, reason = "seconds are wanted")]
        let metadata = VideoMetadata {
            duration_seconds: duration_ms.unwrap_or(0) as f64 / 1000.0,
            width: *width,
            height: *height,
            file_size: *bytes,
            content_type: content_type.clone(),
            upload_time: media.meta.created,
        };
        let draft = VideoJobDraft { original_file: original.path.clone(), metadata };
        if let Err(error) = self.video_jobs.enqueue(draft).await {
            tracing::warn!(%error, file = original.path, "failed to create the job of a video");
        }
    }

    async fn store_all(
        &self,
        caller: &Caller,
        files: Vec<ReceivedFile>,
        filter: ImageFilter,
        done: &mut Vec<StoredFile>,
    ) -> Result<Vec<Media>, Error> {
        let (mut staged, mut stored) = (Vec::new(), Vec::new());
        for file in files {
            staged.push(self.stage(file, filter, done).await?);
        }
        // Only now, because others may use what is in the library.
        for file in staged {
            stored.push(self.enter(caller, file, filter, done).await?);
        }
        Ok(stored)
    }

    /// Writes the objects of a file, unless they exist.
    async fn stage(
        &self,
        file: ReceivedFile,
        filter: ImageFilter,
        done: &mut Vec<StoredFile>,
    ) -> Result<Staged, Error> {
        let filter = if file.format.is_video() { ImageFilter::None } else { filter };
        let content_hash = hexadecimal(&file.sha256);
        let known = match self.media.find_by_hash(&content_hash, filter).await? {
            Some(known) => {
                let item = &known.revised.item;
                if self.has_files(item).await? || self.put_uploaded_bytes(item, &file).await? {
                    return Ok(Staged::Known { known: Box::new(known), file });
                }
                Some(known)
            }
            None => None,
        };
        let known_id = known.as_ref().and_then(|known| MediaId::parse(&known.revised.item.draft.asset_id));
        let now = self.clock.now();
        let is_new = known_id.is_none();
        let id = known_id.unwrap_or_else(|| new_id(now, &file.sha256, filter));
        let name = file.name.clone();
        let (content_type, bytes) = (file.format.mime().to_owned(), integer(file.size));
        let prepared = self.prepare(file, &id, filter).await?;
        let keys = prepared.objects.iter().map(|(key, _)| key.clone()).collect();
        // Listed before the first one is written: what was written is removed even if a later one fails.
        let position = done.len();
        done.push(StoredFile {
            content_hash: content_hash.clone(),
            filter,
            id: id.clone(),
            keys: if is_new { keys } else { Vec::new() },
            document: None,
        });
        // All writes end before one that failed is reported: one that goes on would write a file after it was removed.
        let writes = prepared.objects.into_iter().map(|(key, source)| self.put(key, source, is_new));
        let puts: Vec<Put> = join_all(writes).await.into_iter().collect::<Result<_, Error>>()?;
        let draft = MediaDraft {
            asset_id: id.as_str().to_owned(),
            content_hash,
            filter,
            asset_type: prepared.asset_type,
            content_type,
            names: Some(name.clone()).filter(|name| !name.is_empty()).into_iter().collect(),
            width: prepared.width,
            height: prepared.height,
            duration_ms: prepared.duration_ms,
            bytes,
            variants: prepared.variants,
            alt_text: None,
            thumbhash: prepared.thumbhash,
        };
        Ok(Staged::Written(Box::new(Written { known, name, draft, puts, position, now })))
    }

    /// Enters a file into the library, or takes the item that has its bytes.
    async fn enter(
        &self,
        caller: &Caller,
        mut staged: Staged,
        filter: ImageFilter,
        done: &mut Vec<StoredFile>,
    ) -> Result<Media, Error> {
        loop {
            staged = match staged {
                Staged::Known { known, file } => match self.reuse(&known, &file.name).await? {
                    Some(media) => return Ok(media),
                    // It was purged since it was found.
                    None => self.stage(file, filter, done).await?,
                },
                Staged::Written(written) => return self.insert(caller, *written, done).await,
            };
        }
    }

    async fn insert(
        &self,
        caller: &Caller,
        written: Written,
        done: &mut [StoredFile],
    ) -> Result<Media, Error> {
        let Written { known, name, draft, puts, position, now } = written;
        // Files that were lost are there again, under the names that content has. Another encoder may write other bytes.
        if let Some(known) = known
            && let Some(media) = self.reuse(&known, &name).await?
        {
            let variants = draft.variants.into_iter().zip(puts);
            let created =
                variants.filter(|(_, put)| *put == Put::Created).map(|(variant, _)| variant).collect();
            self.media.replace_files(&draft.asset_id, created).await?;
            return Ok(media);
        }
        let new = New { draft, user_id: caller.id, section_id: None, key: None };
        match self.media.insert(&new, now).await {
            Ok(inserted) => {
                let media = inserted.revised.item.clone();
                done[position].document = Some(inserted);
                Ok(media)
            }
            Err(error @ repository::Error::Duplicate { .. }) => {
                // Another request stored the same bytes meanwhile, or another file of this one has them.
                self.remove(&done[position]).await;
                let known = self.media.find_by_hash(&new.draft.content_hash, new.draft.filter).await?;
                let reused = match &known {
                    Some(known) => self.reuse(known, &name).await?,
                    None => None,
                };
                reused.ok_or_else(|| error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns a file that is stored already, out of the trash if it was there, and remembers its name; `None` if it was purged
    /// since it was read. Its version changes, so that the request that stored it does not remove it any more.
    async fn reuse(&self, media: &Versioned<Media>, name: &str) -> Result<Option<Media>, Error> {
        let mut item = media.revised.item.clone();
        let names = &mut item.draft.names;
        let is_new =
            !name.is_empty() && names.len() < MAX_MEDIA_NAMES && !names.iter().any(|known| known == name);
        if is_new {
            names.push(name.to_owned());
        }
        // A name that another upload adds at the same time may be lost, which is no failure.
        let reused = self.media.reuse(media, is_new.then_some(&**names)).await?;
        Ok(reused.then_some(item))
    }

    /// Writes the file of an item that has the uploaded bytes as they were, under the name that content has. Returns false if none has.
    async fn put_uploaded_bytes(&self, media: &Media, file: &ReceivedFile) -> Result<bool, Error> {
        let first = media.draft.variants.first().filter(|_| media.draft.keeps_uploaded_bytes());
        let Some(key) = first.and_then(|first| Key::parse(&first.path)) else { return Ok(false) };
        let bytes = file.file.try_clone().map_err(StorageError::from)?;
        self.storage.put_file(&key, bytes).await?;
        Ok(true)
    }

    /// Reports whether the files exist that an upload of the same bytes would write.
    async fn has_files(&self, media: &Media) -> Result<bool, Error> {
        let variants = &media.draft.variants;
        let written = if media.draft.keeps_uploaded_bytes() { 1 } else { variants.len() };
        for variant in variants.iter().take(written) {
            let Some(key) = Key::parse(&variant.path) else { return Ok(false) };
            match self.storage.head(&key).await {
                Ok(_) => {}
                Err(StorageError::NotFound) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Converts a picture, or reads the headers of a video.
    async fn prepare(
        &self,
        file: ReceivedFile,
        id: &MediaId,
        filter: ImageFilter,
    ) -> Result<Prepared, Error> {
        if let FileFormat::Video(kind) = file.format {
            return prepare_video(file, &id.video(kind.extension())).await;
        }
        match self.images.convert(file.format, filter, || file.read()).await {
            Ok(picture) => Ok(prepare_picture(picture, id)),
            Err(ImageError::Unread(reason)) => Err(StorageError::Unavailable(reason).into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes an object. A new name replaces what has it, which an upload that was cut off may have left.
    async fn put(&self, key: Key, source: Source, is_new: bool) -> Result<Put, Error> {
        match source {
            Source::Bytes(bytes) if !is_new => return Ok(self.storage.put_new(&key, bytes).await?),
            Source::Bytes(bytes) => self.storage.put(&key, bytes).await?,
            Source::File(file) => self.storage.put_file(&key, file).await?,
        }
        Ok(Put::Created)
    }

    /// Removes what was stored. What cannot be removed is logged, and left to `field-notes media gc --older-than 30d`.
    async fn remove(&self, StoredFile { content_hash, filter, id, keys, document }: &StoredFile) {
        let removed = async {
            if let Some(document) = document {
                self.media.remove(document).await?;
            }
            // Another request may have stored the same bytes under the same names, or use these.
            let other = self.media.find_by_hash(content_hash, *filter).await?;
            if other.is_some_and(|other| other.revised.item.draft.asset_id == id.as_str()) {
                return Ok(());
            }
            // All are tried: a file that cannot be deleted keeps none of the others.
            let deleted = join_all(keys.iter().map(|key| self.storage.delete(key))).await;
            deleted.into_iter().collect::<Result<(), StorageError>>()?;
            Ok::<(), Error>(())
        };
        if let Err(error) = removed.await {
            tracing::warn!(%error, id = id.as_str(), "failed to remove the files of a failed upload");
        }
    }
}

fn prepare_picture(picture: Picture, id: &MediaId) -> Prepared {
    let Picture { variants, thumbhash, duration_ms } = picture;
    let (width, height) = variants.first().map_or((0, 0), |largest| (largest.width, largest.height));
    let (mut described, mut objects) = (Vec::new(), Vec::new());
    for variant in variants {
        let name = VARIANTS[variant.index];
        let key = id.image(name);
        described.push(MediaVariant {
            variant: name.folder.to_owned(),
            path: key.as_str().to_owned(),
            width: variant.width.into(),
            height: variant.height.into(),
            size_bytes: integer(variant.bytes.len() as u64),
            sha256: Some(sha256(&variant.bytes)),
        });
        objects.push((key, Source::Bytes(variant.bytes.into())));
    }
    Prepared {
        asset_type: AssetType::Image,
        width: width.into(),
        height: height.into(),
        duration_ms: duration_ms.map(integer),
        thumbhash: Some(STANDARD.encode(thumbhash)),
        variants: described,
        objects,
    }
}

/// Reads the headers of a video, which is stored as it is.
async fn prepare_video(received: ReceivedFile, key: &Key) -> Result<Prepared, Error> {
    let (size, hash) = (received.size, hexadecimal(&received.sha256));
    let probed = tokio::task::spawn_blocking(move || {
        let mut file = received.file;
        let info = probe(&mut file)?;
        Ok((info, file))
    });
    let (info, file) = probed.await.expect("the parser does not panic").map_err(Error::Video)?;
    let (width, height) = (i64::from(info.width), i64::from(info.height));
    let variant = MediaVariant {
        variant: "originals".to_owned(),
        path: key.as_str().to_owned(),
        width,
        height,
        size_bytes: integer(size),
        sha256: Some(hash),
    };
    Ok(Prepared {
        asset_type: AssetType::Video,
        width,
        height,
        duration_ms: info.duration_ms.map(integer),
        thumbhash: None,
        variants: vec![variant],
        objects: vec![(key.clone(), Source::File(file))],
    })
}

/// Returns the id of new files. Forms of one picture with different filters have different ids, even if they are uploaded within a
/// second.
fn new_id(now: DateTime<Utc>, sha256: &[u8; 32], filter: ImageFilter) -> MediaId {
    if filter == ImageFilter::None {
        return MediaId::new(now, sha256);
    }
    let mut hash = Sha256::new();
    hash.update(sha256);
    hash.update(filter.as_str());
    MediaId::new(now, &hash.finalize().into())
}
