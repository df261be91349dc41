use std::num::NonZeroUsize;
use std::time::Duration;

use bson::doc;
use mongodb::Client;
use mongodb::error::ErrorKind;
use mongodb::options::{Acknowledgment, ClientOptions, ReadPreference, SelectionCriteria, Tls, WriteConcern};

use crate::mongo::Options;
use crate::mongo::command_log::command_log;
use crate::mongo::connection_string;
use crate::mongo::engine::{Core, MongoEngine, PoolLimiter};
use crate::mongo::error::classify;
use crate::{Error, Result};

/// The default of `serverSelectionTimeoutMS`.
pub(crate) const SELECTION: Duration = Duration::from_secs(5);
/// Added to the driver's own timeout, for a server that accepts a connection and never answers.
const GRACE: Duration = Duration::from_millis(500);

/// The timeout for finding out why no server was found.
const HINT_TIMEOUT: Duration = Duration::from_secs(1);

/// Minimum size of the connection pool on a small machine.
const LEAST_POOL: u32 = 20;

/// Options that an error message may name when their value is invalid: any other name may be part of an unescaped
/// password.
const OPTION_NAMES: &[&str] = &[
    "appname",
    "authmechanism",
    "authmechanismproperties",
    "authsource",
    "compressors",
    "connecttimeoutms",
    "directconnection",
    "heartbeatfrequencyms",
    "journal",
    "loadbalanced",
    "localthresholdms",
    "maxconnecting",
    "maxidletimems",
    "maxpoolsize",
    "maxstalenessseconds",
    "minpoolsize",
    "readconcernlevel",
    "readpreference",
    "readpreferencetags",
    "replicaset",
    "retryreads",
    "retrywrites",
    "servermonitoringmode",
    "serverselectiontimeoutms",
    "sockettimeoutms",
    "srvmaxhosts",
    "srvservicename",
    "ssl",
    "tls",
    "tlsallowinvalidcertificates",
    "tlscafile",
    "tlscertificatekeyfile",
    "tlsinsecure",
    "uuidrepresentation",
    "w",
    "waitqueuetimeoutms",
    "wtimeoutms",
    "zlibcompressionlevel",
];

const READ_PRIMARY: SelectionCriteria = SelectionCriteria::ReadPreference(ReadPreference::Primary);

pub(crate) async fn connect(options: Options) -> Result<MongoEngine> {
    let (uri, warnings) = connection_string::adapt(&options.uri, OPTION_NAMES)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let deadline = selection_timeout(&uri) + GRACE;
    // Only the hosts of `mongodb+srv://` are resolved here.
    let parsed = match tokio::time::timeout(deadline, ClientOptions::parse(&uri)).await {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(error)) if matches!(*error.kind, ErrorKind::DnsResolve { .. }) => {
            return Err(Error::Unavailable("failed to resolve the hosts of the connection string".into()));
        }
        Ok(Err(_)) => return Err(malformed(&uri).await),
        Err(_) => {
            return Err(Error::Unavailable("timed out resolving the hosts of the connection string".into()));
        }
    };
    let mut settings = with_defaults(parsed, &options.app_name);
    settings.command_event_handler = command_log();
    let name = options.database.or_else(|| settings.default_database.clone()).ok_or_else(|| {
        Error::Invalid("the connection string names no database, and none is configured".into())
    })?;
    if name.is_empty() || name.len() > 63 || name.contains(['/', '\\', '.', '"', '$', ' ', '\0']) {
        return Err(Error::Invalid(format!("{name:?} is not a valid database name")));
    }
    let hosts: Vec<_> = settings.hosts.iter().map(ToString::to_string).collect();
    let location = format!("{}/{name}", hosts.join(","));
    let write_concern = settings.write_concern.clone();
    // Boxed, because options are large and are kept while the server is awaited.
    let hints = Box::new(Hints::new(&uri, &settings));
    let limiter = PoolLimiter::new(settings.max_pool_size.unwrap_or_else(pool_size));
    let client = Client::with_options(settings).map_err(|error| match *error.kind {
        ErrorKind::InvalidTlsConfig { message, .. } => Error::Invalid(message),
        ErrorKind::Io(error) => Error::Invalid(format!("failed to open tlsCertificateKeyFile: {error}")),
        // At this point the driver rejects only contradictory options.
        _ => Error::Invalid("the options of the connection string contradict each other".into()),
    })?;
    let database = client.database(&name);
    // A ping needs no privileges, but it fails with wrong credentials, because it uses an authenticated connection.
    match tokio::time::timeout(deadline, database.run_command(doc! { "ping": 1 })).await {
        Ok(Ok(_)) => Ok(MongoEngine::new(Core { database, write_concern, limiter }, location)),
        outcome => {
            client.shutdown().immediate(true).await;
            let error = match outcome {
                Ok(Err(error)) => classify("connecting", "", &error),
                _ => Error::Unavailable(format!("no answer within {deadline:?}")),
            };
            Err(Box::pin((*hints).explain(error, &location)).await)
        }
    }
}

