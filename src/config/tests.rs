use std::collections::HashMap;

use super::*;
use crate::domain::Authorship;

fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let map: HashMap<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::read(move |name| map.get(name).cloned())
}

fn with(pairs: &[(&str, &str)]) -> Config {
    read(&[&[("ADMIN_EMAIL", "admin@example.com")], pairs].concat()).unwrap()
}

fn invalid(pairs: &[(&str, &str)]) -> Vec<&'static str> {
    let errors = read(&[&[("ADMIN_EMAIL", "admin@example.com")], pairs].concat()).unwrap_err();
    errors.0.into_iter().map(|problem| problem.variable).collect()
}

fn mongo(config: Config) -> (String, String) {
    match config.store {
        StoreConfig::Mongo { uri, database, .. } => (uri, database),
        StoreConfig::Embedded { .. } => panic!("MongoDB was asked for"),
    }
}

#[test]
fn admin_email_is_enough() {
    let config = with(&[]);
    assert_eq!((config.listen.ip().to_string().as_str(), config.listen.port()), ("127.0.0.1", 5001));
    let path = PathBuf::from("./data/field-notes.db");
    assert_eq!(config.store, StoreConfig::Embedded { path, read_only: false, check: StoreCheck::Off });
    assert_eq!(config.migrate_on_start, MigrateOnStart::Apply);
    assert!(!config.allow_dev_auth);
}

#[test]
fn all_errors_are_reported_together() {
    let errors = read(&[
        ("PORT", "70000"),
        ("HOST", "nowhere"),
        ("MIGRATE_ON_START", "perhaps"),
        ("RUST_LOG", "a=b=c"),
    ]);
    let errors = errors.unwrap_err();
    let names: Vec<_> = errors.0.iter().map(|p| p.variable).collect();
    assert_eq!(names, ["HOST", "PORT", "ADMIN_EMAIL", "MIGRATE_ON_START", "RUST_LOG"]);
    let lines: Vec<_> = errors.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| line.contains(".env")), "{lines:?}");
}

#[test]
fn blank_is_not_set() {
    assert_eq!(with(&[("PORT", ""), ("MONGO_URI", "  "), ("DATA_DIR", "")]), with(&[]));
    assert!(read(&[("ADMIN_EMAIL", " ")]).is_err());
}

#[test]
fn emails_must_be_plausible() {
    for bad in [
        "admin",
        "@example.com",
        "admin@",
        "admin@localhost",
        "a b@example.com",
        "a@b@example.com",
        "a@.com",
        "a@b..c",
    ] {
        assert!(read(&[("ADMIN_EMAIL", bad)]).is_err(), "{bad}");
    }
    assert_eq!(invalid(&[("AUTHOR_EMAILS", "a@example.com, b")]), ["AUTHOR_EMAILS"]);
    assert_eq!(with(&[("AUTHOR_EMAILS", "a@example.com, b@example.com,")]).author_emails.len(), 2);
    assert_eq!(with(&[]).authorship, Authorship::Restricted);
    assert_eq!(with(&[("OPEN_AUTHORSHIP", "true")]).authorship, Authorship::Open);
}

#[test]
fn invalid_origin_is_refused() {
    for bad in ["foo", "*", "https://a.example,preview.example", "https://e.example/path"] {
        assert_eq!(invalid(&[("CORS_EXTRA_ORIGINS", bad)]), ["CORS_EXTRA_ORIGINS"], "{bad}");
    }
}

#[test]
fn budget_of_responses_has_room_for_one() {
    for bad in ["0", "1000"] {
        assert_eq!(invalid(&[("RESPONSES_MAX_BYTES", bad)]), ["RESPONSES_MAX_BYTES"], "{bad}");
    }
    assert_eq!(with(&[("RESPONSES_MAX_BYTES", "20000000")]).cache.in_flight_bytes, 20_000_000);
}

