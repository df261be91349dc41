use std::time::Duration;

use bson::{Bson, DateTime, Document, doc};

use crate::Result;
use crate::mongo::core::Core;
use crate::mongo::error::{ErrorContext, classify};

/// `replSetGetStatus` state of a secondary.
const SECONDARY: i32 = 2;

impl Core {
    /// Reads the state of each member, for which the user may lack the privilege; otherwise compares the primary with the
    /// majority, which needs none.
    pub(crate) async fn replication_lag(&self) -> Result<Option<Duration>> {
        let admin = self.database.client().database("admin");
        if let Ok(status) = admin.run_command(doc! { "replSetGetStatus": 1 }).await {
            return Ok(members_lag(&status));
        }
        match admin.run_command(doc! { "hello": 1 }).await {
            Ok(hello) => Ok(majority_lag(&hello)),
            Err(error) => {
                Err(classify(ErrorContext { what: "reading the replication lag", collection: "" }, &error))
            }
        }
    }
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
