use bson::doc;
use docstore::Database;
use serde_json::{Value, json};

use crate::pages::{draft, page};
use crate::support::{App, insert, section};

/// Creates a section of pages, and its page.
async fn with_page(app: &App, title: &str, slug: &str) -> Value {
    let body = json!({ "title": title, "display_type": "static-page", "content_type": "page" });
    let section = app.create("admin", "/sections", &body).await;
    assert_eq!(section["slug"], slug);
    let put = app.put("admin", &format!("/pages/{slug}"), &page(title)).await;
    assert_eq!((put.status.as_u16(), &put.json()["section_id"]), (200, &section["id"]));
    section
}

fn section_path(section: &Value) -> String {
    format!("/sections/{}", section["id"].as_str().expect("an id"))
}

/// Returns the status of a page's address to an anonymous caller, and where it leads.
async fn leads(app: &App, page_type: &str) -> (u16, String) {
    let answer = app.get(&format!("/pages/{page_type}")).await;
    (answer.status.as_u16(), answer.header("location").to_owned())
}

fn to(page_type: &str) -> (u16, String) {
    (301, format!("/pages/{page_type}"))
}

testkit::stores! {
    async fn the_page_of_a_renamed_section_follows_it(db: Database) {
        let app = App::on(&db).await;
        let terms = with_page(&app, "Terms", "terms").await;
        app.change(&section_path(&terms), &json!({ "title": "Rules" })).await;
        assert_eq!((leads(&app, "rules").await.0, leads(&app, "terms").await), (200, to("rules")));
        let body = app.get("/pages/rules").await.json();
        assert_eq!((&body["page_type"], &body["section_id"], &body["title"]), (&json!("rules"), &terms["id"], &json!("Terms")));
        // By a slug of its own, too.
        app.change(&section_path(&terms), &json!({ "slug": "house-rules" })).await;
        for old in ["terms", "rules"] {
            assert_eq!(leads(&app, old).await, to("house-rules"), "{old}");
        }
        // A client that knows the old address changes that page, and makes no second one.
        let changed = app.put("admin", "/pages/terms", &json!({ "title": "House rules" })).await.json();
        assert_eq!((&changed["id"], &changed["page_type"]), (&body["id"], &json!("house-rules")));
        // A new section with the old name does not show the other's page.
        let new = json!({ "title": "Terms", "display_type": "static-page", "content_type": "page" });
        let new = app.create("admin", "/sections", &new).await;
        assert_eq!((new["slug"].as_str(), leads(&app, "terms").await.0), (Some("terms"), 404));
        assert_eq!(app.put("admin", "/pages/terms", &draft("New terms")).await.json()["section_id"], new["id"]);
        assert_eq!(leads(&app, "terms").await.0, 404);
        assert_eq!(app.put("admin", "/pages/terms", &json!({ "is_published": true })).await.status, 200);
        assert_eq!(app.get("/pages/terms").await.json()["title"], "New terms");
        assert_eq!(leads(&app, "house-rules").await.0, 200);
    }

    async fn a_renamed_section_never_takes_the_page_of_another(db: Database) {
        let app = App::on(&db).await;
        with_page(&app, "Terms", "terms").await;
        let rules = with_page(&app, "Rules", "rules").await;
        assert_eq!(app.put("author", "/pages/contact", &page("Write to me")).await.status, 200);
        let renamed = app.change(&section_path(&rules), &json!({ "title": "Terms" })).await;
        assert_eq!((renamed["slug"].as_str(), leads(&app, "terms-2").await.0), (Some("terms-2"), 200));
        assert_eq!(app.put("admin", &section_path(&rules), &json!({ "slug": "terms" })).await.status, 409);
        for (page_type, title) in [("terms", "Terms"), ("terms-2", "Rules"), ("contact", "Write to me")] {
            assert_eq!(app.get(&format!("/pages/{page_type}")).await.json()["title"], title, "{page_type}");
        }
    }

    async fn about_and_deleted_pages_follow_their_sections(db: Database) {
        let app = App::on(&db).await;
        let about = app.get("/sections/slug/about").await.json();
        // As the original made it: it belongs to no section.
        let at = bson::DateTime::from_millis(crate::support::NOW_MS);
        let old = doc! { "title": "o", "content": "o", "page_type": "about", "createdDate": at, "updatedDate": at };
        db.collection("pages").insert_one(old).await.unwrap();
        app.change(&section_path(&about), &json!({ "title": "Who I am" })).await;
        assert_eq!((leads(&app, "who-i-am").await.0, leads(&app, "about").await), (200, to("who-i-am")));
        assert_eq!(app.put("admin", "/pages/about", &json!({ "title": "Me" })).await.json()["page_type"], "who-i-am");
        let terms = with_page(&app, "Terms", "terms").await;
        let page = app.get("/pages/terms").await.json();
        app.remove("/pages/terms").await;
        app.change(&section_path(&terms), &json!({ "title": "Rules" })).await;
        assert_eq!((leads(&app, "rules").await.0, leads(&app, "terms").await.0), (404, 404));
        assert_eq!(app.restored("pages", &page).await, "rules");
        assert_eq!((leads(&app, "rules").await.0, leads(&app, "terms").await), (200, to("rules")));
    }

    async fn sections_with_long_slugs_have_pages(db: Database) {
        let app = App::on(&db).await;
        for title in ["a".repeat(101), "北京".repeat(100)] {
            let slug = field_notes::domain::slugify(&title);
            assert!(slug.len() > 100);
            with_page(&app, &title, &slug).await;
            assert_eq!(leads(&app, &slug).await.0, 200);
        }
    }

    async fn a_hidden_section_does_not_change_where_an_old_page_address_leads(db: Database) {
        let app = App::on(&db).await;
        let terms = with_page(&app, "Terms", "terms").await;
        app.change(&section_path(&terms), &json!({ "title": "Rules" })).await;
        insert(&db, section("terms", doc! { "content_type": "page", "is_published": false })).await;
        assert_eq!(leads(&app, "terms").await, to("rules"));
        assert_eq!(app.get_as("admin", "/pages/terms").await.status, 404);
    }
}
