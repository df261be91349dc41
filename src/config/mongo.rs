use std::path::PathBuf;

use super::StoreConfig;
use super::reader::Reader;

const DEFAULT_DATABASE: &str = "ghostmonk";
const DEFAULT_APP_NAME: &str = "field-notes";
const FILE: &str = "field-notes.db";
const PARTS: [&str; 4] = ["MONGO_USER", "MONGO_PASSWORD", "MONGO_CLUSTER", "MONGO_HOST"];

/// Which store the variables mean: a connection string, the parts of one, or neither.
pub(super) fn store(reader: &mut Reader<'_>, production: bool) -> StoreConfig {
    let app_name = reader.text("MONGO_APP_NAME").unwrap_or_else(|| DEFAULT_APP_NAME.to_owned());
    let named = reader.text("MONGO_DB_NAME");
    if named.as_deref().is_some_and(|name| !is_database_name(name)) {
        reader.wrong("MONGO_DB_NAME", "cannot be the name of a database");
    }
    let Some(uri) = reader.text("MONGO_URI").or_else(|| from_parts(reader)) else {
        return embedded(reader, production);
    };
    if let Err(what) = check(&uri) {
        reader.wrong("MONGO_URI", what);
    }
    let database = match (database_of(&uri), named) {
        (Some(of_uri), Some(named)) if of_uri != named => {
            reader.wrong(
                "MONGO_DB_NAME",
                "names another database than the path of MONGO_URI: drop one of them",
            );
            named
        }
        (Some(of_uri), _) => of_uri,
        (None, named) => named.unwrap_or_else(|| DEFAULT_DATABASE.to_owned()),
    };
    StoreConfig::Mongo { uri, database, app_name }
}

fn embedded(reader: &mut Reader<'_>, production: bool) -> StoreConfig {
    let folder = reader.text("DATA_DIR");
    if production && folder.is_none() {
        let what = "in production the embedded store has to be asked for: \
                    name the folder of its file, or set MONGO_URI to use MongoDB";
        reader.wrong("DATA_DIR", what);
    }
    StoreConfig::Embedded { path: PathBuf::from(folder.unwrap_or_else(|| "./data".to_owned())).join(FILE) }
}

/// The original's way to say where its cluster is.
fn from_parts(reader: &mut Reader<'_>) -> Option<String> {
    let values = PARTS.map(|name| reader.text(name));
    if values.iter().all(Option::is_none) {
        return None;
    }
    for (name, value) in PARTS.into_iter().zip(&values) {
        if value.is_none() {
            reader.wrong(
                name,
                "is not set, while others of MONGO_USER, MONGO_PASSWORD, MONGO_CLUSTER and MONGO_HOST are",
            );
        }
    }
    let [user, password, cluster, host] = values.map(Option::unwrap_or_default);
    Some(format!(
        "mongodb+srv://{}:{}@{cluster}.{host}/?retryWrites=true&w=majority",
        escaped(&user),
        escaped(&password)
    ))
}

/// Percent-encodes all but what is safe anywhere in an address.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// What can be seen without the driver, which judges the rest. Never repeats a part of the text.
fn check(uri: &str) -> Result<(), &'static str> {
    let rest = uri
        .strip_prefix("mongodb://")
        .or_else(|| uri.strip_prefix("mongodb+srv://"))
        .ok_or("is malformed: it has to start with mongodb:// or mongodb+srv://")?;
    let hosts = authority(rest);
    let hosts = hosts.rsplit_once('@').map_or(hosts, |(_, hosts)| hosts);
    if hosts.split(',').any(|host| host.is_empty() || host.starts_with(':')) {
        return Err("is malformed: it names no host");
    }
    let port_fits = |host: &str| match host.rsplit_once(':') {
        Some((_, port)) if !host.ends_with(']') => port.parse::<u16>().is_ok_and(|port| port > 0),
        _ => true,
    };
    if !hosts.split(',').all(port_fits) {
        return Err("is malformed: a port has to be a number from 1 to 65535 \
                    (and a user name or password may hold no unescaped / ? # [ ] @)");
    }
    Ok(())
}

fn authority(rest: &str) -> &str {
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// The database in the path of a connection string.
fn database_of(uri: &str) -> Option<String> {
    let rest = uri.split_once("://")?.1;
    let path = rest[authority(rest).len()..].strip_prefix('/')?;
    let name = path.split('?').next().unwrap_or_default();
    (!name.is_empty()).then(|| name.to_owned())
}

fn is_database_name(name: &str) -> bool {
    name.len() <= 63 && !name.contains(['/', '\\', '.', '"', '$', ' ', '\0'])
}
