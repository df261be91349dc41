use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::StoreConfig;
use super::reader::Reader;
use super::variables::{self as var, Variable};

/// The name of the embedded store's file.
const FILE: &str = "field-notes.db";
/// The variables of an Atlas cluster, as the original has them.
const CLUSTER: [Variable; 4] = [var::MONGO_USER, var::MONGO_PASSWORD, var::MONGO_CLUSTER, var::MONGO_HOST];
/// The characters that stay as they are anywhere in a URL.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the store: MongoDB by connection string or by cluster, otherwise the embedded store.
pub(super) fn store(reader: &mut Reader<'_>, is_production: bool) -> StoreConfig {
    let app_name = reader.text(var::MONGO_APP_NAME);
    let given = reader.given(var::MONGO_DB_NAME);
    if given.as_deref().is_some_and(|name| !is_database_name(name)) {
        reader.error(var::MONGO_DB_NAME, "must be a valid name of a database");
    }
    let Some(uri) = reader.given(var::MONGO_URI).or_else(|| cluster_uri(reader)) else {
        return embedded(reader, is_production);
    };
    if let Err(message) = check(&uri) {
        reader.error(var::MONGO_URI, message);
    }
    let in_uri = database_in(&uri);
    if in_uri.is_some() && given.is_some() && in_uri != given {
        reader
            .error(var::MONGO_DB_NAME, "must not differ from the database in MONGO_URI: remove one of them");
    }
    let database = in_uri.unwrap_or_else(|| reader.text(var::MONGO_DB_NAME));
    if reader.boolean(var::READ_ONLY) {
        reader.error(var::READ_ONLY, "is for the embedded store; on MongoDB, use a user with the role read");
    }
    StoreConfig::Mongo { uri, database, app_name }
}

fn embedded(reader: &mut Reader<'_>, is_production: bool) -> StoreConfig {
    if is_production && reader.given(var::DATA_DIR).is_none() {
        let message = "is required in production for the embedded store; to use MongoDB, set MONGO_URI";
        reader.error(var::DATA_DIR, message);
    }
    StoreConfig::Embedded {
        path: Path::new(&reader.text(var::DATA_DIR)).join(FILE),
        read_only: reader.boolean(var::READ_ONLY),
        check: reader.choice(var::STORE_CHECK),
    }
}

/// Returns the connection string of an Atlas cluster, if one of its variables is set.
fn cluster_uri(reader: &mut Reader<'_>) -> Option<String> {
    let values = CLUSTER.map(|variable| reader.given(variable));
    if values.iter().all(Option::is_none) {
        return None;
    }
    for (variable, _) in CLUSTER.into_iter().zip(&values).filter(|(_, value)| value.is_none()) {
        reader.error(
            variable,
            "is required if one of MONGO_USER, MONGO_PASSWORD, MONGO_CLUSTER and MONGO_HOST is set",
        );
    }
    let [user, password, cluster, host] = values.map(Option::unwrap_or_default);
    let [user, password] = [&user, &password].map(|text| utf8_percent_encode(text, &UNRESERVED));
    Some(format!("mongodb+srv://{user}:{password}@{cluster}.{host}/?retryWrites=true&w=majority"))
}

/// Checks a connection string as far as possible without the driver. Errors never repeat a part of it.
fn check(uri: &str) -> Result<(), &'static str> {
    let rest = uri
        .strip_prefix("mongodb://")
        .or_else(|| uri.strip_prefix("mongodb+srv://"))
        .ok_or("is malformed: it must start with mongodb:// or mongodb+srv://")?;
    let hosts = authority(rest);
    let hosts = hosts.rsplit_once('@').map_or(hosts, |(_, hosts)| hosts);
    if hosts.split(',').any(|host| host.is_empty() || host.starts_with(':')) {
        return Err("is malformed: it names no host");
    }
    let is_port_valid = |host: &str| match host.rsplit_once(':') {
        Some((_, port)) if !host.ends_with(']') => port.parse::<u16>().is_ok_and(|port| port > 0),
        _ => true,
    };
    if !hosts.split(',').all(is_port_valid) {
        return Err("is malformed: a port must be a number from 1 to 65535, \
                    and / ? # [ ] @ in a user name or password must be percent-encoded");
    }
    Ok(())
}

fn authority(rest: &str) -> &str {
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Returns the database in the path of a connection string.
fn database_in(uri: &str) -> Option<String> {
    let rest = uri.split_once("://")?.1;
    let path = rest[authority(rest).len()..].strip_prefix('/')?;
    let name = path.split('?').next().unwrap_or_default();
    (!name.is_empty()).then(|| name.to_owned())
}

fn is_database_name(name: &str) -> bool {
    name.len() <= 63 && !name.contains(['/', '\\', '.', '"', '$', ' ', '\0'])
}
