use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpClient, HttpConnector};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientConfigKey, ClientOptions, GetOptions, GetResultPayload,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions,
    RetryConfig,
};

use super::names::{Key, MediaType};
use super::url::{Bucket, Location, StorageSettings};

/// The size of the pieces in which local files are read.
const PIECE: u64 = 64 * 1024;
/// A file or range up to this size is read at once.
const MAX_WHOLE: u64 = 256 * 1024;
/// The size of the parts in which large files are sent to a bucket; S3 takes no smaller ones than 5 MiB.
const PART: usize = 8 * 1024 * 1024;
/// The timeout for a connection to a bucket.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The time after which a bucket that sends nothing is given up, unless the option `read_timeout` is set.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// The number of repetitions of a request to a bucket that failed.
const RETRIES: usize = 2;
/// The time after which a failed request is not repeated.
const RETRY_TIMEOUT: Duration = Duration::from_secs(8);

/// The failure of an operation on files.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no such file.
    #[error("not found")]
    NotFound,
    /// The file is not the one that was expected: it was replaced.
    #[error("the file was replaced")]
    Changed,
    /// The storage does not answer, or fails.
    #[error("the storage is unavailable: {0}")]
    Unavailable(String),
    /// The storage has no room.
    #[error("the storage is full: {0}")]
    Full(String),
    /// The storage refuses these credentials, or this user.
    #[error("the storage denies access: {0}")]
    Denied(String),
}

impl From<io::Error> for StorageError {
    fn from(error: io::Error) -> Self {
        Self::from_io(&error, &error)
    }
}

impl StorageError {
    /// Classifies a failure of the file system; `whole` is the error that the text is taken from.
    fn from_io(error: &io::Error, whole: &dyn Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::NotFound | Kind::NotADirectory | Kind::IsADirectory | Kind::InvalidFilename => {
                Self::NotFound
            }
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Self::Full(describe(whole)),
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Self::Denied(describe(whole)),
            _ => Self::Unavailable(describe(whole)),
        }
    }
}

impl From<object_store::Error> for StorageError {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as Kind;
        match &error {
            // No file has a name that the storage does not accept.
            Kind::NotFound { .. } | Kind::InvalidPath { .. } => return Self::NotFound,
            Kind::Precondition { .. } | Kind::NotModified { .. } => return Self::Changed,
            Kind::PermissionDenied { .. } | Kind::Unauthenticated { .. } => {
                return Self::Denied(describe(&error));
            }
            _ => {}
        }
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(cause) = cause.downcast_ref::<io::Error>() {
                return Self::from_io(cause, &error);
            }
            source = cause.source();
        }
        Self::Unavailable(describe(&error))
    }
}

/// Returns the texts of an error and of its causes that add something.
fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The properties of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The name.
    pub key: Key,
    /// The number of bytes.
    pub size: u64,
    /// The time of the last change.
    pub modified: DateTime<Utc>,
    /// A text that changes with the bytes of the file. It consists of visible ASCII characters other than quotation marks.
    pub tag: String,
    /// The type, by the name or as the storage has it, if it is a known type of media.
    pub media_type: Option<MediaType>,
    /// The entity tag of the storage, for [`Storage::get`].
    version: Option<String>,
}

impl ObjectInfo {
    fn new(key: Key, meta: ObjectMeta, is_local: bool, attributes: &Attributes) -> Self {
        let stored_type = attributes.get(&Attribute::ContentType);
        let media_type = key.media_type().or_else(|| MediaType::by_name(stored_type?));
        let strong = meta.e_tag.as_deref().filter(|tag| !is_local && !tag.starts_with("W/"));
        let strong = strong.map(|tag| tag.trim_matches('"'));
        let tag = match strong
            .filter(|tag| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_graphic() && b != b'"'))
        {
            Some(tag) => tag.to_owned(),
            // The number of the inode is left out: it differs between copies of a folder.
            None => format!("{:x}-{:x}", meta.size, meta.last_modified.timestamp_micros()),
        };
        Self { key, size: meta.size, modified: meta.last_modified, tag, media_type, version: meta.e_tag }
    }
}

