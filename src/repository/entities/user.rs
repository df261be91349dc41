use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocument, doc};
use chrono::{DateTime, Utc};
use docstore::{Collection, Database, Filter, Find, Index, Sort, Update};

use crate::domain::{Id, Role};
use crate::repository::Error;
use crate::repository::row::{object_id, read_row, text};

/// The number of characters of an address that index look-ups vary in case.
const SPELLED: usize = 3;
/// The time that a request waits until the sign-in of a stored user is recorded.
const RECORDING: Duration = Duration::from_millis(250);

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
    /// Picture.
    pub avatar_url: Option<String>,
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

    /// Returns an id that no user has.
    pub fn unused_id() -> Id {
        Id::from(ObjectId::new())
    }

    /// Returns the stored user: the one with the account, or else with the e-mail address. Addresses are compared without
    /// regard to case; of several, the one in the given case counts, then the one in lower case, then the oldest.
    pub async fn find(&self, user: &NewUser) -> Result<Option<User>, Error> {
        Ok(self.find_stored(user).await?.map(|stored| stored.user))
    }

    /// Returns the user with this e-mail address.
    pub async fn find_address(&self, email: &str) -> Result<Option<User>, Error> {
        Ok(self.find_by_address(email).await?.map(|stored| stored.user))
    }

    /// Returns the address of the user with this address, as it is stored.
    pub async fn stored_address(&self, email: &str) -> Result<Option<String>, Error> {
        Ok(self.find_by_address(email).await?.map(|stored| stored.email))
    }

    /// Records a sign-in and returns the user, creating it if necessary. Concurrent sign-ins return one user, since the
    /// e-mail address is a unique key. A stored user is returned even if the sign-in cannot be recorded at once.
    pub async fn sign_in(&self, user: NewUser, now: DateTime<Utc>) -> Result<User, Error> {
        if let Some(stored) = self.find_stored(&user).await? {
            match tokio::time::timeout(RECORDING, self.record(&stored, &user, now)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "failed to record a sign-in"),
                Err(_) => tracing::debug!("a sign-in is being recorded: the store is busy"),
            }
            return Ok(stored.user);
        }
        let NewUser { email, name, avatar_url, role, account } = user;
        let now = Bson::DateTime(bson::DateTime::from_chrono(now));
        let accounts = account.map(|(provider, id)| account_entry(provider, &id, &email));
        let update = Update::new()
            .set_on_insert("name", name)
            .set_on_insert("avatar_url", avatar_url.map_or(Bson::Null, Bson::String))
            .set_on_insert("role", role.as_str())
            .set_on_insert("createdDate", now.clone())
            .set_on_insert("auth_providers", accounts.into_iter().map(Bson::Document).collect::<Vec<_>>())
            .set("updatedDate", now);
        let filter = Filter::eq("email", email.to_lowercase());
        let stored = match self.collection.find_one_and_upsert(filter.clone(), update.clone()).await {
            // Another request inserted the same address first; now it can be updated.
            Err(error) if error.duplicate_index().is_some() => {
                self.collection.find_one_and_upsert(filter, update).await?
            }
            outcome => outcome?,
        };
        Ok(StoredUser::read(&stored)?.user)
    }

    async fn find_stored(&self, user: &NewUser) -> Result<Option<StoredUser>, Error> {
        let NewUser { email, account, .. } = user;
        if let Some((provider, id)) = account {
            let filter = Filter::eq("auth_providers.provider_user_id", id.as_str())
                .also(Filter::eq("auth_providers.provider", *provider));
            let has_account = |stored: &StoredUser| {
                usize::from(!stored.accounts.iter().any(|(p, i)| p == provider && i == id))
            };
            if let Some(stored) = self.best(filter, 0, has_account).await? {
                return Ok(Some(stored));
            }
        }
        self.find_by_address(email).await
    }

    async fn find_by_address(&self, email: &str) -> Result<Option<StoredUser>, Error> {
        let lower = email.to_lowercase();
        let spelling = |stored: &StoredUser| match &stored.email {
            stored if stored == email => 0,
            stored if *stored == lower => 1,
            stored if stored.to_lowercase() == lower => 2,
            _ => 3,
        };
        let exact = Filter::is_in("email", [email, &lower]);
        if let Some(stored) = self.best(exact, 2, spelling).await? {
            return Ok(Some(stored));
        }
        // Earlier versions stored addresses in any case. The index finds those with the same first characters.
        let prefixes = spellings(&lower).into_iter().map(|prefix| Filter::starts_with("email", prefix));
        self.best(Filter::or(prefixes), 2, spelling).await
    }

    /// Returns the match of the lowest rank, of several the oldest. Ranks above `limit` do not count.
    async fn best(
        &self,
        filter: Filter,
        limit: usize,
        rank: impl Fn(&StoredUser) -> usize,
    ) -> Result<Option<StoredUser>, Error> {
        let mut users = self.collection.find(Find::new(filter).sort(Sort::ascending("_id"))).await?;
        let mut best: Option<(usize, StoredUser)> = None;
        while let Some(document) = users.next_raw().await? {
            // A user that cannot be read keeps no one else from signing in; its own address is taken, and fails.
            let Ok(stored) = StoredUser::read(&document) else { continue };
            let rank = rank(&stored);
            if rank <= limit && best.as_ref().is_none_or(|(best, _)| rank < *best) {
                best = Some((rank, stored));
            }
        }
        Ok(best.map(|(_, stored)| stored))
    }

    /// Records a sign-in of a stored user: its time, a new account, and a new address if no one else has it.
    async fn record(&self, stored: &StoredUser, user: &NewUser, now: DateTime<Utc>) -> Result<(), Error> {
        let mut update = Update::new().set("updatedDate", bson::DateTime::from_chrono(now));
        if let Some((provider, id)) = &user.account
            && !stored.accounts.iter().any(|(p, i)| p == provider && i == id)
        {
            update = update.add_to_set("auth_providers", account_entry(provider, id, &user.email));
        }
        let filter = Filter::id(stored.user.id.object_id());
        let email = user.email.to_lowercase();
        if stored.email.to_lowercase() != email {
            let moved = self.collection.update_one(&filter, &update.clone().set("email", email)).await;
            match moved {
                Err(error) if error.duplicate_index().is_some() => {
                    tracing::warn!(user = %stored.user.id, "another user has the new address of this one");
                }
                outcome => return outcome.map(|_| ()).map_err(Error::from),
            }
        }
        self.collection.update_one(&filter, &update).await?;
        Ok(())
    }
}

