use std::time::Duration;

use bson::{Bson, DateTime, Document, doc};

use crate::Result;
use crate::mongo::error::{Doing, classify};
use crate::mongo::write::operations::Core;

/// The state of a member that follows the primary.
const SECONDARY: i32 = 2;

impl Core {
    /// Asks for the state of each member, which a user may lack the privilege for; then for what a majority has, which
    /// anybody may know.
    pub(crate) async fn replication_lag(&self) -> Result<Option<Duration>> {
        let admin = self.database.client().database("admin");
        if let Ok(status) = admin.run_command(doc! { "replSetGetStatus": 1 }).await {
            return Ok(of_members(&status));
        }
        match admin.run_command(doc! { "hello": 1 }).await {
            Ok(hello) => Ok(of_majority(&hello)),
            Err(error) => {
                Err(classify(Doing { what: "asking how far secondaries are behind", collection: "" }, &error))
            }
        }
    }
}

/// How far the slowest healthy secondary is behind the member that is the furthest.
fn of_members(status: &Document) -> Option<Duration> {
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

/// How far the majority is behind the primary.
fn of_majority(hello: &Document) -> Option<Duration> {
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

    fn at(seconds: i64) -> DateTime {
        DateTime::from_millis(seconds * 1000)
    }

    #[test]
    fn the_slowest_that_is_well_counts() {
        let status = doc! { "members": [
            { "state": 1, "health": 1.0, "optimeDate": at(100) },
            { "state": 2, "health": 1.0, "optimeDate": at(97) },
            { "state": 2, "health": 1.0, "optimeDate": at(93) },
            { "state": 2, "health": 0.0, "optimeDate": at(1) },
            { "state": 3, "health": 1.0, "optimeDate": at(1) },
            { "state": 7, "health": 1.0 },
        ] };
        assert_eq!(of_members(&status), Some(Duration::from_secs(7)));
        let alone = doc! { "members": [{ "state": 1, "health": 1.0, "optimeDate": at(100) }] };
        assert_eq!(of_members(&alone), Some(Duration::ZERO));
    }

    #[test]
    fn without_the_privilege_the_majority_counts() {
        let written = doc! { "lastWriteDate": at(9), "majorityWriteDate": at(7) };
        let hello = doc! { "setName": "rs", "lastWrite": written };
        assert_eq!(of_majority(&hello), Some(Duration::from_secs(2)));
        assert_eq!(of_majority(&doc! { "isWritablePrimary": true }), None);
    }
}