/// A file, or a part of it, that is being read.
pub struct Object {
    /// The properties of the file.
    pub info: ObjectInfo,
    /// The bytes that are read.
    pub range: Range<u64>,
    /// The bytes, in pieces.
    pub body: BoxStream<'static, Result<Bytes, StorageError>>,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("info", &self.info).field("range", &self.range).finish_non_exhaustive()
    }
}

/// The outcome of [`Storage::put_new`] and [`Storage::put_new_file`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The file was written.
    Created,
    /// A file with this name existed and was not changed.
    Exists,
}

/// The files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    /// The prefix of all names; empty, or with a slash at its end.
    prefix: String,
    location: Location,
}

impl Storage {
    /// Opens the place of the files. Nothing is created and no connection is made before the first operation.
    ///
    /// # Errors
    ///
    /// [`StorageError::Unavailable`] if the settings cannot be used.
    pub fn open(settings: &StorageSettings) -> Result<Self, StorageError> {
        let StorageSettings { location, options } = settings;
        let (store, prefix): (Arc<dyn ObjectStore>, _) = match location {
            Location::Folder(folder) => {
                let folder = std::path::absolute(folder)?;
                let prefix = Path::from_absolute_path(&folder).map_err(object_store::Error::from)?;
                (Arc::new(LocalFileSystem::new().with_fsync(true)), prefix.to_string())
            }
            Location::Memory => (Arc::new(InMemory::new()), String::new()),
            Location::S3(Bucket { name, prefix }) => {
                let builder = AmazonS3Builder::new()
                    .with_bucket_name(name)
                    .with_retry(retries())
                    .with_http_connector(Connector);
                let builder = configure(builder, options, AmazonS3Builder::with_config);
                (Arc::new(builder.build()?), prefix.clone())
            }
            Location::Google(Bucket { name, prefix }) => {
                let builder = GoogleCloudStorageBuilder::new()
                    .with_bucket_name(name)
                    .with_retry(retries())
                    .with_http_connector(Connector);
                let builder = configure(builder, options, GoogleCloudStorageBuilder::with_config);
                (Arc::new(builder.build()?), prefix.clone())
            }
            Location::Azure(Bucket { name, prefix }) => {
                let builder = MicrosoftAzureBuilder::new()
                    .with_container_name(name)
                    .with_retry(retries())
                    .with_http_connector(Connector);
                let builder = configure(builder, options, MicrosoftAzureBuilder::with_config);
                (Arc::new(builder.build()?), prefix.clone())
            }
        };
        let prefix = if prefix.is_empty() { prefix } else { prefix + "/" };
        Ok(Self { store, prefix, location: location.clone() })
    }

