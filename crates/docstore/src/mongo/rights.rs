use bson::{Bson, Document, doc};

use crate::mongo::core::Core;
use crate::mongo::error::{ErrorContext, classify};
use crate::{Result, Rights, Space};

/// The privilege actions that this program needs on a database.
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
    "collMod",
    "renameCollectionSameDB",
    "changeStream",
];

impl Core {
    pub(crate) async fn rights(&self) -> Result<Rights> {
        let asked = doc! { "connectionStatus": 1, "showPrivileges": true };
        let doing = ErrorContext { what: "reading the privileges of the user", collection: "" };
        let status = self.database.run_command(asked).await.map_err(|error| classify(doing, &error))?;
        Ok(read(&status, self.database.name()))
    }

    pub(crate) async fn space(&self) -> Result<Space> {
        let doing = ErrorContext { what: "reading the available disk space", collection: "" };
        let asked = self.database.run_command(doc! { "dbStats": 1 }).await;
        let stats = asked.map_err(|error| classify(doing, &error))?;
        let bytes = |key| number(stats.get(key));
        let free = match (bytes("fsTotalSize"), bytes("fsUsedSize")) {
            (Some(total), Some(used)) => Some(total.saturating_sub(used)),
            _ => None,
        };
        Ok(Space { used: bytes("dataSize").unwrap_or(0), free })
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

fn number(value: Option<&Bson>) -> Option<u64> {
    match value? {
        Bson::Int32(n) => u64::try_from(*n).ok(),
        Bson::Int64(n) => u64::try_from(*n).ok(),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size, saturating")]
        Bson::Double(n) => Some(*n as u64),
        _ => None,
    }
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
}