#[test]
fn database_names_must_agree() {
    let uri = "mongodb://h:1/notes?w=1";
    assert_eq!(mongo(with(&[("MONGO_URI", uri)])).1, "notes");
    assert_eq!(mongo(with(&[("MONGO_URI", uri), ("MONGO_DB_NAME", "notes")])).1, "notes");
    assert_eq!(invalid(&[("MONGO_URI", uri), ("MONGO_DB_NAME", "other")]), ["MONGO_DB_NAME"]);
    assert_eq!(mongo(with(&[("MONGO_URI", "mongodb://h/"), ("MONGO_DB_NAME", "other")])).1, "other");
    assert_eq!(mongo(with(&[("MONGO_URI", "mongodb://h")])).1, "ghostmonk");
}

#[test]
fn malformed_connection_string_is_refused_and_not_repeated() {
    for bad in [
        "localhost:27017",
        "http://u:hunter2@h",
        "mongodb://",
        "mongodb://u:hunter2@",
        "mongodb://u:hunter2@h:port/x",
        "mongodb://u:hunter2/x@h:1/x",
    ] {
        let errors = read(&[("ADMIN_EMAIL", "admin@example.com"), ("MONGO_URI", bad)]).unwrap_err();
        assert_eq!(errors.0[0].variable, "MONGO_URI", "{bad}");
        assert!(!errors.to_string().contains("hunter2"), "{errors}");
    }
    for good in [
        "mongodb://h",
        "mongodb://u:p%40@a:1,b:2/x?replicaSet=r",
        "mongodb+srv://c.example.net/",
        "mongodb://[::1]:27017/",
    ] {
        assert!(read(&[("ADMIN_EMAIL", "admin@example.com"), ("MONGO_URI", good)]).is_ok(), "{good}");
    }
}

#[test]
fn cluster_variables_are_percent_encoded() {
    let parts = [
        ("MONGO_USER", "me@home"),
        ("MONGO_PASSWORD", "p/w:%é"),
        ("MONGO_CLUSTER", "c0"),
        ("MONGO_HOST", "x.mongodb.net"),
    ];
    let (uri, database) = mongo(with(&parts));
    assert_eq!(
        uri,
        "mongodb+srv://me%40home:p%2Fw%3A%25%C3%A9@c0.x.mongodb.net/?retryWrites=true&w=majority"
    );
    assert_eq!(database, "ghostmonk");
    assert_eq!(invalid(&parts[..2]), ["MONGO_CLUSTER", "MONGO_HOST"]);
}

#[test]
fn production_has_stricter_rules() {
    let production = ("ENVIRONMENT", "production");
    let names = invalid(&[production, ("ALLOW_DEV_AUTH", "true")]);
    assert_eq!(names, ["ALLOW_DEV_AUTH", "DATA_DIR", "GOOGLE_CLIENT_ID"]);
    let config = with(&[production, ("DATA_DIR", "/srv"), ("GOOGLE_CLIENT_ID", "one")]);
    assert_eq!((config.listen.ip().to_string().as_str(), config.log_format), ("0.0.0.0", LogFormat::Json));
    assert_eq!(
        (config.shutdown_delay, config.connections.close_notice),
        (Duration::from_secs(5), CLOSE_NOTICE)
    );
    assert!(!config.middleware.local_origins && with(&[]).middleware.local_origins);
    assert_eq!(invalid(&[("ENVIRONMENT", "prod")]), ["ENVIRONMENT"]);
}

