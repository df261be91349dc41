//! Ensures that the user with the e-mail address `ADMIN_EMAIL` exists and is an administrator.
//!
//! An existing user is promoted and not changed otherwise.

use async_trait::async_trait;
use bson::{Bson, doc};
use docstore::{Filter, Find};
use migrator::{Check, Finding, Meta, Migration, Mode, Phase, Reference, Result, Undo, UndoImported, Up};

/// Creates or promotes the administrator.
pub(crate) struct CreateAdminUser;

const META: Meta = Meta::new("0001_create_admin_user", "create the administrator's account")
    .requires_env(&[ADMIN_EMAIL])
    .mode(Mode::Idempotent)
    .phase(Phase::Expand)
    .touches(&[USERS])
    .former_checksums(&["v1:4c38ba926c0634bd50b3698ad0b7f7679b34171e175eec6180a8c888c3eb6c37"]);

const ADMIN_EMAIL: &str = "ADMIN_EMAIL";
const USERS: &str = "users";
const EMAIL: &str = "email";
const ROLE: &str = "role";
const ADMIN: &str = "admin";

/// The fields that refer to what it inserts.
const REFERENCES: [Reference; 5] = [
    Reference::new("stories", "user_id"),
    Reference::new("projects", "user_id"),
    Reference::new("pages", "user_id"),
    Reference::new("sections", "user_id"),
    Reference::new("navlinks", "user_id"),
];

#[async_trait]
impl Migration for CreateAdminUser {
    fn meta(&self) -> &'static Meta {
        &META
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        let email = cx.env(ADMIN_EMAIL)?;
        let name = email.split('@').next().unwrap_or_default();
        let now = cx.now();
        let user = doc! {
            EMAIL: &email,
            "name": name,
            "avatar_url": Bson::Null,
            ROLE: ADMIN,
            "auth_providers": [],
            "createdDate": now,
            "updatedDate": now,
        };
        let is_admin = Filter::eq(EMAIL, email);
        cx.insert_if_absent("create the user", USERS, &is_admin, user).await?;
        cx.set("promote the user", USERS, &is_admin, ROLE, ADMIN).await?;
        Ok(())
    }

    fn undo(&self) -> Undo {
        Undo::Journal
    }

    fn references(&self) -> &'static [Reference] {
        &REFERENCES
    }

    async fn undo_imported(&self, cx: &mut UndoImported<'_>) -> Result<()> {
        let is_admin = Filter::eq(EMAIL, cx.env(ADMIN_EMAIL)?);
        cx.delete(USERS, &is_admin, "the administrator's account, even if it existed before the migration").await
    }

    async fn check(&self, cx: &Check<'_>) -> Result<Vec<Finding>> {
        let is_admin = Filter::eq(EMAIL, cx.env(ADMIN_EMAIL)?);
        let finding = match cx.find_one(USERS, Find::new(is_admin)).await? {
            None => "no user has the e-mail address of ADMIN_EMAIL",
            Some(user) if user.get_str(ROLE).ok() != Some(ADMIN) => {
                "the user with the e-mail address of ADMIN_EMAIL is not an administrator"
            }
            Some(_) => return Ok(Vec::new()),
        };
        Ok(vec![Finding::new(finding)])
    }
}
