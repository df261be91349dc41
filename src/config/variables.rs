/// A variable that the program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub name: &'static str,
    /// The value that applies if it is not set; empty if there is none.
    pub default: &'static str,
    /// The line of help, as in `.env.example`.
    pub about: &'static str,
}

impl Variable {
    /// Returns the variable with another default, where the default depends on the environment.
    pub(super) const fn or(self, default: &'static str) -> Self {
        Self { default, ..self }
    }
}

macro_rules! variables {
    ($(#[doc = $about:literal] $name:ident = $default:literal;)*) => {
        $(pub(super) const $name: Variable =
            Variable { name: stringify!($name), default: $default, about: $about.trim_ascii() };)*

        /// Every variable that the program reads, in the order of `.env.example`.
        pub const VARIABLES: &[Variable] = &[$($name),*];
    };
}

variables! {
    /// E-mail address of the administrator; required.
    ADMIN_EMAIL = "";
    /// E-mail addresses of authors, separated by commas.
    AUTHOR_EMAILS = "";
    /// Allow everyone who is signed in to create content, as the original did.
    OPEN_AUTHORSHIP = "false";
    /// New comments: open, moderated (an administrator approves each) or closed.
    COMMENTS = "open";
    /// Accept the tokens dev-mock-admin, dev-mock-author and dev-mock-commenter: true, or insecure to do so on a HOST that others reach; refused in production.
    ALLOW_DEV_AUTH = "false";
    /// Client ids of the applications whose Google tokens are accepted, separated by commas; required in production.
    GOOGLE_CLIENT_ID = "";
    /// Base URL of the Google API that verifies tokens.
    GOOGLE_API_BASE = "https://www.googleapis.com";
    /// Additional origins that may read responses, beside the frontend's, separated by commas.
    CORS_EXTRA_ORIGINS = "";
    /// Addresses or networks of proxies whose X-Forwarded-For is trusted, separated by commas.
    TRUSTED_PROXIES = "";
    /// Rate limits per client, answered with 429: on, or off if a proxy in front limits.
    RATE_LIMITS = "on";
    /// development, test, staging or production.
    ENVIRONMENT = "development";
    /// Address to listen on; 0.0.0.0 is the default in staging and production.
    HOST = "127.0.0.1";
    /// Port to listen on; 0 lets the system choose.
    PORT = "5001";
    /// Folder of the embedded store, used without MONGO_URI; required in production.
    DATA_DIR = "./data";
    /// Serve the embedded store without writing: for a file that this user may not write.
    READ_ONLY = "false";
    /// Check of the embedded store before it is served: off, quick (structure) or full (every document and index).
    STORE_CHECK = "off";
    /// Connection string of MongoDB; without it the embedded store is used.
    MONGO_URI = "";
    /// Database, unless the path of MONGO_URI names one; both must agree.
    MONGO_DB_NAME = "ghostmonk";
    /// User of an Atlas cluster; with the next three an alternative to MONGO_URI.
    MONGO_USER = "";
    /// Password of MONGO_USER, not percent-encoded.
    MONGO_PASSWORD = "";
    /// First part of the cluster's host name.
    MONGO_CLUSTER = "";
    /// Rest of the cluster's host name.
    MONGO_HOST = "";
    /// Name of this client in the logs of MongoDB.
    MONGO_APP_NAME = "field-notes";
    /// Place of pictures and videos: file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix; the folder media of DATA_DIR by default.
    MEDIA_URL = "";
    /// Folder of pictures and videos, as in the original, if MEDIA_URL is not set.
    LOCAL_STORAGE_PATH = "";
    /// Bucket of Google Cloud Storage, as in the original, if neither of the two is set.
    GCS_BUCKET_NAME = "";
    /// Key of the service account for gs:// in Base64; without one of these three, the credentials of the machine.
    GOOGLE_APPLICATION_CREDENTIALS_JSON_B64 = "";
    /// The key as JSON.
    GOOGLE_APPLICATION_CREDENTIALS_JSON = "";
    /// The file that holds the key.
    GOOGLE_APPLICATION_CREDENTIALS = "";
    /// Address of an emulator of Google Cloud Storage, which is used without credentials.
    STORAGE_EMULATOR_HOST = "";
    /// Access key for s3://; without one, the credentials of the machine.
    AWS_ACCESS_KEY_ID = "";
    /// Secret of the access key.
    AWS_SECRET_ACCESS_KEY = "";
    /// Token of temporary credentials.
    AWS_SESSION_TOKEN = "";
    /// Region of the bucket; us-east-1 by default.
    AWS_REGION = "";
    /// Address of another service with the interface of S3.
    AWS_ENDPOINT_URL = "";
    /// Seconds for which a bucket may send nothing before a request to it fails.
    MEDIA_TIMEOUT_SECONDS = "15";
    /// Account for az://.
    AZURE_STORAGE_ACCOUNT_NAME = "";
    /// Key of the account.
    AZURE_STORAGE_ACCOUNT_KEY = "";
    /// Makes posters, thumbnails and smaller forms of videos where ffmpeg is installed: on, or off if another program does.
    VIDEO_PROCESSING = "on";
    /// The program ffmpeg: a path, or a name that is looked up in PATH.
    FFMPEG = "ffmpeg";
    /// Seconds that ffmpeg may take for the smaller form of a video.
    VIDEO_JOB_SECONDS = "1800";
    /// Token with which another program, such as the original's cloud function, may change video jobs; at least 16 characters.
    VIDEO_WORKER_TOKEN = "";
    /// apply, verify (refuse to serve while migrations are pending), wait (for another process) or off.
    MIGRATE_ON_START = "apply";
    /// Seconds to wait for another process that migrates.
    MIGRATE_WAIT_SECONDS = "300";
    /// Seconds until the migration lock of a dead process expires.
    MIGRATE_LEASE_SECONDS = "15";
    /// Import names from the original's ledger that this program does not know.
    MIGRATE_ALLOW_UNKNOWN = "false";
    /// Contexts whose migrations also run, separated by commas.
    MIGRATE_CONTEXTS = "";
    /// Folder of backups.
    BACKUP_DIR = "./backups";
    /// Migrations that take a backup first: never, risky (those that cannot be rolled back exactly) or always.
    MIGRATE_BACKUP = "risky";
    /// Number of those backups to keep.
    BACKUP_KEEP = "10";
    /// Limit of such a backup in MiB of documents, above which the migration does not run; 0 for no limit.
    BACKUP_MAX_MIB = "4096";
    /// exit after a failed start, or stay: alive, not ready, and reporting the reason.
    ON_START_FAILURE = "exit";
    /// text or json; json is the default in production.
    LOG_FORMAT = "text";
    /// Log filter, such as warn,field_notes=debug.
    RUST_LOG = "info";
    /// Log a line for each request: on or off.
    LOG_REQUESTS = "on";
    /// Time limit of a request in seconds.
    REQUEST_TIMEOUT_SECONDS = "30";
    /// Size limit of the response cache in bytes; 0 disables it.
    CACHE_MAX_BYTES = "134217728";
    /// Limit of the bytes of responses that clients are receiving, beside CACHE_MAX_BYTES; above it, uncached requests get 503.
    RESPONSES_MAX_BYTES = "134217728";
    /// Seconds after which cached responses expire where other writers cannot be seen: on a standalone MongoDB server.
    CACHE_MAX_AGE = "30";
    /// Seconds for which shared caches may serve a public response without revalidation.
    CACHE_S_MAXAGE = "0";
    /// Seconds for which caches may serve a stale public response while they revalidate it.
    CACHE_STALE_WHILE_REVALIDATE = "0";
    /// Number of threads that serve requests; by default one for each processor.
    TOKIO_WORKER_THREADS = "";
    /// Size limit of an uploaded video in bytes.
    MAX_VIDEO_BYTES = "104857600";
    /// Limit of concurrent requests, above which the answer is 503; cache hits are not counted.
    MAX_CONCURRENT_REQUESTS = "256";
    /// Limit of connections, above which new ones wait; lowered to the system's limit of open files.
    MAX_CONNECTIONS = "16384";
    /// Seconds until an idle connection, or one whose client stops reading, is closed.
    CONNECTION_IDLE_SECONDS = "75";
    /// Seconds of normal service after a signal to stop, while /readyz is 503; 5 is the default in production.
    SHUTDOWN_DELAY_SECONDS = "0";
    /// Seconds that running requests get after that.
    SHUTDOWN_GRACE_SECONDS = "10";
}
