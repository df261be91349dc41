//! Makes the administrator the owner of content without one, including deleted content.
//!
//! The owner is stored as the user's id in text form. A `user_id` of null counts as an owner and stays.

use async_trait::async_trait;
use bson::Bson;
use docstore::{Filter, Find};
use migrator::{Check, Error, Finding, Meta, Migration, Mode, Phase, Result, Undo, UndoImported, Up};

/// Sets `user_id` where it is missing.
pub(crate) struct AddUserIdToContent;

const META: Meta = Meta::new("0002_add_user_id_to_content", "give content without an owner to the administrator")
    .after(&["0001_create_admin_user"])
    .requires_env(&[ADMIN_EMAIL])
    .mode(Mode::Batched)
    .phase(Phase::Expand)
    .touches(&["stories", "pages", "projects", USERS])
    .former_checksums(&[
        "v1:25d492a87b196aeab6a9996decc044811234af5c919f17d4a17af9a8d514e9a1",
        "v1:b27a308416e9f4817ea7bea20bd7198b2ce7c84c1bc871b344229b3556a81dfb",
    ]);

const ADMIN_EMAIL: &str = "ADMIN_EMAIL";
const USERS: &str = "users";
const EMAIL: &str = "email";
const USER_ID: &str = "user_id";
const CONTENT: [&str; 3] = ["stories", "pages", "projects"];

#[async_trait]
impl Migration for AddUserIdToContent {
    fn meta(&self) -> &'static Meta {
        &META
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        let is_admin = Filter::eq(EMAIL, cx.env(ADMIN_EMAIL)?);
        let admin = cx.find_one(USERS, Find::new(is_admin)).await?;
        let owner = match admin.as_ref().and_then(|user| user.get("_id")) {
            Some(Bson::ObjectId(id)) => id.to_hex(),
            Some(Bson::String(id)) => id.clone(),
            _ => {
                return Err(Error::migration(
                    "no user has the e-mail address in ADMIN_EMAIL, so no owner can be set; \
                     either set ADMIN_EMAIL in .env to the address of an existing user, \
                     or run `field-notes migrate down` until 0001_create_admin_user is rolled back",
                ));
            }
        };
        for collection in CONTENT {
            let step = format!("own {collection}");
            cx.set_where_missing(&step, collection, &Filter::All, USER_ID, owner.as_str()).await?;
        }
        Ok(())
    }

    fn undo(&self) -> Undo {
        Undo::Journal
    }

    async fn undo_imported(&self, cx: &mut UndoImported<'_>) -> Result<()> {
        for collection in CONTENT {
            cx.unset(collection, &Filter::All, USER_ID, "including owners other than the administrator").await?;
        }
        Ok(())
    }

    async fn check(&self, cx: &Check<'_>) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for collection in CONTENT {
            let without = cx.count(collection, &Filter::missing(USER_ID)).await?;
            if without > 0 {
                findings.push(Finding::new(format!("{without} of {collection} have no user_id")));
            }
        }
        Ok(findings)
    }
}
