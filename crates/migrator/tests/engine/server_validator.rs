use async_trait::async_trait;
use docstore::bson::{Document, doc};
use docstore::{Database, Error};
use migrator::{
    Check, DownTarget, Finding, Graph, Meta, Migration, Migrator, Phase, Result, Undo, Up, UpMode,
};

use crate::toys::settings;

/// A migration that sets a validator on the server: the example for `docs/migrations.md`.
struct RequireTitle;

const META: Meta =
    Meta::new("0001_require_title", "stories need a title").touches(&["stories"]).phase(Phase::Contract);

impl RequireTitle {
    /// Sets the validator; an empty one removes it. Does nothing on the SQLite engine and in a dry run.
    async fn set(cx: &Up<'_>, validator: Document) -> Result<()> {
        let Some(server) = cx.mongo() else { return Ok(()) };
        let command = doc! { "collMod": "stories", "validator": validator };
        let done = server.run_command(command).await;
        done.map_err(|error| Error::Engine { what: "setting a validator", source: Box::new(error) })?;
        Ok(())
    }
}

#[async_trait]
impl Migration for RequireTitle {
    fn meta(&self) -> &'static Meta {
        &META
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        Self::set(cx, doc! { "title": { "$type": "string" } }).await
    }

    async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    fn undo(&self) -> Undo {
        Undo::Code
    }

    async fn down(&self, cx: &mut Up<'_>) -> Result<()> {
        Self::set(cx, doc! {}).await
    }
}

testkit::stores! {
    async fn a_migration_sets_a_validator_through_the_driver_and_down_removes_it(db: Database) {
        let on_server = docstore::mongo::as_mongo(&db).is_some();
        let stories = db.collection("stories");
        stories.insert_one(doc! { "_id": 1, "title": "a" }).await.unwrap();
        let migrator = Migrator::new(db.clone(), Graph::new(vec![Box::new(RequireTitle)]).unwrap(), settings());
        migrator.preview(UpMode::Operator).await.unwrap();
        stories.insert_one(doc! { "_id": 2 }).await.unwrap();
        migrator.up(UpMode::Start).await.unwrap();
        let untitled = stories.insert_one(doc! { "_id": 3 }).await;
        assert_eq!(matches!(untitled, Err(Error::InvalidDocument { .. })), on_server, "{untitled:?}");
        migrator.down(DownTarget::Last).await.unwrap();
        stories.insert_one(doc! { "_id": 4 }).await.unwrap();
    }
}