/// Returns how long a connection string lets a server be searched for.
fn selection_timeout(uri: &str) -> Duration {
    let options = uri.rsplit_once('?').map_or("", |(_, options)| options);
    let stated = options.split('&').find_map(|option| {
        let (name, value) = option.split_once('=')?;
        name.eq_ignore_ascii_case("serverSelectionTimeoutMS").then(|| value.parse().ok())?
    });
    stated.map_or(SELECTION, Duration::from_millis)
}

/// The parts of a connection string that explain why no connection was made.
struct Hints {
    tls: bool,
    /// The database in which the user was looked up, unless the string states it.
    user_database: Option<String>,
    /// Options for asking the first host for its replica set; `None` if the string names no set.
    first_host: Option<ClientOptions>,
    replica_set: Option<String>,
}

impl Hints {
    fn new(uri: &str, settings: &ClientOptions) -> Self {
        let implied = || settings.default_database.clone().unwrap_or_else(|| "admin".to_owned());
        let states_source = uri.to_ascii_lowercase().contains("authsource=");
        let replica_set = settings.repl_set_name.clone();
        let first_host = replica_set.is_some().then(|| {
            let mut direct = settings.clone();
            direct.hosts.truncate(1);
            (direct.repl_set_name, direct.credential) = (None, None);
            (direct.direct_connection, direct.server_selection_timeout) = (Some(true), Some(HINT_TIMEOUT));
            direct
        });
        Self {
            tls: matches!(settings.tls, Some(Tls::Enabled(_))),
            user_database: (!states_source).then(implied),
            first_host,
            replica_set,
        }
    }

    /// Adds the location and what may be wrong to an error, and replaces the driver's text about credentials.
    async fn explain(self, error: Error, location: &str) -> Error {
        match error {
            Error::Unauthorized(_) => {
                let hint = self.user_database.map(|database| {
                    format!(
                        "; the user was looked up in the database {database}: if it was created in another one, add \
                         authSource=NAME to the connection string"
                    )
                });
                let hint = hint.unwrap_or_default();
                Error::Unauthorized(format!("{location}: wrong user name or password{hint}"))
            }
            Error::Unavailable(text) => {
                let hint = match tls_hint(&text, self.tls) {
                    Some(hint) => Some(hint.to_owned()),
                    None => self.replica_set_hint().await,
                };
                let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                Error::Unavailable(format!("{location}: {text}{hint}"))
            }
            other => other,
        }
    }

    /// Compares the replica set of the connection string with that of the first host.
    async fn replica_set_hint(self) -> Option<String> {
        let (named, direct) = self.replica_set.zip(self.first_host)?;
        let client = Client::with_options(direct).ok()?;
        let admin = client.database("admin");
        let answer = tokio::time::timeout(HINT_TIMEOUT + GRACE, admin.run_command(doc! { "hello": 1 })).await;
        client.shutdown().immediate(true).await;
        let answer = answer.ok()?.ok()?;
        match answer.get_str("setName") {
            Ok(actual) if actual == named => None,
            Ok(actual) => Some(format!(
                "the server belongs to the replica set {actual}: set replicaSet={actual} in the connection string"
            )),
            Err(_) => Some(
                "the server belongs to no replica set: remove replicaSet from the connection string".into(),
            ),
        }
    }
}

/// Returns what may be wrong with the encryption of a connection that failed with this text.
fn tls_hint(text: &str, tls: bool) -> Option<&'static str> {
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let is_closed = has(&["unexpected end of file", "eof", "reset by peer", "Broken pipe", "UnexpectedEof"]);
    if has(&["CaUsedAsEndEntity"]) {
        Some(
            "the server presents the certificate of an authority: give it one that the authority signed, or a \
             self-signed one that is not an authority (basicConstraints CA:FALSE)",
        )
    } else if has(&["UnknownIssuer"]) {
        Some("set tlsCAFile to the certificate of the authority that signed that of the server")
    } else if has(&["NotValidForName", "not valid for name"]) {
        Some("the server's certificate is for other host names: use one of them in the connection string")
    } else if tls && (is_closed || has(&["InvalidContentType", "corrupt message"])) {
        Some("the server may not use TLS: if so, remove tls=true from the connection string")
    } else if !tls && is_closed {
        Some("the server may require TLS: if so, add tls=true to the connection string")
    } else {
        None
    }
}

