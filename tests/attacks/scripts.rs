use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Body;
use axum::http::Method;
use bson::doc;
use docstore::{Database, EngineKind, Filter};
use field_notes::html;
use field_notes::repository::contents;
use field_notes::service::Unsanitized;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::browser::{self, Report};
use crate::site::{item, unlimited};
use crate::support::{App, NOW_MS};
use crate::visibility::next;

/// Contents of the editor that a payload is put into, at `{}`.
const CARRIERS: [&str; 14] = [
    "<p>text {} text</p>",
    "<ul><li><p>{}</p></li></ul>",
    "<ul data-type=\"taskList\"><li data-type=\"taskItem\" data-checked=\"true\"><label><input type=\"checkbox\" checked=\"checked\"><span></span></label><div><p>{}</p></div></li></ul>",
    "<table style=\"min-width: 50px\"><tbody><tr><td colspan=\"1\" rowspan=\"1\"><p>{}</p></td></tr></tbody></table>",
    "<table><tbody>{}<tr><td>x</td></tr></tbody></table>",
    "<table>{}</table>",
    "<pre><code class=\"language-html\">{}</code></pre>",
    "<details class=\"details\"><summary>{}</summary><div data-type=\"detailsContent\"><p>x</p></div></details>",
    "<div data-youtube-video=\"\"><iframe src=\"https://www.youtube-nocookie.com/embed/x\">{}</iframe></div>",
    "<p title=\"{}\">x</p>",
    "<img src=\"/x\" alt='{}'>",
    "<span data-type=\"mention\" data-id={} data-label=\"x\">@x</span>",
    "<p><span style=\"color: {}\">x</span></p>",
    "<blockquote><h2><strong><em><a href=\"{}\">x</a>{}</em></strong></h2></blockquote>",
];

/// Payloads that run something in a browser without anybody's help, which show that the browser would report it.
const CONTROLS: [&str; 9] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<p title=\"\"onclick=alert(1)>x</p>",
    "<iframe srcdoc=\"<script>parent.alert(1)</script>\"></iframe>",
    "<math><annotation-xml encoding=\"text/html\"><img src=x onerror=alert(1)></annotation-xml></math>",
    "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">",
    "<details open ontoggle=alert(1)>x</details>",
];

/// The number of tasks that send contents.
const WORKERS: usize = 4;

/// Returns the payloads of the corpus, by kind.
fn corpus() -> BTreeMap<String, Vec<String>> {
    serde_json::from_str(include_str!("xss/payloads.json")).expect("payloads by kind")
}

/// Returns each payload after some text and inside a carrier.
fn contents(payloads: &[String]) -> Vec<String> {
    let carried = |(n, payload): (usize, &String)| {
        let carrier = CARRIERS[n % CARRIERS.len()];
        [format!("<p>text</p>{payload}"), carrier.replace("{}", payload)]
    };
    payloads.iter().enumerate().flat_map(carried).collect()
}

/// Sends content on the ways in; returns what it became, or nothing if nothing of it may stay. The ways share the
/// sanitizer: all contents are created and updated, every fourth goes the other ways as well.
async fn stored(app: &App, n: usize, content: &str) -> Option<String> {
    let kind = if n.is_multiple_of(2) { "stories" } else { "projects" };
    let mut body = item(kind, &format!("Number {n}"), true);
    body["content"] = json!(content);
    let text = |answer: &Value| answer["content"].as_str().expect("content").to_owned();
    let created = app.post("author", &format!("/{kind}"), &body).await;
    if created.status == 422 {
        assert_eq!(created.errors(), [(json!(["body", "content"]), "value_error".to_owned())], "{content}");
        return None;
    }
    assert_eq!(created.status, 201, "{content}");
    let created = created.json();
    let clean = text(&created);
    let path = crate::site::path(kind, &created);
    assert_eq!(text(&app.change(&path, &body).await.json()), clean, "updated: {content}");
    if n.is_multiple_of(4) {
        let page = app.change("/pages/about", &json!({ "title": "About", "content": content })).await;
        assert_eq!(text(&page.json()), clean, "in a page: {content}");
        assert_eq!(app.delete("author", &path).await.status, 204);
        let restore = format!("/trash{path}/restore");
        assert_eq!(app.write("admin", Method::POST, &restore, &[], Body::empty()).await.status, 200);
        let by_slug = format!("/{kind}/slug/{}", created["slug"].as_str().expect("a slug"));
        assert_eq!(text(&app.anonymous(&by_slug).await.json()), clean, "restored: {content}");
    }
    Some(clean)
}

/// Stores raw content as another program does, and sanitizes it as `doctor --fix content` does. Returns what is served.
async fn imported(app: &App, db: &Database, contents: &[String]) -> Vec<String> {
    let at = bson::DateTime::from_millis(NOW_MS);
    let documents = contents.iter().enumerate().map(|(n, content)| {
        doc! {
            "title": "Imported", "content": content, "slug": format!("imported-{n}"), "is_published": true, "date": at,
            "createdDate": at, "updatedDate": at,
        }
    });
    db.collection("stories").delete_many(&Filter::All).await.expect("stories are deleted");
    db.collection("stories").insert_many(documents.collect()).await.expect("stories are inserted");
    let mut stored = Vec::new();
    contents::visit_all(db, |item| stored.push(item)).await.expect("contents are read");
    for item in stored.iter().filter(|item| item.collection == "stories") {
        if let Some(unsanitized) = Unsanitized::check(&item.html) {
            let html = unsanitized.html.expect("it is short");
            assert!(contents::replace(db, item, &html).await.expect("an update"), "{}", item.html);
        }
    }
    let mut served = Vec::new();
    let mut target = Some("/stories?limit=100&cursor=".to_owned());
    while let Some(path) = target {
        let answer = app.anonymous(&path).await;
        let list = answer.json();
        let items = list["items"].as_array().expect("a list");
        served.extend(items.iter().map(|item| item["content"].as_str().expect("content").to_owned()));
        target = next(&answer);
    }
    assert_eq!(served.len(), contents.len());
    served
}

