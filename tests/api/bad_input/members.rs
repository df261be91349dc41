use docstore::Database;
use serde_json::{Value, json};

use super::{KINDS, Way, content, good, ways};
use crate::conform::{complaints, component};
use crate::support::App;

/// The ways whose body has this member.
fn having<'a>(ways: &'a [Way], member: &'a str) -> impl Iterator<Item = &'a Way> {
    ways.iter().filter(move |way| way.good.get(member).is_some())
}

async fn refused(app: &App, way: &Way, member: &str, value: &Value, kind: &str) {
    let errors = way.send(app, &[], way.with(member, value.clone()).to_string().into_bytes()).await.errors();
    let shown: String = value.to_string().chars().take(40).collect();
    assert_eq!(errors, [(json!(["body", member]), kind.to_owned())], "{}: {member} {shown}", way.name());
}

async fn accepted(app: &App, way: &Way, member: &str, value: &Value, expected: &Value) {
    let answer = way.send(app, &[], way.with(member, value.clone()).to_string()).await;
    assert_eq!(answer.status, way.success, "{}: {member} {value}", way.name());
    assert_eq!(&answer.json()[member], expected, "{}: {member} {value}", way.name());
}

testkit::stores! {
    async fn a_title_is_a_text_and_nothing_else(db: Database) {
        let app = App::on(&db).await;
        let ways = ways(&app).await;
        let before = content(&db).await;
        for way in &ways {
            let too_long = if way.title == "label" { 101 } else { 201 };
            for (value, kind) in [
                (json!({ "$gt": "" }), "string_type"),
                (json!({ "$ne": null }), "string_type"),
                (json!({ "$where": "sleep(1000)" }), "string_type"),
                (json!(["A"]), "string_type"),
                (json!(5), "string_type"),
                (json!(1.5), "string_type"),
                (json!(true), "string_type"),
                (json!("\0"), "value_error"),
                (json!("A\0B"), "value_error"),
                (json!(""), "string_too_short"),
                (json!("\u{1f600}".repeat(too_long)), "string_too_long"),
            ] {
                refused(&app, way, way.title, &value, kind).await;
            }
        }
        assert_eq!(content(&db).await, before);
        // Its characters are counted, not its bytes; an operator in a text is a text; pairs of surrogates are one.
        for way in &ways {
            let longest = "\u{1f600}".repeat(if way.title == "label" { 100 } else { 200 });
            for text in [longest.as_str(), "{\"$gt\": \"\"}", "$where", "a.b", "'; DROP TABLE stories; --", "\u{202e}A"] {
                accepted(&app, way, way.title, &json!(text), &json!(text)).await;
            }
            let pair = way.good.to_string().replacen("\"A\"", "\"\\ud83d\\ude00\"", 1);
            let answer = way.send(&app, &[], pair).await;
            assert_eq!((answer.status.as_u16(), &answer.json()[way.title]), (way.success, &json!("\u{1f600}")), "{}", way.name());
        }
    }

    async fn whole_numbers_are_read_leniently_and_never_changed(db: Database) {
        let app = App::on(&db).await;
        let ways = ways(&app).await;
        let before = content(&db).await;
        for way in having(&ways, "sort_order") {
            for (value, kind) in [
                (json!(""), "int_parsing"),
                (json!("three"), "int_parsing"),
                (json!("1.5"), "int_parsing"),
                (json!("1e3"), "int_parsing"),
                (json!("0x10"), "int_parsing"),
                (json!([3]), "int_parsing"),
                (json!({ "$inc": 1 }), "int_parsing"),
                (json!(1.5), "int_from_float"),
                (json!(9_007_199_254_740_992_i64), "less_than_equal"),
                (json!(i64::MAX), "less_than_equal"),
                (json!(u64::MAX), "less_than_equal"),
                (json!(1e300), "less_than_equal"),
                (json!("9".repeat(400)), "less_than_equal"),
                (json!(-9_007_199_254_740_992_i64), "greater_than_equal"),
                (json!(-1e300), "greater_than_equal"),
                (json!(format!("-{}", "9".repeat(400))), "greater_than_equal"),
            ] {
                refused(&app, way, "sort_order", &value, kind).await;
            }
            // More digits than any number has room for.
            let digits = way.good.to_string().replace("\"sort_order\":3", &format!("\"sort_order\":{}", "9".repeat(300)));
            let errors = way.send(&app, &[], digits.into_bytes()).await.errors();
            assert_eq!(errors, [(json!(["body", "sort_order"]), "less_than_equal".to_owned())], "{}", way.name());
        }
        assert_eq!(content(&db).await, before);
        for way in having(&ways, "sort_order") {
            for (value, number) in [
                (json!("7"), 7_i64), (json!(" 7 "), 7), (json!("+7"), 7), (json!("007"), 7), (json!("7.0"), 7), (json!(7.0), 7),
                (json!(true), 1), (json!(9_007_199_254_740_991_i64), 9_007_199_254_740_991),
            ] {
                accepted(&app, way, "sort_order", &value, &json!(number)).await;
            }
        }
    }

    async fn truth_is_read_leniently(db: Database) {
        let app = App::on(&db).await;
        let ways = ways(&app).await;
        let before = content(&db).await;
        for way in &ways {
            for value in [json!("maybe"), json!(""), json!(2), json!(-1), json!(0.5), json!([]), json!({ "$ne": false })] {
                refused(&app, way, "is_published", &value, "bool_parsing").await;
            }
        }
        assert_eq!(content(&db).await, before);
        for way in &ways {
            for (value, truth) in [(json!("yes"), true), (json!("OFF"), false), (json!(1), true), (json!(0.0), false), (json!("t"), true)] {
                accepted(&app, way, "is_published", &value, &json!(truth)).await;
            }
        }
    }

    async fn t09_members_that_are_not_asked_for_never_reach_the_store(db: Database) {
        let app = App::on(&db).await;
        let more = json!({
            "_id": "x", "id": "65a0b1c2d3e4f50617283940", "user_id": "65a0b1c2d3e4f50617283940", "deleted": true,
            "is_deleted": true, "version": 99, "createdDate": "2000-01-01T00:00:00Z", "$set": { "role": "admin" },
            "role": "admin", "__proto__": {}, "a.b": 1, "": 1,
        });
        for way in ways(&app).await {
            let plain = way.send(&app, &[], way.good.to_string()).await.json();
            let mut body = way.good.clone();
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let answer = way.send(&app, &[], body.to_string()).await;
            assert_eq!(answer.status, way.success, "{}", way.name());
            let got = answer.json();
            let names = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!((names(&got), &got["user_id"]), (names(&plain), &plain["user_id"]), "{}", way.name());
            assert_ne!(got["id"], more["id"], "{}", way.name());
        }
        let dump = content(&db).await;
        for document in dump.iter().filter(|(name, _)| KINDS.contains(&name.as_str())).flat_map(|(_, documents)| documents) {
            let strange = document.keys().find(|key| ["$set", "role", "__proto__", "a.b", "", "id"].contains(&key.as_str()));
            assert_eq!(strange, None);
            assert_ne!(document.get("deleted"), Some(&bson::Bson::Boolean(true)), "{document}");
        }
    }

    async fn a_member_given_twice_counts_once_the_last_time(db: Database) {
        let app = App::on(&db).await;
        for way in ways(&app).await {
            let body = way.good.to_string().replacen('{', &format!("{{\"{}\":{{\"$gt\":\"\"}},", way.title), 1);
            let answer = way.send(&app, &[], body).await;
            assert_eq!((answer.status.as_u16(), &answer.json()[way.title]), (way.success, &json!("A")), "{}", way.name());
        }
    }

    async fn blank_and_invisible_titles_are_refused(db: Database) {
        let app = App::on(&db).await;
        let ways = ways(&app).await;
        let before = content(&db).await;
        for way in &ways {
            for blank in [" ", "\t\n", "\u{a0}", "\u{200b}\u{feff}", "\u{3164}", "\u{2800}"] {
                refused(&app, way, way.title, &json!(blank), "value_error").await;
            }
        }
        for way in having(&ways, "technologies") {
            refused(&app, way, "technologies", &json!(vec!["a"; 51]), "too_long").await;
            for blank in ["", " ", "\u{200b}"] {
                let mut body = way.good.clone();
                body["technologies"] = json!(["a", blank]);
                let errors = app.write("admin", way.method.clone(), &way.path, &[], body.to_string()).await.errors();
                assert_eq!(errors, [(json!(["body", "technologies", 1]), "value_error".to_owned())]);
            }
        }
        assert_eq!(content(&db).await, before);
        for way in having(&ways, "technologies") {
            let most = json!(vec!["ä".repeat(50); 50]);
            accepted(&app, way, "technologies", &most, &most).await;
            let mut body = way.good.clone();
            body["technologies"] = json!(["a", "ä".repeat(51)]);
            let errors = app.write("admin", way.method.clone(), &way.path, &[], body.to_string()).await.errors();
            assert_eq!(errors, [(json!(["body", "technologies", 1]), "string_too_long".to_owned())]);
        }
    }

    async fn links_lead_somewhere_and_run_nothing(db: Database) {
        let app = App::on(&db).await;
        let ways = ways(&app).await;
        let (link, _) = good("navlinks");
        let said = |url: &str| { let mut link = link.clone(); link["url"] = json!(url); complaints(&component("NavLinkCreate"), &link) };
        let before = content(&db).await;
        for way in having(&ways, "url") {
            for url in [
                "javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)",
                "\u{1}javascript:alert(1)", "javascript://example.com/%0aalert(1)", "data:text/html,<script>alert(1)</script>",
                "vbscript:msgbox(1)", "file:///etc/passwd", "blob:https://example.com/1", "ftp://example.com", ":", "a:b",
                "//evil.example", "/\\evil.example", "\\\\evil.example", " //evil.example", "/about\r\nSet-Cookie: a=b",
            ] {
                refused(&app, way, "url", &json!(url), "value_error").await;
                // The document says the same.
                assert_eq!(said(url).len(), 1, "{url:?}");
            }
            refused(&app, way, "url", &json!("/a".repeat(251)), "string_too_long").await;
            refused(&app, way, "url", &json!(""), "string_too_short").await;
        }
        for way in having(&ways, "github_url") {
            for member in ["github_url", "live_url", "image_url"] {
                for url in ["javascript:alert(1)", "data:image/svg+xml,x", "//example.com", "/x", "x", " https://example.com", "ht\ntps://x", "https://x\r\n"] {
                    refused(&app, way, member, &json!(url), "value_error").await;
                }
                let long = format!("https://example.com/{}", "a".repeat(2029));
                refused(&app, way, member, &json!(long), "string_too_long").await;
            }
        }
        assert_eq!(content(&db).await, before);
        for way in having(&ways, "url") {
            for url in [
                "https://example.com/a?b#c", "HTTP://example.com", "mailto:a@example.com", "tel:+49123", "/",
                "/about", "about", "../a", "#top", "?page=2", "/a:b", "#a:b",
            ] {
                accepted(&app, way, "url", &json!(url), &json!(url)).await;
                assert_eq!(said(url), Vec::<String>::new(), "{url:?}");
            }
        }
    }
}