/// Sets the defaults of this program for options that the connection string leaves out. The driver has no socket timeout:
/// a frozen server is detected by its heartbeat, and callers set deadlines on operations.
fn with_defaults(mut options: ClientOptions, app_name: &str) -> ClientOptions {
    options.app_name.get_or_insert_with(|| app_name.to_owned());
    let max = *options.max_pool_size.get_or_insert_with(pool_size);
    options.min_pool_size.get_or_insert(if max == 0 { 5 } else { max.min(5) });
    options.max_idle_time.get_or_insert(Duration::from_mins(1));
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.connect_timeout.get_or_insert(Duration::from_secs(10));
    options.heartbeat_freq.get_or_insert(Duration::from_secs(10));
    // A secondary may lag behind, and the cache would treat its data as current.
    if options.selection_criteria.take().is_some_and(|criteria| criteria != READ_PRIMARY) {
        tracing::warn!("ignoring the read preference of the connection string: reads always use the primary");
    }
    options.retry_writes.get_or_insert(true);
    options.retry_reads.get_or_insert(true);
    let concern = options.write_concern.get_or_insert_with(WriteConcern::default);
    if concern.w.is_none() {
        concern.w = Some(Acknowledgment::Majority);
        concern.journal.get_or_insert(true);
    }
    options
}

/// Returns the default pool size. A connection serves one operation at a time: four per processor keep it busy while others
/// wait for the server.
fn pool_size() -> u32 {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    u32::try_from(4 * processors).unwrap_or(u32::MAX).max(LEAST_POOL)
}