/// Returns what the sanitizer makes of content, or nothing if nothing of it may stay.
fn sanitized(content: &str) -> Option<String> {
    let sanitized = html::sanitize(content, 100_000).expect("it is short");
    Some(sanitized.html).filter(|html| !html.is_empty())
}

/// Loads sanitized contents and raw payloads in a browser, and asserts that only the latter run anything.
async fn assert_nothing_runs(clean: Vec<String>, payloads: &[String]) {
    let Some(program) = browser::locate_or_skip() else { return };
    let cleaned = clean.len();
    let all: Vec<_> = clean.into_iter().chain(payloads.iter().cloned()).collect();
    let (inspected, elements, found) = match browser::load(&program, &all).await {
        Report::Finished { inspected, elements, found } => (inspected, elements, found),
        Report::Failed { error } => panic!("{error}"),
    };
    assert_eq!(inspected, 2 * all.len());
    assert!(elements > 5 * inspected / 2, "{elements}");
    let found = |n: usize| found.get(&n.to_string()).map_or(&[][..], Vec::as_slice);
    let faults: Vec<_> =
        (0..cleaned).filter(|n| !found(*n).is_empty()).map(|n| (&all[n], found(n))).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    // The same browser reports payloads that were not sanitized.
    let raw = |n: usize| found(cleaned + n);
    let ran = |n: usize| raw(n).iter().any(|what| what == "ran");
    for control in CONTROLS {
        let n = payloads.iter().position(|payload| payload == control).expect("it is in the corpus");
        assert!(ran(n), "{control}: {:?}", raw(n));
    }
    let inert: Vec<_> = (0..payloads.len()).filter(|n| raw(*n).is_empty()).map(|n| &payloads[n]).collect();
    let running = (0..payloads.len()).filter(|n| ran(*n)).count();
    println!("{cleaned} contents; of {} payloads {running} run unless sanitized", payloads.len());
    assert!(running > 350 && inert.len() < 60, "{running} {}: {inert:#?}", inert.len());
}

testkit::stores! {
    async fn t19_stored_scripts_run_in_no_browser(db: Database) {
        let app = unlimited(&db).await;
        let payloads: Vec<_> = corpus().into_values().flatten().collect();
        let distinct = payloads.iter().collect::<BTreeSet<_>>().len();
        assert!(distinct >= 500 && distinct == payloads.len(), "{distinct}");
        let sent = Arc::new(contents(&payloads));
        let workers = (0..WORKERS).map(|worker| {
            let (app, sent) = (app.clone(), Arc::clone(&sent));
            tokio::spawn(async move {
                let mut returned = Vec::new();
                for n in (worker..sent.len()).step_by(WORKERS) {
                    returned.push((n, stored(&app, n, &sent[n]).await));
                }
                returned
            })
        });
        let returned: BTreeMap<_, _> = join_all(workers).await.into_iter().flat_map(|worker| worker.expect("it ends")).collect();
        let mut clean: BTreeSet<_> = imported(&app, &db, &sent).await.into_iter().collect();
        for (n, returned) in returned {
            // A character that no text may have is an error of its own.
            let expected = if sent[n].contains('\0') { None } else { sanitized(&sent[n]) };
            assert_eq!(returned, expected, "{}", sent[n]);
            clean.extend(returned);
        }
        let expected: BTreeSet<_> = sent.iter().map(|sent| sanitized(sent).unwrap_or_else(|| "<p></p>".to_owned())).collect();
        assert_eq!(clean, expected);
        assert!(clean.len() > 300, "{}", clean.len());
        // The other engine returns the same, so that one browser is enough.
        if db.kind() == EngineKind::Embedded {
            assert_nothing_runs(clean.into_iter().collect(), &payloads).await;
        }
    }

    async fn t19_comments_stay_plain_text(db: Database) {
        let app = unlimited(&db).await;
        let story = app.create("author", "/stories", &item("stories", "Public", true)).await;
        let path = format!("/api/engagement/story/{}/comments", story["id"].as_str().expect("an id"));
        let payloads = CONTROLS.into_iter().chain(["<b>bold</b>", "&lt;script&gt;", "\u{2028}</script>", "{{7*7}}"]);
        let payloads: Vec<_> = payloads.collect();
        for payload in &payloads {
            let created = app.create("commenter", &path, &json!({ "content": payload })).await;
            assert_eq!(created["content"], *payload);
        }
        for who in ["", "commenter"] {
            let answer = app.read(who, &path).await;
            let shown = answer.json()["comments"].as_array().expect("a list").clone();
            assert_eq!(shown.iter().map(|comment| &comment["content"]).collect::<Vec<_>>(), payloads);
            // A browser that opens the address does not take it for HTML.
            assert_eq!(answer.header("content-type"), "application/json");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
        }
        let mention = json!([{ "user_id": "<img src=x onerror=alert(1)>", "user_name": CONTROLS[0] }]);
        let created = app.create("commenter", &path, &json!({ "content": "c", "mentions": mention })).await;
        assert_eq!(created["mentions"], mention);
    }
}
