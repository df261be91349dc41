use bson::{Bson, doc};
use docstore::{Database, Filter, Update};
use serde_json::json;

use crate::pages::{draft, page};
use crate::support::{App, NOW_MS};
use crate::writing::stored;

testkit::stores! {
    async fn regression_1_unpublished_pages_are_for_their_owner_and_administrators(db: Database) {
        let app = App::on(&db).await;
        assert_eq!(app.put("author", "/pages/about", &draft("Draft")).await.status, 200);
        assert_eq!(app.get("/pages/about").await.status, 404);
        assert_eq!(app.get_as("commenter", "/pages/about").await.status, 404);
        assert_eq!(app.get_as("nonsense", "/pages/about").await.status, 404);
        assert_eq!(app.get_as("author", "/pages/about").await.status, 200);
        assert_eq!(app.get_as("admin", "/pages/about").await.status, 200);
        // To others it is not there in any respect: a commenter may not create the other built-in page either.
        for path in ["/pages/about", "/pages/contact"] {
            assert_eq!(app.put("commenter", path, &page("x")).await.status, 403);
        }
        assert_eq!(app.delete("commenter", "/pages/about").await.status, 404);
    }

    async fn regression_12_a_deleted_page_can_be_made_again(db: Database) {
        let app = App::on(&db).await;
        for turn in 0..3 {
            let created = app.put("author", "/pages/about", &page(&format!("Turn {turn}"))).await;
            assert_eq!(created.status, 200, "{turn}");
            let deleted = app.delete("author", "/pages/about").await;
            assert_eq!((deleted.status.as_u16(), deleted.bytes.len(), deleted.header("content-type")), (204, 0, "application/json"));
            assert_eq!(app.get_as("admin", "/pages/about").await.status, 404);
            let document = stored(&db, "pages", &created.json()["id"]).await;
            assert_eq!((document.get("deleted"), document.get("is_deleted")), (Some(&Bson::Boolean(true)), Some(&Bson::Boolean(true))));
        }
        // One that another program deleted, by either mark.
        for mark in ["deleted", "is_deleted"] {
            let at = bson::DateTime::from_millis(NOW_MS);
            let old = doc! { "title": "o", "content": "o", "page_type": "contact", mark: true, "createdDate": at, "updatedDate": at };
            let old = db.collection("pages").insert_one(old).await.unwrap().as_object_id().unwrap().to_hex();
            assert_eq!(app.put("author", "/pages/contact", &page("New")).await.status, 200);
            let old = stored(&db, "pages", &json!(old)).await;
            assert_eq!(old.get_str("page_type_before").unwrap(), "contact");
            assert_eq!(app.delete("author", "/pages/contact").await.status, 204);
            let gone = Update::new().set("page_type", format!("~{mark}"));
            db.collection("pages").update_many(&Filter::eq("page_type", "contact"), &gone).await.unwrap();
        }
    }
}