    /// Returns the place of the files.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Returns the properties of a file.
    ///
    /// # Errors
    ///
    /// [`StorageError::NotFound`], or the failure of the storage.
    pub async fn head(&self, key: &Key) -> Result<ObjectInfo, StorageError> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        let result = self.store.get_opts(&self.path(key)?, options).await?;
        Ok(ObjectInfo::new(key.clone(), result.meta, self.is_local(), &result.attributes))
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`StorageError::NotFound`], or the failure of the storage. Reading the body also fails if the file changes
    /// concurrently.
    pub async fn get(&self, key: &Key) -> Result<Object, StorageError> {
        self.get_with(key, GetOptions::default()).await
    }

    /// Reads a range, which must not be empty, of the file that [`Storage::head`] described.
    ///
    /// # Errors
    ///
    /// [`StorageError::Changed`] if the file was replaced, [`StorageError::NotFound`], or the failure of the storage.
    pub async fn get_range(&self, info: &ObjectInfo, range: Range<u64>) -> Result<Object, StorageError> {
        let options =
            GetOptions { if_match: info.version.clone(), range: Some(range.into()), ..GetOptions::default() };
        self.get_with(&info.key, options).await
    }

    async fn get_with(&self, key: &Key, options: GetOptions) -> Result<Object, StorageError> {
        let result = self.store.get_opts(&self.path(key)?, options).await?;
        let range = result.range.clone();
        let info = ObjectInfo::new(key.clone(), result.meta.clone(), self.is_local(), &result.attributes);
        let body = match result.payload {
            GetResultPayload::File(file, _) => read_file(file, range.clone()),
            GetResultPayload::Stream(stream) => stream.map_err(StorageError::from).boxed(),
        };
        Ok(Object { info, range, body })
    }

    /// Writes a file atomically, and replaces the one that had its name.
    ///
    /// # Errors
    ///
    /// The failure of the storage.
    pub async fn put(&self, key: &Key, bytes: Bytes) -> Result<(), StorageError> {
        let options = PutOptions { attributes: self.attributes(key), ..PutOptions::default() };
        self.store.put_opts(&self.path(key)?, bytes.into(), options).await?;
        Ok(())
    }

    /// Writes a file atomically, unless one with its name exists. In a folder, of two processes that write it at the same time
    /// the later one wins.
    ///
    /// # Errors
    ///
    /// The failure of the storage.
    pub async fn put_new(&self, key: &Key, bytes: Bytes) -> Result<Put, StorageError> {
        // In a folder the condition is a hard link, which not every file system has.
        if self.is_local() {
            if self.exists(key).await? {
                return Ok(Put::Exists);
            }
            return self.put(key, bytes).await.map(|()| Put::Created);
        }
        let options =
            PutOptions { mode: PutMode::Create, attributes: self.attributes(key), ..PutOptions::default() };
        match self.store.put_opts(&self.path(key)?, bytes.into(), options).await {
            Ok(_) => Ok(Put::Created),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Put::Exists)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the bytes of a local file from its start, atomically, unless a file with the name exists. Of two
    /// processes that write a large file at the same time, the later one wins: buckets have no condition for parts.
    ///
    /// # Errors
    ///
    /// The failure of the storage, or of reading.
    pub async fn put_new_file(&self, key: &Key, file: File) -> Result<Put, StorageError> {
        let size = file.metadata()?.len();
        if size < PART as u64 {
            let pieces: Vec<Bytes> = read_file(file, 0..size).try_collect().await?;
            return self.put_new(key, pieces.concat().into()).await;
        }
        if self.exists(key).await? {
            return Ok(Put::Exists);
        }
        self.put_file(key, file).await.map(|()| Put::Created)
    }

    async fn exists(&self, key: &Key) -> Result<bool, StorageError> {
        match self.head(key).await {
            Ok(_) => Ok(true),
            Err(StorageError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes the bytes of a local file from its start, atomically, and replaces the file that had the name.
    ///
    /// # Errors
    ///
    /// The failure of the storage, or of reading.
    pub async fn put_file(&self, key: &Key, file: File) -> Result<(), StorageError> {
        let size = file.metadata()?.len();
        self.put_stream(key, read_file(file, 0..size)).await
    }

    /// Writes the bytes of a stream, atomically, and replaces the file that had the name. Holds about two parts of 8 MiB in
    /// memory.
    ///
    /// # Errors
    ///
    /// The failure of the storage, or of the stream.
    pub async fn put_stream(
        &self,
        key: &Key,
        mut bytes: BoxStream<'static, Result<Bytes, StorageError>>,
    ) -> Result<(), StorageError> {
        let Some(first) = next_part(&mut bytes).await? else { return self.put(key, Bytes::new()).await };
        if first.len() < PART {
            return self.put(key, first).await;
        }
        let options =
            PutMultipartOptions { attributes: self.attributes(key), ..PutMultipartOptions::default() };
        let mut upload = self.store.put_multipart_opts(&self.path(key)?, options).await?;
        match send_parts(&mut *upload, first, bytes).await {
            Ok(()) => Ok(()),
            Err(error) => {
                // The parts are removed, or expire by the rules of the bucket.
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }

    /// Deletes a file. Succeeds if it does not exist.
    ///
    /// # Errors
    ///
    /// The failure of the storage.
    pub async fn delete(&self, key: &Key) -> Result<(), StorageError> {
        match self.store.delete(&self.path(key)?).await.map_err(StorageError::from) {
            Ok(()) | Err(StorageError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Copies a file within the storage, and replaces the one that had the new name.
    ///
    /// # Errors
    ///
    /// [`StorageError::NotFound`], or the failure of the storage.
    pub async fn copy(&self, from: &Key, to: &Key) -> Result<(), StorageError> {
        Ok(self.store.copy(&self.path(from)?, &self.path(to)?).await?)
    }

    /// Lists all files whose names come after `after` in the order of their bytes. A bucket lists them in this order, a folder
    /// in any.
    pub fn list(&self, after: Option<&Key>) -> BoxStream<'static, Result<ObjectInfo, StorageError>> {
        let all = Path::from(format!("{}uploads", self.prefix));
        let listed = match after.map(|key| self.path(key)) {
            None => self.store.list(Some(&all)),
            Some(Ok(after)) => self.store.list_with_offset(Some(&all), &after),
            Some(Err(error)) => return stream::once(async { Err(error) }).boxed(),
        };
        let (prefix, is_local) = (self.prefix.clone(), self.is_local());
        let info = move |meta: ObjectMeta| {
            // Files with other names were not uploaded and are not delivered.
            let key = Key::parse(meta.location.as_ref().strip_prefix(&prefix)?)?;
            Some(ObjectInfo::new(key, meta, is_local, &Attributes::new()))
        };
        listed
            .map_err(StorageError::from)
            .try_filter_map(move |meta| std::future::ready(Ok(info(meta))))
            .boxed()
    }

    /// Checks that the storage answers.
    ///
    /// # Errors
    ///
    /// The failure of the storage.
    pub async fn probe(&self) -> Result<(), StorageError> {
        self.exists(&Key::in_uploads("probe").expect("it is a name")).await.map(|_| ())
    }

    fn is_local(&self) -> bool {
        matches!(self.location, Location::Folder(_))
    }

    fn path(&self, key: &Key) -> Result<Path, StorageError> {
        // The names of files that are being written to a folder.
        let is_reserved = |name: &str| {
            name.rsplit_once('#')
                .is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|b| b.is_ascii_digit()))
        };
        if self.is_local() && is_reserved(key.file_name()) {
            return Err(StorageError::NotFound);
        }
        Path::parse(format!("{}{key}", self.prefix)).map_err(|_| StorageError::NotFound)
    }

    /// Returns the attributes with which a bucket can serve the file itself.
    fn attributes(&self, key: &Key) -> Attributes {
        match key.media_type() {
            Some(media_type) if !self.is_local() => {
                Attributes::from_iter([(Attribute::ContentType, media_type.name)])
            }
            _ => Attributes::new(),
        }
    }
}

async fn send_parts(
    upload: &mut dyn MultipartUpload,
    first: Bytes,
    mut bytes: BoxStream<'static, Result<Bytes, StorageError>>,
) -> Result<(), StorageError> {
    let mut next = Some(first);
    while let Some(part) = next {
        upload.put_part(part.into()).await?;
        next = next_part(&mut bytes).await?;
    }
    upload.complete().await?;
    Ok(())
}

/// Collects the next part of a file: of [`PART`] bytes, or a little more, unless it is the last one. Returns `None` at the end.
async fn next_part(
    bytes: &mut BoxStream<'static, Result<Bytes, StorageError>>,
) -> Result<Option<Bytes>, StorageError> {
    let mut part = Vec::new();
    while part.len() < PART
        && let Some(piece) = bytes.try_next().await?
    {
        part.extend_from_slice(&piece);
    }
    Ok((!part.is_empty()).then(|| part.into()))
}

/// Reads a range of a file in pieces; a small range is one piece.
fn read_file(file: File, range: Range<u64>) -> BoxStream<'static, Result<Bytes, StorageError>> {
    if range.is_empty() {
        return stream::empty().boxed();
    }
    let piece = if range.end - range.start <= MAX_WHOLE { MAX_WHOLE } else { PIECE };
    stream::try_unfold((file, range), move |(file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let end = range.end.min(range.start + piece);
        let (bytes, file) = read_piece(file, range.start..end).await?;
        Ok(Some((bytes, (file, end..range.end))))
    })
    .boxed()
}

/// Reads exactly a range of a file.
async fn read_piece(mut file: File, range: Range<u64>) -> Result<(Bytes, File), StorageError> {
    let read = move || {
        let length = range.end - range.start;
        let mut bytes = Vec::with_capacity(usize::try_from(length).expect("pieces are small"));
        file.seek(SeekFrom::Start(range.start))?;
        (&mut file).take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
        }
        Ok((Bytes::from(bytes), file))
    };
    Ok(tokio::task::spawn_blocking(read).await.expect("reading does not panic")?)
}

/// Sets the options that a kind of storage knows.
fn configure<B, K: std::str::FromStr>(
    builder: B,
    options: &[(String, String)],
    with_config: impl Fn(B, K, String) -> B,
) -> B {
    options.iter().fold(builder, |builder, (name, value)| match name.parse() {
        Ok(known) => with_config(builder, known, value.clone()),
        Err(_) => builder,
    })
}

fn retries() -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT }
}

/// Makes clients with our TLS configuration, and with timeouts that bound waiting and not the whole transfer.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let given = options.get_config_value(&ClientConfigKey::ReadTimeout);
        let seconds = given.and_then(|text| text.strip_suffix('s')?.parse().ok());
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(crate::tls::client_config())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(seconds.map_or(READ_TIMEOUT, Duration::from_secs))
            .build()
            .expect("a client with a TLS configuration loads nothing else");
        Ok(HttpClient::new(client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &std::path::Path) -> Storage {
        let location = Location::Folder(path.join("media"));
        Storage::open(&StorageSettings { location, options: Vec::new() }).unwrap()
    }

    fn key(path: &str) -> Key {
        Key::in_uploads(path).unwrap()
    }

    async fn read(object: Object) -> Vec<u8> {
        object.body.try_collect::<Vec<Bytes>>().await.unwrap().concat()
    }

    async fn names(storage: &Storage, after: Option<&Key>) -> Vec<String> {
        let mut names: Vec<_> =
            storage.list(after).map_ok(|info| info.key.to_string()).try_collect().await.unwrap();
        names.sort();
        names
    }

    #[tokio::test]
    async fn files_are_written_read_listed_and_deleted() {
        let temporary = tempfile::tempdir().unwrap();
        let memory = StorageSettings { location: Location::Memory, options: Vec::new() };
        for storage in [folder(temporary.path()), Storage::open(&memory).unwrap()] {
            storage.probe().await.unwrap();
            assert_eq!(names(&storage, None).await, [""; 0]);
            let (a, b) = (key("a.webp"), key("b c/ü%.bin"));
            assert!(matches!(storage.get(&a).await, Err(StorageError::NotFound)));
            storage.put(&a, Bytes::from_static(b"0123456789")).await.unwrap();
            assert_eq!(storage.put_new(&a, Bytes::from_static(b"x")).await.unwrap(), Put::Exists);
            assert_eq!(storage.put_new(&b, Bytes::new()).await.unwrap(), Put::Created);
            let info = storage.head(&a).await.unwrap();
            assert_eq!((info.size, info.media_type.unwrap().name), (10, "image/webp"));
            let whole = storage.get(&a).await.unwrap();
            assert_eq!(whole.info, info);
            assert_eq!(read(whole).await, b"0123456789");
            assert_eq!(read(storage.get_range(&info, 3..7).await.unwrap()).await, b"3456");
            assert_eq!(read(storage.get(&b).await.unwrap()).await, b"");
            assert_eq!(names(&storage, None).await, ["uploads/a.webp", "uploads/b c/ü%.bin"]);
            assert_eq!(names(&storage, Some(&a)).await, ["uploads/b c/ü%.bin"]);
            storage.copy(&a, &b).await.unwrap();
            assert_eq!(read(storage.get(&b).await.unwrap()).await, b"0123456789");
            storage.put(&a, Bytes::from_static(b"other")).await.unwrap();
            assert!(matches!(storage.get_range(&info, 0..1).await, Err(StorageError::Changed)));
            assert_ne!(storage.head(&a).await.unwrap().tag, info.tag);
            storage.delete(&a).await.unwrap();
            storage.delete(&a).await.unwrap();
            assert_eq!(names(&storage, None).await, ["uploads/b c/ü%.bin"]);
        }
    }

    #[tokio::test]
    async fn large_files_are_written_in_parts_and_read_in_pieces() {
        use std::io::Write as _;
        let temporary = tempfile::tempdir().unwrap();
        let storage = folder(temporary.path());
        let bytes: Vec<u8> = (0..20_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 4]).collect();
        let mut source = tempfile::tempfile().unwrap();
        source.write_all(&bytes).unwrap();
        let other = source.try_clone().unwrap();
        assert_eq!(storage.put_new_file(&key("a.mp4"), source).await.unwrap(), Put::Created);
        other.set_len(9_000_000).unwrap();
        assert_eq!(
            storage.put_new_file(&key("a.mp4"), other.try_clone().unwrap()).await.unwrap(),
            Put::Exists
        );
        other.set_len(9).unwrap();
        assert_eq!(
            storage.put_new_file(&key("a.mp4"), other.try_clone().unwrap()).await.unwrap(),
            Put::Exists
        );
        storage.put_file(&key("b.mp4"), other).await.unwrap();
        assert_eq!(read(storage.get(&key("b.mp4")).await.unwrap()).await, bytes[..9]);
        let object = storage.get(&key("a.mp4")).await.unwrap();
        let pieces: Vec<Bytes> = object.body.try_collect().await.unwrap();
        assert!(pieces.iter().all(|piece| piece.len() as u64 <= PIECE));
        assert!(pieces.concat() == bytes, "the bytes differ");
    }

    #[tokio::test]
    async fn failures_of_the_file_system_are_classified() {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(temporary.path().join("media/uploads/folder")).unwrap();
        std::fs::write(temporary.path().join("media/uploads/file"), "x").unwrap();
        let storage = folder(temporary.path());
        // A folder, a file that is taken for a folder, and a name that the library keeps for itself.
        for missing in ["folder", "file/below", "a#1"] {
            let outcome = storage.get(&key(missing)).await;
            assert!(matches!(outcome, Err(StorageError::NotFound)), "{missing}: {outcome:?}");
        }
        let full = object_store::Error::Generic {
            store: "test",
            source: Box::new(io::Error::from(io::ErrorKind::StorageFull)),
        };
        assert!(matches!(StorageError::from(full), StorageError::Full(_)));
        let denied = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        assert!(matches!(StorageError::from(denied), StorageError::Denied(_)));
    }

    #[tokio::test]
    async fn a_file_that_becomes_shorter_ends_the_body_with_an_error() {
        let temporary = tempfile::tempdir().unwrap();
        let storage = folder(temporary.path());
        storage.put(&key("a.bin"), vec![0; 300_000].into()).await.unwrap();
        let object = storage.get(&key("a.bin")).await.unwrap();
        let path = temporary.path().join("media/uploads/a.bin");
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(100_000).unwrap();
        let outcome = object.body.try_collect::<Vec<Bytes>>().await;
        assert!(matches!(outcome, Err(StorageError::Unavailable(_))), "{outcome:?}");
    }
}
