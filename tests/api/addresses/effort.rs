use bson::doc;
use docstore::Database;
use serde_json::json;

use super::{found, to};
use crate::counting::{Counting, Counts};
use crate::stories::{insert_story, path, story};
use crate::support::{App, NOW_MS};

/// Returns the reads of an uncached look-up by an anonymous caller, each with its kind.
async fn reads(app: &App, counts: &Counts, path: &str, status: u16) -> Vec<String> {
    counts.take_kinds();
    assert_eq!(app.quick(path).await.status, status, "{path}");
    counts.take_kinds()
}

testkit::stores! {
    async fn t02_unknown_deleted_and_draft_addresses_take_the_same_reads(db: Database) {
        let (counted, counts) = Counting::around(&db);
        let app = App::on(&counted).await;
        let public = app.create("author", "/stories", &story("Public", true)).await;
        app.change(&path(&public), &json!({ "title": "Renamed" })).await;
        app.create("author", "/stories", &story("Draft", false)).await;
        let moved = app.create("author", "/stories", &story("Old draft", false)).await;
        app.change(&path(&moved), &json!({ "title": "New draft" })).await;
        let gone = app.create("author", "/stories", &story("Gone", true)).await;
        app.remove(&path(&gone)).await;
        let unknown = reads(&app, &counts, "/stories/slug/unknown", 404).await;
        for slug in ["draft", "old-draft", "new-draft", "gone", "~x"] {
            assert_eq!(reads(&app, &counts, &format!("/stories/slug/{slug}"), 404).await, unknown, "{slug}");
        }
        // The common case is one read.
        assert_eq!(reads(&app, &counts, "/stories/slug/renamed", 200).await, ["find stories"]);
        assert_eq!((app.leads("renamed").await, app.leads("public").await), (found(), to("renamed")));
        // Pages and sections as well.
        let page = json!({ "title": "t", "content": "<p>c</p>", "is_published": false });
        assert_eq!(app.put("author", "/pages/about", &page).await.status, 200);
        let unknown = reads(&app, &counts, "/pages/unknown", 404).await;
        assert_eq!(reads(&app, &counts, "/pages/about", 404).await, unknown);
        let section = json!({ "title": "Hidden", "display_type": "feed", "content_type": "story", "is_published": false });
        app.create("author", "/sections", &section).await;
        let unknown = reads(&app, &counts, "/sections/slug/unknown", 404).await;
        assert_eq!(reads(&app, &counts, "/sections/slug/hidden", 404).await, unknown);
    }

    async fn equal_titles_do_not_make_creating_slower(db: Database) {
        let (counted, counts) = Counting::around(&db);
        let app = App::on(&counted).await;
        let at = bson::DateTime::from_millis(NOW_MS);
        let document = |n: u64| {
            let slug = field_notes::domain::nth_slug("t", n);
            doc! { "title": "T", "content": "c", "is_published": true, "slug": slug, "createdDate": at, "updatedDate": at }
        };
        let mut reads = Vec::new();
        let mut stored = 0;
        for equal in [1, 30, 2_000, 5_000] {
            db.collection("stories").insert_many((stored + 1..=equal).map(document).collect()).await.unwrap();
            let before = counts.reads();
            // Titles of another story do not mislead it.
            let created = app.create("author", "/stories", &story("T", true)).await;
            reads.push(counts.reads() - before);
            assert_eq!(created["slug"], format!("t-{}", equal + 1));
            stored = equal + 1;
        }
        assert!(reads[3] <= reads[2] + 1 && reads[3] <= reads[0] + 6, "{reads:?}");
        // Suffixes that somebody took in the way of the search do not end it.
        for exponent in 3..=41_u32 {
            insert_story(&db, &format!("t-{}", 40 + (1_u64 << exponent) + 5_001), doc! {}).await;
        }
        app.create("author", "/stories", &story("T", true)).await;
    }
}
