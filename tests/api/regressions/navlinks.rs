use bson::{doc, oid::ObjectId};
use docstore::Database;
use serde_json::json;

use crate::navlinks::{labels, navlink, path};
use crate::support::App;
use crate::writing::ANONYMOUS;

testkit::stores! {
    async fn regression_1_unpublished_links_are_for_their_owner_and_administrators(db: Database) {
        let app = App::on(&db).await;
        let mut hidden = navlink("hidden", 0);
        hidden["is_published"] = json!(false);
        let hidden = app.create("author", "/navlinks", &hidden).await;
        app.create("author", "/navlinks", &navlink("shown", 1)).await;
        let all = "/navlinks?include_unpublished=true";
        // For others the parameter means nothing; a bad token does no harm.
        for list in [app.get(all).await, app.get_as("commenter", all).await, app.get_as("nonsense", all).await] {
            assert_eq!((labels(&list.json()), &list.json()["total"]), (vec!["shown"], &json!(1)));
        }
        assert_eq!(labels(&app.get_as("author", all).await.json()), ["hidden", "shown"]);
        assert_eq!(labels(&app.get_as("admin", all).await.json()), ["hidden", "shown"]);
        assert_eq!(labels(&app.get_as("admin", "/navlinks").await.json()), ["shown"]);
        for (who, status) in [("commenter", 404), ("nonsense", 404), ("author", 200), ("admin", 200)] {
            assert_eq!(app.get_as(who, &path(&hidden)).await.status, status, "{who}");
        }
        assert_eq!(app.get(&path(&hidden)).await.status, 404);
    }

    async fn regression_2_links_are_made_by_authors_and_administrators(db: Database) {
        let app = App::on(&db).await;
        let link = navlink("x", 0);
        assert_eq!(app.post(ANONYMOUS, "/navlinks", &link).await.status, 401);
        assert_eq!(app.post("commenter", "/navlinks", &link).await.status, 403);
        assert_eq!(app.post("author", "/navlinks", &link).await.status, 201);
        assert_eq!(app.post("admin", "/navlinks", &link).await.status, 201);
    }

    async fn regression_20_a_bad_link_does_not_break_the_list(db: Database) {
        let app = App::on(&db).await;
        app.create("author", "/navlinks", &navlink("x", 0)).await;
        let bad = ObjectId::new();
        db.collection("navlinks").insert_one(doc! { "_id": bad, "label": 5, "is_published": true }).await.unwrap();
        assert_eq!(labels(&app.get("/navlinks").await.json()), ["x"]);
        assert_eq!(app.get(&format!("/navlinks/{}", bad.to_hex())).await.status, 500);
    }
}
