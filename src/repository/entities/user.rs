use bson::{Bson, doc};
use chrono::{DateTime, Utc};
use docstore::{Collection, Database, Filter, Index, Update};

use crate::domain::{Id, Role};
use crate::repository::Error;
use crate::repository::entity::{object_id, text};
use crate::repository::repository::read_row;

/// The collection of users.
pub(in crate::repository) const COLLECTION: &str = "users";

/// Returns the indexes of the collection.
pub(in crate::repository) fn indexes() -> Vec<Index> {
    vec![
        Index::on(["email"]).unique(),
        Index::on(["auth_providers.provider", "auth_providers.provider_user_id"])
            .named("auth_provider_lookup"),
    ]
}

/// A user who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// E-mail address, the unique key.
    pub email: String,
    /// Display name of a new user.
    pub name: String,
    /// Picture of a new user.
    pub avatar_url: Option<String>,
    /// Stored role of a new user. Permissions are decided per request and do not depend on it.
    pub role: Role,
    /// The issuer of the token, and the account's id there.
    pub account: Option<(&'static str, String)>,
}

/// A stored user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Id.
    pub id: Id,
    /// Display name.
    pub name: String,
}

/// The repository of users. Cheap to clone.
#[derive(Clone)]
pub struct Users {
    collection: Collection,
}

impl Users {
    /// Opens the collection of users in a database.
    pub fn new(database: &Database) -> Self {
        Self { collection: database.collection(COLLECTION) }
    }

    /// Records a sign-in and returns the user with the e-mail address, creating it if necessary. Concurrent sign-ins
    /// return one user, since the e-mail address is a unique key.
    pub async fn sign_in(&self, user: NewUser, now: DateTime<Utc>) -> Result<User, Error> {
        let NewUser { email, name, avatar_url, role, account } = user;
        let now = Bson::DateTime(bson::DateTime::from_chrono(now));
        let update = Update::new()
            .set_on_insert("name", name)
            .set_on_insert("avatar_url", avatar_url.map_or(Bson::Null, Bson::String))
            .set_on_insert("role", role.as_str())
            .set_on_insert("createdDate", now.clone())
            .set("updatedDate", now);
        let update = match account {
            Some((provider, id)) => {
                let account = doc! { "provider": provider, "provider_user_id": id, "email": email.as_str() };
                update.add_to_set("auth_providers", account)
            }
            None => update.set_on_insert("auth_providers", Vec::<Bson>::new()),
        };
        let filter = Filter::eq("email", email);
        let stored = match self.collection.find_one_and_upsert(filter.clone(), update.clone()).await {
            // Another request inserted the same address first; now it can be updated.
            Err(error) if error.duplicate_index().is_some() => {
                self.collection.find_one_and_upsert(filter, update).await?
            }
            outcome => outcome?,
        };
        read_row(COLLECTION, &stored, |row| {
            Ok(User { id: row.read("_id", object_id)?, name: row.read("name", text)? })
        })
    }
}