#[test]
fn development_tokens_on_a_public_address_must_be_asked_for() {
    let tokens = |value, host| with(&[("ALLOW_DEV_AUTH", value), ("HOST", host)]).allow_dev_auth;
    assert!(tokens("true", "127.0.0.1") && tokens("on", "::1") && tokens("true", "localhost"));
    assert!(tokens("insecure", "0.0.0.0") && tokens("Insecure", "127.0.0.1") && !tokens("false", "0.0.0.0"));
    for host in ["0.0.0.0", "::", "192.0.2.1"] {
        assert_eq!(invalid(&[("ALLOW_DEV_AUTH", "true"), ("HOST", host)]), ["ALLOW_DEV_AUTH"], "{host}");
    }
    assert_eq!(invalid(&[("ALLOW_DEV_AUTH", "true"), ("ENVIRONMENT", "staging")]), ["ALLOW_DEV_AUTH"]);
    assert_eq!(invalid(&[("ALLOW_DEV_AUTH", "perhaps")]), ["ALLOW_DEV_AUTH"]);
    let production = [("ENVIRONMENT", "production"), ("DATA_DIR", "/srv"), ("GOOGLE_CLIENT_ID", "one")];
    assert_eq!(invalid(&[&production[..], &[("ALLOW_DEV_AUTH", "insecure")]].concat()), ["ALLOW_DEV_AUTH"]);
}

