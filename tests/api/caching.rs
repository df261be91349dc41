use axum::http::Method;
use bson::doc;
use docstore::Database;

use crate::support::{App, insert, section};

testkit::stores! {
    async fn if_none_match_returns_304(db: Database) {
        let app = App::on(&db).await;
        for path in ["/sections", "/sections/slug/blog"] {
            let first = app.get(path).await;
            let tag = first.header("etag").to_owned();
            assert!(tag.starts_with('"') && tag.len() > 10, "{tag}");
            assert_eq!(first.header("cache-control"), "public, max-age=0, must-revalidate");
            assert_eq!(first.header("vary"), "Authorization, Accept, Accept-Encoding, Origin");
            let held = app.send(Method::GET, path, &[("if-none-match", &tag)]).await;
            assert_eq!((held.status.as_u16(), held.bytes.len(), held.header("etag")), (304, 0, tag.as_str()));
            assert_eq!(held.header("cache-control"), "public, max-age=0, must-revalidate");
            let other = app.send(Method::GET, path, &[("if-none-match", "\"other\"")]).await;
            assert_eq!(other.status, 200);
        }
    }

    async fn etag_changes_with_the_item(db: Database) {
        let app = App::on(&db).await;
        let before = app.get("/sections").await.header("etag").to_owned();
        insert(&db, section("more", doc! {})).await;
        let after = app.send(Method::GET, "/sections", &[("if-none-match", &before)]).await;
        assert_eq!(after.status, 200);
        assert_ne!(after.header("etag"), before);
    }

    async fn answers_to_somebody_are_theirs(db: Database) {
        let app = App::on(&db).await;
        for path in ["/sections", "/sections?include_unpublished=true", "/sections/slug/blog", "/sections/slug/none"] {
            let answer = app.get_as("admin", path).await;
            assert_eq!(answer.header("cache-control"), "private, no-store", "{path}");
            // A single item has the entity tag that a client needs to change it.
            assert_eq!(answer.headers.contains_key("etag"), path.ends_with("blog"), "{path}");
        }
        assert_eq!(app.get("/sections/slug/none").await.header("cache-control"), "no-store");
    }
}
