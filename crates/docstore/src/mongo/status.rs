//! Reads of the server's status: the user's privileges, the disk space and the replication lag.

use std::time::Duration;

use bson::{Bson, DateTime, Document, doc};

use crate::mongo::engine::{Core, number};
use crate::mongo::error::failed;
use crate::{Result, Rights, Space};

/// `replSetGetStatus` state of a secondary.
const SECONDARY: i32 = 2;

/// The privilege actions that migrations and the server need on a database. The role `readWrite` has all of them.
const WANTED: &[&str] = &[
    "find",
    "insert",
    "update",
    "remove",
    "createCollection",
    "dropCollection",
    "createIndex",
    "dropIndex",
    "listCollections",
    "listIndexes",
    "renameCollectionSameDB",
    "changeStream",
];

impl Core {
    pub(crate) async fn rights(&self) -> Result<Rights> {
        let command = doc! { "connectionStatus": 1, "showPrivileges": true };
        let status = self.database.run_command(command).await;
        let status = status.map_err(failed("reading the privileges of the user", ""))?;
        Ok(read(&status, self.database.name()))
    }

    pub(crate) async fn space(&self) -> Result<Space> {
        let stats = self.database.run_command(doc! { "dbStats": 1 }).await;
        let stats = stats.map_err(failed("reading the available disk space", ""))?;
        // The size of the file system is 0 for a database that does not exist yet.
        let free = number(&stats, "fsTotalSize")
            .filter(|total| *total > 0)
            .zip(number(&stats, "fsUsedSize"))
            .map(|(total, used)| total.saturating_sub(used));
        Ok(Space { used: number(&stats, "dataSize").unwrap_or(0), free })
    }

    /// Reads the state of each member, for which the user may lack the privilege; otherwise compares the primary with the
    /// majority, which needs none.
    pub(crate) async fn replication_lag(&self) -> Result<Option<Duration>> {
        let admin = self.database.client().database("admin");
        let hello = admin.run_command(doc! { "hello": 1 }).await;
        let hello = hello.map_err(failed("reading the replication lag", ""))?;
        // A standalone server and `mongos` belong to no replica set and reject `replSetGetStatus`.
        if !hello.contains_key("setName") {
            return Ok(None);
        }
        match admin.run_command(doc! { "replSetGetStatus": 1 }).await {
            Ok(status) => Ok(members_lag(&status)),
            Err(_) => Ok(majority_lag(&hello)),
        }
    }
}

fn read(status: &Document, database: &str) -> Rights {
    let none = Document::new();
    let info = status.get_document("authInfo").unwrap_or(&none);
    let list = |key| info.get_array(key).map(Vec::as_slice).unwrap_or_default();
    if list("authenticatedUsers").is_empty() {
        return Rights::Unlimited;
    }
    let mut may: Vec<&str> = Vec::new();
    for privilege in list("authenticatedUserPrivileges").iter().filter_map(Bson::as_document) {
        let Ok(resource) = privilege.get_document("resource") else { continue };
        // A privilege on all collections of this database or of all databases.
        let whole = resource.get_str("collection").is_ok_and(str::is_empty)
            && resource.get_str("db").is_ok_and(|db| db.is_empty() || db == database);
        if whole || resource.get_bool("anyResource").unwrap_or(false) {
            let actions = privilege.get_array("actions").map(Vec::as_slice).unwrap_or_default();
            may.extend(actions.iter().filter_map(Bson::as_str));
        }
    }
    let lacking = WANTED.iter().filter(|action| !may.contains(action) && !may.contains(&"anyAction"));
    Rights::Lacking(lacking.map(|action| (*action).to_owned()).collect())
}

/// Returns the lag of the slowest healthy secondary behind the most recent member.
fn members_lag(status: &Document) -> Option<Duration> {
    let members = status.get_array("members").ok()?.iter().filter_map(Bson::as_document);
    let dated = |member: &Document| member.get_datetime("optimeDate").ok().copied();
    let first = members.clone().filter_map(dated).max()?;
    let well = |member: &&Document| {
        member.get_i32("state").is_ok_and(|state| state == SECONDARY)
            && member.get("health").and_then(Bson::as_f64).is_none_or(|health| health > 0.0)
    };
    let last = members.filter(well).filter_map(dated).min().unwrap_or(first);
    Some(between(last, first))
}

/// Returns the lag of the majority behind the primary.
fn majority_lag(hello: &Document) -> Option<Duration> {
    let written = hello.get_document("lastWrite").ok()?;
    let last = written.get_datetime("lastWriteDate").ok()?;
    let majority = written.get_datetime("majorityWriteDate").ok()?;
    hello.get_str("setName").ok().map(|_| between(*majority, *last))
}

fn between(from: DateTime, to: DateTime) -> Duration {
    to.checked_duration_since(from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_count_on_the_whole_database_only() {
        let all: Vec<Bson> = WANTED.iter().map(|action| Bson::from(*action)).collect();
        let status = |resource: Document, actions: Vec<Bson>| {
            doc! { "authInfo": {
                "authenticatedUsers": [{ "user": "u", "db": "admin" }],
                "authenticatedUserPrivileges": [{ "resource": resource, "actions": actions }],
            } }
        };
        let lacking = |count: usize, status: Document| {
            assert!(matches!(read(&status, "site"), Rights::Lacking(l) if l.len() == count), "{status}");
        };
        lacking(0, status(doc! { "db": "site", "collection": "" }, all.clone()));
        lacking(0, status(doc! { "db": "", "collection": "" }, all.clone()));
        lacking(0, status(doc! { "anyResource": true }, vec!["anyAction".into()]));
        lacking(WANTED.len(), status(doc! { "db": "other", "collection": "" }, all.clone()));
        lacking(WANTED.len(), status(doc! { "db": "site", "collection": "stories" }, all.clone()));
        lacking(WANTED.len() - 1, status(doc! { "db": "site", "collection": "" }, vec!["find".into()]));
        assert_eq!(read(&doc! { "authInfo": { "authenticatedUsers": [] } }, "site"), Rights::Unlimited);
    }

    fn at(seconds: i64) -> DateTime {
        DateTime::from_millis(seconds * 1000)
    }

    #[test]
    fn lag_is_that_of_the_slowest_healthy_secondary() {
        let status = doc! { "members": [
            { "state": 1, "health": 1.0, "optimeDate": at(100) },
            { "state": 2, "health": 1.0, "optimeDate": at(97) },
            { "state": 2, "health": 1.0, "optimeDate": at(93) },
            { "state": 2, "health": 0.0, "optimeDate": at(1) },
            { "state": 3, "health": 1.0, "optimeDate": at(1) },
            { "state": 7, "health": 1.0 },
        ] };
        assert_eq!(members_lag(&status), Some(Duration::from_secs(7)));
        let alone = doc! { "members": [{ "state": 1, "health": 1.0, "optimeDate": at(100) }] };
        assert_eq!(members_lag(&alone), Some(Duration::ZERO));
    }

    #[test]
    fn lag_falls_back_to_the_majority_without_privileges() {
        let written = doc! { "lastWriteDate": at(9), "majorityWriteDate": at(7) };
        let hello = doc! { "setName": "rs", "lastWrite": written };
        assert_eq!(majority_lag(&hello), Some(Duration::from_secs(2)));
        assert_eq!(majority_lag(&doc! { "isWritablePrimary": true }), None);
    }
}