/// Explains what is wrong with a connection string without repeating any part of it except the name of a known option.
async fn malformed(uri: &str) -> Error {
    let invalid = |what: &str| Error::Invalid(format!("the connection string is malformed: {what}"));
    let Some(rest) = uri.strip_prefix("mongodb://").or_else(|| uri.strip_prefix("mongodb+srv://")) else {
        return invalid("it must start with mongodb:// or mongodb+srv://");
    };
    let before_options = rest.split_once('?').map_or(rest, |(before, _)| before);
    let user_info = rest.rsplit_once('@').map(|(user_info, _)| user_info);
    if user_info.is_some_and(|text| !connection_string::is_escaped(text)) {
        return invalid("the user name or password contains a character that must be percent-encoded");
    }
    for option in rest.split_once('?').map_or("", |(_, options)| options).split('&').filter(|o| !o.is_empty())
    {
        let name = option.split('=').next().unwrap_or_default();
        let alone = format!("mongodb://localhost/?{option}");
        if OPTION_NAMES.contains(&name.to_ascii_lowercase().as_str())
            && ClientOptions::parse(alone).await.is_err()
        {
            return invalid(&format!("invalid value of the option {name}"));
        }
    }
    if before_options.len() == rest.len() {
        invalid("invalid hosts, database or credentials")
    } else {
        invalid("invalid hosts, credentials or options")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(uri: &str) -> Options {
        Options { uri: uri.into(), database: Some("d".into()), app_name: "tests".into() }
    }

    #[tokio::test]
    async fn malformed_connection_string_is_rejected_without_repeating_it() {
        for uri in [
            "mongodb://u5er:s3cr@t:w@rd@127.0.0.1:1/d",
            "mongodb://u5er:s3cr:t@127.0.0.1:1/d",
            "mongodb://u5er:s3cr/t@127.0.0.1:1/d",
            "mongodb://u5er:s3cr?t=w@127.0.0.1:1/d",
            "mongodb://u5er:s3cr%zz@127.0.0.1:1/d",
            "mongodb://u5er:s3cr#@127.0.0.1:1/d",
            "mongodb://u5er:s3cr",
            "mongodb://u5er:s3cr@",
            "mongodb://u5er:s3cr@/d",
            "mongodb://u5er:s3cr@h:99999/d",
            "mongodb://u5er:s3cr@h:1/d?maxPoolSize=many",
            "mongodb://u5er:s3cr@h:1/d?w=majority&&x",
            "postgres://u5er:s3cr@h/d",
            "u5er:s3cr@h",
            "",
        ] {
            let error = super::connect(options(uri)).await.err().expect(uri);
            assert!(matches!(error, Error::Invalid(_)), "{uri}: {error:?}");
            for text in [error.to_string(), format!("{error:?}")] {
                assert!(
                    !text.contains("s3cr") && !text.contains("u5er") && !text.contains("t:w"),
                    "{uri}: {text}"
                );
            }
        }
    }

    #[tokio::test]
    async fn invalid_option_is_named() {
        let error = super::connect(options("mongodb://u:p@h:1/d?maxPoolSize=many")).await.err().unwrap();
        assert!(error.to_string().contains("maxPoolSize"), "{error}");
    }

    /// A connection that should be encrypted must not be made without encryption, or with other certificates.
    #[tokio::test]
    async fn unknown_tls_option_is_an_error() {
        for name in ["tsl", "tlsCaFile1", "ssl_ca_certs", "sslCAFile", "tlsAllowInvalidHostnames"] {
            let error =
                super::connect(options(&format!("mongodb://u:s3cr@h:1/d?{name}=x"))).await.err().unwrap();
            assert!(matches!(error, Error::Invalid(_)), "{error:?}");
            let text = error.to_string();
            assert!(text.contains(name) && text.contains("tlsCAFile") && !text.contains("s3cr"), "{text}");
        }
    }

    #[tokio::test]
    async fn unreadable_tls_file_is_named() {
        for (option, path) in
            [("tlsCAFile", "/nowhere/ca.pem"), ("tlsCertificateKeyFile", "/nowhere/key.pem")]
        {
            let error =
                super::connect(options(&format!("mongodb://h:1/d?{option}={path}"))).await.err().unwrap();
            assert!(matches!(error, Error::Invalid(_)), "{error:?}");
            let text = error.to_string();
            assert!(text.contains(path) || text.contains(option), "{text}");
        }
    }

    #[tokio::test]
    async fn connection_string_overrides_defaults() {
        let parsed =
            ClientOptions::parse("mongodb://h/?maxPoolSize=3&w=1&serverSelectionTimeoutMS=70").await.unwrap();
        let set = with_defaults(parsed, "app");
        assert_eq!((set.max_pool_size, set.min_pool_size), (Some(3), Some(3)));
        assert_eq!(set.server_selection_timeout, Some(Duration::from_millis(70)));
        assert_eq!(set.write_concern.unwrap().w, Some(Acknowledgment::Nodes(1)));
        let set = with_defaults(ClientOptions::parse("mongodb://h/").await.unwrap(), "app");
        assert_eq!(set.write_concern.unwrap().w, Some(Acknowledgment::Majority));
        assert_eq!((set.max_pool_size, set.app_name.as_deref()), (Some(pool_size()), Some("app")));
        assert!(pool_size() >= LEAST_POOL);
    }

    #[tokio::test]
    async fn options_of_other_drivers_are_accepted() {
        for option in [
            "compressors=zlib,snappy",
            "zlibCompressionLevel=6",
            "socketTimeoutMS=1000",
            "uuidRepresentation=standard",
            "tz_aware=true",
            "connect=direct",
            "connect=replicaSet",
            "wtimeout=100",
            "j=true",
            "retryReads=TRUE",
            "waitQueueTimeoutMS=10",
            "tlsDisableOCSPEndpointCheck=true",
        ] {
            let adapted = connection_string::adapt(&format!("mongodb://h/d?{option}"), OPTION_NAMES);
            let (uri, _) = adapted.unwrap_or_else(|error| panic!("{option}: {error}"));
            let parsed = ClientOptions::parse(&uri).await.unwrap_or_else(|error| panic!("{option}: {error}"));
            Client::with_options(with_defaults(parsed, "app"))
                .unwrap_or_else(|error| panic!("{option}: {error}"));
        }
    }

    #[test]
    fn failed_tls_connections_have_hints() {
        for (text, tls, hint) in [
            ("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", true, "CA:FALSE"),
            ("invalid peer certificate: UnknownIssuer", true, "tlsCAFile"),
            ("received corrupt message of type InvalidContentType", true, "remove tls=true"),
            ("I/O error: unexpected end of file", false, "add tls=true"),
        ] {
            assert!(tls_hint(text, tls).unwrap().contains(hint), "{text}");
        }
        assert_eq!(tls_hint("Connection refused (os error 111)", false), None);
    }

    #[test]
    fn selection_timeout_is_that_of_the_connection_string() {
        let stated = |uri| selection_timeout(uri).as_millis();
        assert_eq!(stated("mongodb://h/d?w=1&serverselectiontimeoutms=70"), 70);
        assert_eq!(stated("mongodb://h/d?serverSelectionTimeoutMS=20000"), 20_000);
        assert_eq!(stated("mongodb://h/d?w=1"), SELECTION.as_millis());
    }

    #[test]
    fn debug_output_hides_the_connection_string() {
        assert!(!format!("{:?}", options("mongodb://u5er:s3cr@h")).contains("s3cr"));
    }
}