#[test]
fn debug_output_omits_the_password() {
    let config = with(&[("MONGO_URI", "mongodb://me:hunter2@h/x")]);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn env_example_lists_every_variable_and_is_valid() {
    let text = include_str!("../../.env.example");
    let mut named = Vec::new();
    for line in text.lines() {
        let assignment = line.trim_start_matches('#').trim();
        let Some((name, value)) = assignment.split_once('=') else { continue };
        let Some(variable) = VARIABLES.iter().find(|v| v.name == name) else { continue };
        named.push(variable.name);
        if line.starts_with('#') {
            assert_eq!(value, variable.default, "{name} is commented out at its default");
        }
        assert!(text.contains(&format!("# {}\n", variable.about)), "{name} has its sentence");
    }
    let all: Vec<_> = VARIABLES.iter().map(|v| v.name).collect();
    assert_eq!(named, all);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    std::fs::write(&path, text).unwrap();
    let Ok(example) = Dotenv::read(&path) else { panic!(".env.example is not well formed") };
    let config = Config::read(|name| example.0.get(name).cloned()).unwrap();
    assert!(config.allow_dev_auth);
    assert_eq!(config.admin_email, "admin@example.com");
}

#[test]
fn edge_and_google_variables_are_parsed() {
    let config = with(&[
        ("GOOGLE_CLIENT_ID", "one, two,"),
        ("GOOGLE_API_BASE", "http://127.0.0.1:9000/"),
        ("CORS_EXTRA_ORIGINS", "https://a.example,https://b.example"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
    ]);
    let google = GoogleSettings {
        base: "http://127.0.0.1:9000".into(),
        audiences: vec!["one".into(), "two".into()],
        deadline: GoogleSettings::DEADLINE,
    };
    assert_eq!(config.google, google);
    assert_eq!(config.middleware.extra_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.middleware.trusted_proxies.len(), 2);
    assert!(!config.middleware.hsts);
    assert!(!config.middleware.unlimited && with(&[("RATE_LIMITS", "off")]).middleware.unlimited);
    for bad in [
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("GOOGLE_API_BASE", "ftp://a"),
        ("GOOGLE_API_BASE", "a"),
        ("RATE_LIMITS", "few"),
    ] {
        assert_eq!(invalid(&[bad]), [bad.0]);
    }
}

#[test]
fn cache_and_limit_variables_are_parsed() {
    let config = with(&[]);
    assert_eq!(config.cache, CacheSettings::default());
    assert_eq!((config.cache_max_age, config.max_concurrent), (Duration::from_secs(30), 256));
    let config = with(&[
        ("CACHE_MAX_BYTES", "0"),
        ("RESPONSES_MAX_BYTES", "3000000"),
        ("CACHE_MAX_AGE", "5"),
        ("CACHE_S_MAXAGE", "60"),
        ("CACHE_STALE_WHILE_REVALIDATE", "300"),
        ("MAX_CONCURRENT_REQUESTS", "8"),
        ("MAX_CONNECTIONS", "100"),
        ("CONNECTION_IDLE_SECONDS", "5"),
    ]);
    let cache = CacheSettings {
        max_bytes: None,
        in_flight_bytes: 3_000_000,
        shared_age: Duration::from_mins(1),
        stale_while_revalidate: Duration::from_mins(5),
    };
    assert_eq!(config.cache, cache);
    assert_eq!((config.cache_max_age, config.max_concurrent), (Duration::from_secs(5), 8));
    assert_eq!(
        config.connections,
        ConnectionSettings {
            max_connections: 100,
            idle_timeout: Duration::from_secs(5),
            close_notice: Duration::ZERO
        }
    );
    for bad in [
        ("CACHE_MAX_BYTES", "-1"),
        ("CACHE_MAX_BYTES", "many"),
        ("CACHE_MAX_AGE", "0"),
        ("CACHE_S_MAXAGE", "-1"),
        ("MAX_CONCURRENT_REQUESTS", "0"),
        ("MAX_CONNECTIONS", "0"),
        ("CONNECTION_IDLE_SECONDS", "0"),
    ] {
        assert_eq!(invalid(&[bad]), [bad.0]);
    }
}

#[test]
fn media_are_kept_where_the_first_variable_says() {
    let place = |pairs: &[(&str, &str)]| with(pairs).media.location.to_string();
    assert_eq!(place(&[]), "./data/media");
    assert_eq!(place(&[("DATA_DIR", "/srv")]), "/srv/media");
    assert_eq!(place(&[("DATA_DIR", "/srv"), ("GCS_BUCKET_NAME", "site")]), "gs://site/");
    let original = [("GCS_BUCKET_NAME", "site"), ("LOCAL_STORAGE_PATH", "/media")];
    assert_eq!(place(&original), "/media");
    assert_eq!(place(&[&original[..], &[("MEDIA_URL", "s3://bucket/a")]].concat()), "s3://bucket/a");
    assert_eq!(invalid(&[("MEDIA_URL", "/srv/media")]), ["MEDIA_URL"]);
}

#[test]
fn credentials_of_media_are_read_in_the_order_of_the_original() {
    let options = |pairs: &[(&str, &str)]| with(pairs).media.options;
    let option = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let file = ("GOOGLE_APPLICATION_CREDENTIALS", "/key.json");
    let json = ("GOOGLE_APPLICATION_CREDENTIALS_JSON", r#"{"a":1}"#);
    let encoded = ("GOOGLE_APPLICATION_CREDENTIALS_JSON_B64", "eyJiIjoyfQ==");
    assert_eq!(options(&[file]), option("google_application_credentials", "/key.json"));
    assert_eq!(options(&[file, json]), option("google_service_account_key", r#"{"a":1}"#));
    assert_eq!(options(&[file, json, encoded]), option("google_service_account_key", r#"{"b":2}"#));
    assert_eq!(options(&[("AWS_REGION", "eu-west-1")]), option("aws_region", "eu-west-1"));
    assert_eq!(options(&[("MEDIA_TIMEOUT_SECONDS", "60")]), option("read_timeout", "60s"));
    let emulator = options(&[("STORAGE_EMULATOR_HOST", "127.0.0.1:4443")]);
    assert_eq!(emulator[0], ("google_base_url".to_owned(), "http://127.0.0.1:4443".to_owned()));
    for bad in [
        ("GOOGLE_APPLICATION_CREDENTIALS_JSON", "key.json"),
        ("GOOGLE_APPLICATION_CREDENTIALS_JSON_B64", "e"),
        ("GOOGLE_APPLICATION_CREDENTIALS_JSON_B64", "a2V5"),
        ("MEDIA_TIMEOUT_SECONDS", "0"),
    ] {
        assert_eq!(invalid(&[bad]), [bad.0]);
    }
    let secret = format!("{:?}", with(&[("AWS_SECRET_ACCESS_KEY", "hunter2"), json]));
    assert!(!secret.contains("hunter2") && !secret.contains(r#"{"a":1}"#));
}