/// The key that identifies a stored user.
struct StoredUser {
    user: User,
    email: String,
    /// Providers, and the ids of the accounts there.
    accounts: Vec<(String, String)>,
}

impl StoredUser {
    fn read(document: &RawDocument) -> Result<Self, Error> {
        let user = read_row(COLLECTION, document, |row| {
            // A picture that cannot be read keeps no one from signing in.
            let avatar_url = row.read("avatar_url", |value| Some(text(value)))?;
            Ok(User { id: row.read("_id", object_id)?, name: row.read("name", text)?, avatar_url })
        })?;
        let email = document.get_str("email").unwrap_or_default().to_owned();
        let entries = document.get_array("auth_providers").into_iter().flatten().filter_map(Result::ok);
        let accounts = entries.filter_map(|entry| {
            let entry = entry.as_document()?;
            let field = |name| Some(entry.get_str(name).ok()?.to_owned());
            Some((field("provider")?, field("provider_user_id")?))
        });
        Ok(Self { user, email, accounts: accounts.collect() })
    }
}

/// Reads the key of a stored user.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_user(document: &RawDocument) {
    match StoredUser::read(document) {
        Ok(stored) => assert!(
            stored
                .accounts
                .iter()
                .all(|(provider, id)| provider.len() + id.len() < document.as_bytes().len())
        ),
        Err(Error::Corrupt { field, .. }) => assert!(!field.is_empty()),
        Err(error) => panic!("{error:?}"),
    }
}

fn account_entry(provider: &str, id: &str, email: &str) -> Document {
    doc! { "provider": provider, "provider_user_id": id, "email": email }
}

/// Returns the first characters of an address in lower case, in all spellings.
fn spellings(lower: &str) -> Vec<String> {
    lower.chars().take(SPELLED).fold(vec![String::new()], |prefixes, c| {
        let both = [c.to_string(), c.to_uppercase().collect()];
        let distinct = if both[0] == both[1] { &both[..1] } else { &both };
        prefixes.iter().flat_map(|prefix| distinct.iter().map(move |c| format!("{prefix}{c}"))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_vary_the_case_of_the_first_characters() {
        assert_eq!(spellings("a1b@example.com"), ["a1b", "a1B", "A1b", "A1B"]);
        assert_eq!(spellings("é"), ["é", "É"]);
        assert_eq!(spellings("").len(), 1);
    }
}
