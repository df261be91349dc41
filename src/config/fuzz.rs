use std::path::Path;
use std::sync::LazyLock;

use super::dotenv::{Dotenv, DotenvError};
use super::{Config, StoreConfig, VARIABLES};

/// The maximum of durations: a day.
const MAX_SECONDS: u64 = 86_400;
/// Variables whose values are secret.
const SECRETS: [&str; 2] = ["MONGO_URI", "MONGO_PASSWORD"];
/// A value of this length occurs in a text only if it was put there.
const TELLING: usize = 8;

/// Reads a text as a `.env` file, and its variables as the configuration. Values survive quoting, errors name a line or a
/// variable and contain no value, and what is accepted is within its bounds.
pub fn settings(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let file = match Dotenv::parse(&text, Path::new(".env")) {
        Ok(file) => file,
        Err(DotenvError::Line(path, line, hint)) => {
            assert_eq!(path, ".env");
            assert!((1..=text.lines().count()).contains(&line), "line {line}");
            return assert!(!hint.is_empty());
        }
        Err(error) => panic!("{error}"),
    };
    for (name, value) in &file.0 {
        // A line break ends a line within quotes, too.
        if value.contains('\n') || value.contains('\'') {
            continue;
        }
        let quoted = format!("export {name} = '{value}' # again");
        let again =
            Dotenv::parse(&quoted, Path::new(".env")).unwrap_or_else(|error| panic!("{quoted}: {error}"));
        assert_eq!(again.0.get(name), Some(value), "{quoted}");
    }
    let lookup = |name: &str| file.0.get(name).cloned();
    let is_secret = |text: &str| {
        let values = SECRETS.iter().filter_map(|name| file.0.get(*name)).map(|value| value.trim());
        values
            .filter(|value| value.len() >= TELLING && !is_elsewhere(&file, value))
            .any(|value| text.contains(value))
    };
    match Config::read(lookup) {
        Ok(config) => {
            let durations = [
                config.migrate_wait,
                config.migrate_lease,
                config.request_timeout,
                config.cache_max_age,
                config.cache.shared_age,
                config.connections.idle_timeout,
                config.shutdown_delay,
                config.shutdown_grace,
            ];
            assert!(durations.iter().all(|duration| duration.as_secs() <= MAX_SECONDS), "{config:?}");
            assert!(
                config.max_concurrent > 0
                    && config.connections.max_connections > 0
                    && config.worker_threads != Some(0)
            );
            assert!(config.admin_email.contains('@') && !config.admin_email.contains(char::is_whitespace));
            if let StoreConfig::Mongo { uri, .. } = &config.store {
                assert!(uri.starts_with("mongodb://") || uri.starts_with("mongodb+srv://"), "{uri}");
            }
            assert!(!is_secret(&format!("{config:?}")), "a secret is shown: {config:?}");
            assert_eq!(Config::read_listen(lookup), Ok(config.listen));
        }
        Err(errors) => {
            assert!(!errors.0.is_empty());
            for error in &errors.0 {
                assert!(VARIABLES.iter().any(|variable| variable.name == error.variable));
                assert!(!error.message.is_empty());
            }
            assert!(!is_secret(&errors.to_string()), "a secret is shown: {errors}");
        }
    }
    assert!(Config::read_worker_threads(lookup) != Some(0));
    Config::read_log_format(lookup);
}

/// The errors of all variables, which name forms and examples.
static ERRORS: LazyLock<String> = LazyLock::new(|| {
    let uris = ["x", "mongodb://:1", "mongodb://h:0"].map(|value| ("MONGO_URI", value));
    let others = VARIABLES.iter().map(|variable| (variable.name, "?"));
    let errors =
        uris.into_iter().chain([("MONGO_USER", "u")]).chain(others).filter_map(|(variable, value)| {
            let lookup = |name: &str| (name == variable).then(|| value.to_owned());
            Config::read(lookup).err().map(|errors| errors.to_string())
        });
    errors.collect()
});

/// Reports whether a secret occurs in another variable, which may be shown, or in a text of this program.
fn is_elsewhere(file: &Dotenv, secret: &str) -> bool {
    let others = file.0.iter().filter(|(name, _)| !SECRETS.contains(&name.as_str()));
    let texts = VARIABLES.iter().flat_map(|variable| [variable.name, variable.default, variable.about]);
    let mut texts = others.map(|(_, value)| value.as_str()).chain(texts).chain([ERRORS.as_str()]);
    texts.any(|text| text.contains(secret))
}
