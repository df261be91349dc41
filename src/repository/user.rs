use bson::{Bson, Document};
use chrono::{DateTime, Utc};
use docstore::{Collection, Database, Filter, Find, FindAndUpdate, Index, Update};

use super::row::own_id;
use super::{BadField, Error};
use crate::domain::{Id, Role};

/// The name of the collection.
pub(super) const COLLECTION: &str = "users";

/// The indexes of the collection.
pub(super) fn indexes() -> Vec<Index> {
    vec![
        Index::on(["email"]).unique(),
        Index::on(["auth_providers.provider", "auth_providers.provider_user_id"])
            .named("auth_provider_lookup"),
    ]
}

/// What is known of somebody who signs in for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The e-mail address, which tells users apart.
    pub email: String,
    /// How they are called.
    pub name: String,
    /// Their picture.
    pub avatar_url: Option<String>,
    /// The role they are stored with. What they may do is decided anew at each request.
    pub role: Role,
}

/// The users. Cheap to clone.
#[derive(Clone)]
pub struct Users {
    collection: Collection,
}

impl Users {
    /// The users of a database.
    pub fn new(database: &Database) -> Self {
        Self { collection: database.collection(COLLECTION) }
    }

    /// The id of the user with this e-mail address, who is made if there is none. Requests at the same time agree:
    /// the e-mail address is a unique key.
    pub async fn ensure(&self, user: NewUser, now: DateTime<Utc>) -> Result<Id, Error> {
        let by_email = Filter::eq("email", user.email.as_str());
        if let Some(found) = self.collection.find_one(Find::new(by_email.clone())).await? {
            return id_of(&found);
        }
        let now = Bson::DateTime(bson::DateTime::from_chrono(now));
        let update = Update::new()
            .set_on_insert("name", user.name)
            .set_on_insert("avatar_url", user.avatar_url.map_or(Bson::Null, Bson::String))
            .set_on_insert("role", user.role.as_str())
            .set_on_insert("auth_providers", Vec::<Bson>::new())
            .set_on_insert("createdDate", now.clone())
            .set_on_insert("updatedDate", now);
        let upsert = FindAndUpdate::new(by_email.clone(), update).upsert();
        let stored = match self.collection.find_one_and_update(upsert).await {
            // Somebody else inserted the same address first; theirs is the one.
            Err(error) if error.duplicate_index().is_some() => {
                self.collection.find_one(Find::new(by_email)).await?
            }
            outcome => outcome?,
        };
        stored.as_ref().map_or_else(|| Err(corrupt(&Bson::Null, "_id")), id_of)
    }
}

fn id_of(document: &Document) -> Result<Id, Error> {
    let id = document.get("_id").cloned().unwrap_or(Bson::Null);
    own_id(&id).map_err(|BadField(field)| corrupt(&id, field))
}

fn corrupt(id: &Bson, field: &'static str) -> Error {
    Error::Corrupt { collection: COLLECTION, id: id.to_string(), field }
}
