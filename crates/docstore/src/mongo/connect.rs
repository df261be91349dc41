use std::num::NonZeroUsize;
use std::time::Duration;

use bson::doc;
use mongodb::Client;
use mongodb::error::ErrorKind;
use mongodb::options::{Acknowledgment, ClientOptions, ReadPreference, SelectionCriteria, WriteConcern};

use crate::mongo::Options;
use crate::mongo::command_log::command_log;
use crate::mongo::engine::{Core, MongoEngine, PoolLimiter};
use crate::mongo::error::classify;
use crate::{Error, Result};

/// The default of `serverSelectionTimeoutMS`.
const SELECTION: Duration = Duration::from_secs(5);
/// Added to the driver's own timeout, for a server that accepts a connection and never answers.
const GRACE: Duration = Duration::from_millis(500);

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
    "tlsallowinvalidhostnames",
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
    let deadline = selection_timeout(&options.uri) + GRACE;
    // Only the hosts of `mongodb+srv://` are resolved here.
    let parsed = match tokio::time::timeout(deadline, ClientOptions::parse(&options.uri)).await {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(error)) if matches!(*error.kind, ErrorKind::DnsResolve { .. }) => {
            return Err(Error::Unavailable("failed to resolve the hosts of the connection string".into()));
        }
        Ok(Err(_)) => return Err(malformed(&options.uri).await),
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
    let limiter = PoolLimiter::new(settings.max_pool_size.unwrap_or_else(pool_size));
    // At this point the driver rejects only contradictory options.
    let client = Client::with_options(settings)
        .map_err(|_| Error::Invalid("the options of the connection string contradict each other".into()))?;
    let database = client.database(&name);
    // A ping needs no privileges, but it fails with wrong credentials, because it uses an authenticated connection.
    match tokio::time::timeout(deadline, database.run_command(doc! { "ping": 1 })).await {
        Ok(Ok(_)) => Ok(MongoEngine::new(Core { database, write_concern, limiter }, location)),
        outcome => {
            client.shutdown().immediate(true).await;
            Err(match outcome {
                Ok(Err(error)) => at_location(classify("connecting", "", &error), &location),
                _ => Error::Unavailable(format!("{location}: no answer within {deadline:?}")),
            })
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

/// Adds the location to an error and replaces the driver's text about credentials.
fn at_location(error: Error, location: &str) -> Error {
    match error {
        Error::Unauthorized(_) => Error::Unauthorized(format!("{location}: wrong user name or password")),
        Error::Unavailable(text) => Error::Unavailable(format!("{location}: {text}")),
        other => other,
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
    if user_info.is_some_and(|text| !is_escaped(text)) {
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

fn is_escaped(user_info: &str) -> bool {
    let mut parts = user_info.split(':');
    let pieces = [parts.next(), parts.next()];
    let percent = |text: &str| {
        text.split('%').skip(1).all(|after| {
            after.len() >= 2
                && after.is_char_boundary(2)
                && after.bytes().take(2).all(|b| b.is_ascii_hexdigit())
        })
    };
    parts.next().is_none()
        && pieces
            .into_iter()
            .flatten()
            .all(|piece| !piece.contains(['@', '/', '?', '#', '[', ']']) && percent(piece))
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
