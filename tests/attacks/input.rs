use std::collections::BTreeSet;

use axum::http::Method;
use bson::{doc, oid::ObjectId};
use docstore::{Database, Filter};
use field_notes::http::routes;
use serde_json::{Value, json};

use crate::conform::{DOCUMENT, resolve};
use crate::counting::Counting;
use crate::site::{KINDS, NO_ID, Site, comparable, item, path, unlimited};
use crate::support::{Answer, App, insert, section};
use crate::visibility::content;

/// Encodes every byte of a text that is not a letter or a digit.
fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Returns the path of every GET route, for items that exist.
async fn readable(app: &App) -> Vec<String> {
    let site = Site::create(app).await;
    routes().iter().filter(|route| route.method == Method::GET).map(|route| site.path(route)).collect()
}

/// The routes that take a JSON object, with the members that the OpenAPI document describes.
fn writable() -> Vec<(Method, &'static str, Vec<&'static str>)> {
    let described = routes().iter().filter_map(|route| {
        let operation = &DOCUMENT["paths"][route.path][route.method.as_str().to_lowercase()];
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let members = resolve(schema)["properties"].as_object()?;
        Some((route.method.clone(), route.path, members.keys().map(String::as_str).collect()))
    });
    described.collect()
}

testkit::stores! {
    async fn t03_unknown_query_keys_change_nothing(db: Database) {
        let app = unlimited(&db).await;
        for path in readable(&app).await {
            let plain = app.anonymous(&path).await;
            for key in ["foo=1", "populate=*", "filters=x", "select=%2A", "where=1", "fields=user_id", "include=user", "_method=DELETE", "callback=x"] {
                let answer = app.anonymous(&format!("{path}?{key}")).await;
                assert_eq!((answer.status, answer.header("link")), (plain.status, plain.header("link")), "{path}?{key}");
                assert_eq!(comparable_text(&answer), comparable_text(&plain), "{path}?{key}");
            }
            // A key with the form of an operator is an error wherever keys mean something.
            let operator = app.anonymous(&format!("{path}?where[x]=1&filters[user][email][$startsWith]=a")).await;
            assert!(operator.status == 422 || comparable_text(&operator) == comparable_text(&plain), "{path}: {}", operator.status);
        }
    }

    async fn t04_private_fields_neither_filter_nor_sort(db: Database) {
        let app = unlimited(&db).await;
        for kind in KINDS {
            for (who, title) in [("author", "B"), ("admin", "A"), ("author", "C")] {
                app.create(who, &format!("/{kind}"), &item(kind, title, true)).await;
            }
            let plain = app.anonymous(&format!("/{kind}")).await.json();
            let owner = db.collection("users").find_one(docstore::Find::new(Filter::eq("role", "admin"))).await.unwrap();
            let owner = owner.unwrap().get_object_id("_id").unwrap().to_hex();
            for query in [
                format!("user_id={owner}"), "user_id=x".to_owned(), "email=admin@example.com".to_owned(), "user.email=admin%40example.com".to_owned(),
                "deleted=false".to_owned(), "version=1".to_owned(), "sort=user_id".to_owned(), "sort=-createdDate".to_owned(), "order=desc".to_owned(),
                "sort_by=email&order_by=email".to_owned(), "fields=user_id,deleted".to_owned(), "search=example.com".to_owned(), "internal_notes=a".to_owned(),
            ] {
                let answer = app.anonymous(&format!("/{kind}?{query}")).await;
                assert_eq!((answer.status.as_u16(), answer.json()), (200, plain.clone()), "/{kind}?{query}");
            }
            // No response holds a field that is not described.
            let text = plain.to_string();
            assert!(!text.contains("example.com") && !text.contains("is_deleted") && !text.contains("slug_key"), "{text}");
        }
    }

    async fn t05_operators_in_place_of_values_are_422(db: Database) {
        let app = unlimited(&db).await;
        let site = Site::create(&app).await;
        let before = content(&db).await;
        let written = writable();
        assert!(written.len() >= 9, "{written:?}");
        for (method, template, members) in written {
            let route = routes().iter().find(|route| route.path == template && route.method == method).unwrap();
            let (path, kind) = (site.path(route), template.split('/').nth(1).unwrap());
            for member in members {
                for operator in [
                    json!({ "$ne": null }), json!({ "$gt": "" }), json!({ "$regex": ".*" }), json!({ "$where": "sleep(9000)" }), json!({}),
                    json!([{ "$ne": null }]), json!({ "$oid": NO_ID }), json!({ "$date": 0 }), json!({ "$set": { "role": "admin" } }),
                ] {
                    let mut body = item(kind, "Injected", true);
                    body[member] = operator.clone();
                    let answer = app.write("admin", method.clone(), &path, &[], body.to_string()).await;
                    let errors = answer.errors();
                    let named = errors.iter().all(|(location, _)| location[1] == member);
                    assert!(named && !errors.is_empty(), "{method} {path} {member} {operator}: {errors:?}");
                }
            }
        }
        assert_eq!(content(&db).await, before);
        // An operator as a token is a token, and a wrong one.
        for token in ["{}", "{\"$ne\":null}", "[object Object]", "null", "undefined", "true", "0"] {
            let answer = app.send(Method::GET, "/me", &[("authorization", &format!("Bearer {token}"))]).await;
            assert_eq!(answer.status, 401, "{token}");
        }
    }

    async fn t06_query_operators_reach_no_store(db: Database) {
        let (counted, counts) = Counting::around(&db);
        let app = App::on_with(&counted, |config| config.middleware.unlimited = true).await;
        for path in readable(&app).await.into_iter().filter(|path| path.starts_with('/') && path != "/") {
            let plain = app.anonymous(&path).await;
            counts.take_kinds();
            for query in ["slug[$ne]=x", "slug%5B%24regex%5D=.%2A", "$where=sleep(9000)", "%24or=1", "limit[$gt]=1", "a[__proto__]=1"] {
                let answer = app.anonymous(&format!("{path}?{query}")).await;
                if answer.status == 422 {
                    assert_eq!(counts.take_kinds(), Vec::<String>::new(), "{path}?{query}");
                } else {
                    assert_eq!((answer.status, comparable_text(&answer)), (plain.status, comparable_text(&plain)), "{path}?{query}");
                    counts.take_kinds();
                }
            }
            for query in ["sort=$where", "sort=-__proto__", "author.password=x", "__proto__.admin=1", "constructor=1", "slug=%24ne"] {
                let answer = app.anonymous(&format!("{path}?{query}")).await;
                assert_eq!((answer.status, comparable_text(&answer)), (plain.status, comparable_text(&plain)), "{path}?{query}");
            }
        }
        for kind in KINDS {
            assert_eq!(app.anonymous(&format!("/{kind}?slug[$ne]=x")).await.status, 422, "{kind}");
        }
        assert_eq!(app.read("admin", "/trash?type=stories&slug[$ne]=x").await.status, 422);
    }

    async fn t07_texts_are_data_and_take_the_same_reads(db: Database) {
        let (counted, counts) = Counting::around(&db);
        let app = App::on_with(&counted, |config| {
            config.middleware.unlimited = true;
            config.cache.max_bytes = None;
        })
        .await;
        Site::create(&app).await;
        let texts = [
            ".*", "^", "(a+)+$", "$where", "' OR '1'='1", "\"; DROP TABLE stories; --", "-public -\"x\"", "\\", "%", "_", "*", "\u{202e}",
            &"(".repeat(2_000), &"a".repeat(7_000),
        ];
        for kind in KINDS {
            let plain = app.anonymous(&format!("/{kind}")).await.json();
            counts.take_kinds();
            app.anonymous(&format!("/{kind}?q=public")).await;
            let reads = counts.take_kinds();
            for text in texts {
                for name in ["q", "search", "query", "filter"] {
                    let answer = app.anonymous(&format!("/{kind}?{name}={}", encode(text))).await;
                    // A URL that is too long is an error of its own.
                    if answer.status != 414 {
                        assert_eq!((answer.status.as_u16(), answer.json()), (200, plain.clone()), "/{kind}?{name}={text}");
                        assert_eq!(counts.take_kinds(), reads, "/{kind}?{name}={text}");
                    }
                }
            }
        }
        for kind in ["stories", "projects", "sections"] {
            counts.take_kinds();
            app.anonymous(&format!("/{kind}/slug/unknown")).await;
            let reads = counts.take_kinds();
            for text in texts.into_iter().filter(|text| text.len() < 300) {
                let answer = app.anonymous(&format!("/{kind}/slug/{}", encode(text))).await;
                assert_eq!(answer.status, 404, "{kind} {text}");
                assert!(counts.take_kinds().len() <= reads.len(), "{kind} {text}");
            }
        }
    }

    async fn t08_lists_of_ids_are_typed_and_bounded(db: Database) {
        let (counted, counts) = Counting::around(&db);
        let app = App::on_with(&counted, |config| config.middleware.unlimited = true).await;
        let section = app.create("author", "/sections", &item("sections", "Mine", true)).await;
        let before = content(&db).await;
        let place = |id: Value| json!([{ "id": section["id"], "sort_order": 1 }, { "id": id, "sort_order": 2 }]);
        for (id, status) in [
            (json!("1) OR 1=1 --"), 400), (json!("a,b"), 400), (json!(""), 400), (json!(format!("{NO_ID},{NO_ID}")), 400),
            (json!(1), 422), (json!([NO_ID]), 422), (json!({ "$in": [NO_ID] }), 422), (json!({ "$oid": NO_ID }), 422),
            (Value::Null, 422), (json!(NO_ID), 404), (section["id"].clone(), 422),
        ] {
            assert_eq!(app.put("author", "/sections/order", &place(id.clone())).await.status, status, "{id}");
        }
        // More than it takes: refused before the store is read.
        let many: Vec<_> = (0..501).map(|n| json!({ "id": ObjectId::new().to_hex(), "sort_order": n })).collect();
        app.read("author", "/me").await;
        counts.take_kinds();
        assert_eq!(app.put("author", "/sections/order", &json!(many)).await.status, 422);
        assert_eq!(counts.take_kinds(), Vec::<String>::new());
        assert_eq!(app.put("author", "/sections/order", &json!(many[..500])).await.status, 404);
        // No parameter takes a list.
        let one = section["id"].as_str().unwrap();
        for list in [format!("{one},{NO_ID}"), format!("{one}%2C{NO_ID}"), format!("[{one}]"), format!("{one}%20")] {
            assert_eq!(app.anonymous(&format!("/stories?section_id={list}")).await.status, 400, "{list}");
            assert_eq!(app.anonymous(&format!("/sections?parent_id={list}")).await.status, 400, "{list}");
        }
        let plain = app.anonymous("/sections").await.json();
        for ignored in ["ids=1,2,3", "slugs=a,b&order=slug:[a,b]", "filter=slug:[a,b')]"] {
            let answer = app.anonymous(&format!("/sections?{ignored}")).await;
            assert!(answer.status == 422 || answer.json() == plain, "{ignored}");
        }
        assert_eq!(content(&db).await, before);
    }

    async fn t10_only_24_hexadecimal_digits_are_an_id(db: Database) {
        let app = unlimited(&db).await;
        for kind in KINDS {
            let created = app.create("author", &format!("/{kind}"), &item(kind, "First", true)).await;
            let id = created["id"].as_str().unwrap();
            // A title that looks like an id gives a slug, which is not one.
            let other = app.create("author", &format!("/{kind}"), &item(kind, id, true)).await;
            assert_ne!(created["id"], other["id"]);
            let before = content(&db).await;
            for bad in [
                "1abc".to_owned(), "1".to_owned(), "-1".to_owned(), "0x1".to_owned(), "1e3".to_owned(), "null".to_owned(), format!("{id}abc"),
                format!("{}g", &id[..23]), format!("%20{id}"), format!("{id}%20"), format!("{id}%00"), format!("{id}%0a"), format!("{}%2B", &id[..23]),
                encode("\u{661}\u{662}\u{663}"), encode(&"\u{ff11}".repeat(24)), encode(&"\u{661}".repeat(12)), encode(&format!("ObjectId(\"{id}\")")),
                encode("{\"$gt\":\"\"}"), format!("{id}%2F"), format!("{id},{id}"), "a".repeat(5_000),
            ] {
                for method in [Method::GET, Method::PUT, Method::DELETE] {
                    let answer = app.write("admin", method.clone(), &format!("/{kind}/{bad}"), &[], "{}").await;
                    assert_eq!(answer.status, 400, "{method} /{kind}/{bad}");
                }
            }
            // The digits of an id have no case; a slug is found by its slug alone.
            let upper = app.read("author", &format!("/{kind}/{}", id.to_uppercase())).await;
            assert_eq!((upper.status.as_u16(), &upper.json()["id"]), (200, &created["id"]), "{kind}");
            if kind != "navlinks" {
                let by_slug = app.anonymous(&format!("/{kind}/slug/{id}")).await.json();
                assert_eq!(by_slug["id"], other["id"], "{kind}");
                let unknown = other["id"].as_str().unwrap();
                assert_eq!(app.anonymous(&format!("/{kind}/slug/{unknown}")).await.status, 404, "{kind}");
                assert_eq!(app.read("author", &format!("/{kind}/first")).await.status, 400, "{kind}");
            }
            assert_eq!(content(&db).await, before);
        }
    }

    async fn t25_limits_of_lists_and_queries_are_enforced(db: Database) {
        let app = unlimited(&db).await;
        let has = |path: &str, name: &str| {
            let parameters = DOCUMENT["paths"][path]["get"]["parameters"].as_array();
            parameters.is_some_and(|parameters| parameters.iter().any(|parameter| parameter["name"] == name))
        };
        let mut lists: Vec<_> = routes().iter().map(|route| route.path).filter(|path| has(path, "limit")).collect();
        lists.sort_unstable();
        lists.dedup();
        assert!(lists.len() >= 5, "{lists:?}");
        let huge = "9".repeat(400);
        for template in lists {
            // The lists of the original's asset browser have a cursor that is an offset.
            let by_offset = has(template, "offset");
            let list = template.replace("{section_id}", NO_ID);
            let kind = if template == "/trash" { "type=stories&" } else { "" };
            let with = |query: &str| format!("{list}?{kind}{query}");
            for limit in ["0", "-1", "101", "1000000000", "9223372036854775808", "18446744073709551616", "1e9", "NaN", "0x10", "", &huge] {
                let errors = app.read("admin", &with(&format!("limit={limit}"))).await.errors();
                assert_eq!(errors[0].0, json!(["query", "limit"]), "{list} {limit}");
            }
            for offset in ["-1", "9223372036854775808", "18446744073709551616", "1e400", "NaN", &huge] {
                if by_offset {
                    let errors = app.read("admin", &with(&format!("offset={offset}"))).await.errors();
                    assert_eq!(errors[0].0, json!(["query", "offset"]), "{list} {offset}");
                } else {
                    assert_eq!(app.read("admin", &with(&format!("cursor={offset}"))).await.status, 400, "{list} {offset}");
                }
            }
            // Beyond the end there is nothing, and it costs nothing.
            let place = if by_offset { "offset=9007199254740991" } else { "cursor=999999999999999" };
            let beyond = app.read("admin", &with(place)).await;
            assert_eq!((beyond.status.as_u16(), &beyond.json()["items"]), (200, &json!([])), "{list}");
            // Ten thousand keys.
            let keys = (0..10_000).map(|n| n.to_string()).collect::<Vec<_>>().join("&");
            let answer = app.read("admin", &with(&keys)).await;
            assert!(matches!(answer.status.as_u16(), 200 | 414), "{list}: {}", answer.status);
        }
        let deep = "[".repeat(10_000);
        for (path, status) in [("/stories", 422), ("/sections", 422)] {
            assert_eq!(app.write("author", Method::POST, path, &[], deep.clone()).await.status, status, "{path}");
        }
    }

    async fn t26_sections_stay_a_tree_of_bounded_depth(db: Database) {
        const CHILDREN: usize = 10_000;
        let app = unlimited(&db).await;
        let parent = app.create("author", "/sections", &item("sections", "Parent", true)).await;
        let (id, own) = (parent["id"].as_str().unwrap(), path("sections", &parent));
        let mut chain = vec![parent["id"].clone()];
        loop {
            let mut deeper = item("sections", &format!("Depth {}", chain.len()), true);
            deeper["parent_id"] = chain.last().unwrap().clone();
            let answer = app.post("author", "/sections", &deeper).await;
            if answer.status == 422 {
                break;
            }
            assert!(answer.status == 201 && chain.len() < 200, "{}: {}", chain.len(), answer.status);
            chain.push(answer.json()["id"].clone());
        }
        assert_eq!(chain.len(), 32);
        // Under itself, a child, the deepest section, nothing.
        for parent in [&chain[0], &chain[1], &chain[31], &json!(NO_ID), &json!({}), &json!([id])] {
            assert_eq!(app.put("author", &own, &json!({ "parent_id": parent })).await.status, 422, "{parent}");
        }
        // A chain of 200 that another program left can be read and taken apart.
        let mut above = Value::Null;
        for n in 0..200 {
            let parent_id = above.as_str().map(str::to_owned);
            above = json!(insert(&db, section(&format!("deep-{n}"), doc! { "parent_id": parent_id })).await);
        }
        assert_eq!(app.anonymous("/sections/slug/deep-199").await.status, 200);
        let deepest = format!("/sections/{}", above.as_str().unwrap());
        assert_eq!(app.put("admin", &deepest, &json!({ "title": "Renamed" })).await.status, 200);
        assert_eq!(app.put("admin", &deepest, &json!({ "parent_id": null })).await.status, 200);
        // Many children are read by pages, and keep their parent from being deleted.
        let children = (0..CHILDREN).map(|n| section(&format!("child-{n}"), doc! { "parent_id": id })).collect();
        db.collection("sections").insert_many(children).await.unwrap();
        let list = app.anonymous(&format!("/sections?parent_id={id}&limit=50")).await.json();
        assert_eq!((&list["total"], list["items"].as_array().unwrap().len()), (&json!(CHILDREN + 1), 50));
        assert_eq!(app.delete("author", &own).await.status, 409);
    }

    async fn t30_redirects_stay_on_this_site_and_end(db: Database) {
        let app = unlimited(&db).await;
        let site = Site::create(&app).await;
        let base = url::Url::parse("https://api.example").unwrap();
        let mut redirects = 0;
        let mut check = |path: &str, location: &str| {
            if !location.is_empty() {
                redirects += 1;
                let target = base.join(location).unwrap_or_else(|_| panic!("{path} leads to {location}"));
                let ours = target.origin() == base.origin() && location.starts_with('/') && !location.starts_with("//");
                assert!(ours && !location.contains(['\r', '\n', '\\']), "{path} leads to {location}");
            }
        };
        for prefix in ["", "/stories/slug", "/sections/slug", "/pages", "/nothing", "/stories"] {
            for evil in [
                "//evil.example/", "///evil.example/", "/%5Cevil.example/", "/%2F%2Fevil.example/", "/%2Fevil.example/", "/javascript:alert(1)/",
                "/https:%2F%2Fevil.example/", "/http://evil.example/", "/x%0d%0aLocation:%20https:%2F%2Fevil.example/", "/x%0aSet-Cookie:a=b/",
                "/@evil.example/", "/.evil.example/", "/%09%2Fevil.example/", "/public/%2E%2E%2F%2E%2E%2F/", "/..//evil.example/",
            ] {
                for query in ["", "?next=https://evil.example", "?x=%0d%0aLocation:%20//evil.example"] {
                    let path = format!("{prefix}{evil}{query}");
                    let answer = app.anonymous(&path).await;
                    check(&path, answer.header("location"));
                    assert!(answer.status.is_client_error() || answer.status.is_redirection(), "{path}: {}", answer.status);
                }
            }
        }
        for route in routes().iter().filter(|route| route.method == Method::GET && !["/", "/uploads/{path}"].contains(&route.path)) {
            let path = format!("{}/?next=//evil.example", site.path(route));
            let answer = app.anonymous(&path).await;
            assert_eq!(answer.status, 307, "{path}");
            check(&path, answer.header("location"));
        }
        // A title never becomes an address elsewhere, and a chain of former addresses is one step, without a loop.
        for (kind, page) in [("stories", false), ("projects", false), ("sections", true)] {
            let evil = app.create("author", &format!("/{kind}"), &item(kind, "//evil.example", true)).await;
            let own = path(kind, &evil);
            let mut former = vec![evil["slug"].as_str().unwrap().to_owned()];
            for title in ["javascript:alert(1)", "/\\evil.example", "x\r\nLocation: //evil.example", "//evil.example", "Last"] {
                let change = if page { json!({ "title": title, "slug": title }) } else { json!({ "title": title }) };
                let answer = app.put("author", &own, &change).await;
                if answer.status == 200 {
                    former.push(answer.json()["slug"].as_str().unwrap().to_owned());
                }
            }
            let current = former.pop().unwrap();
            assert!(former.len() > 1, "{former:?}");
            for slug in former.into_iter().filter(|slug| *slug != current).collect::<BTreeSet<_>>() {
                let address = format!("/{kind}/slug/{slug}");
                let answer = app.anonymous(&address).await;
                assert_eq!((answer.status.as_u16(), answer.header("location")), (301, &*format!("/{kind}/slug/{current}")), "{address}");
                check(&address, answer.header("location"));
            }
        }
        assert!(redirects > 40, "{redirects}");
        // Targets of links are checked where they are stored.
        for url in ["//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nb", "data:text/html,x"] {
            let answer = app.post("author", "/navlinks", &json!({ "label": "x", "url": url })).await;
            assert_eq!(answer.status, 422, "{url:?}");
        }
    }
}

/// Returns the body of a response of any type, without the members that differ with each request.
fn comparable_text(answer: &Answer) -> String {
    if answer.header("content-type") == "application/json" {
        comparable(answer).to_string()
    } else {
        String::from_utf8_lossy(&answer.decoded()).into_owned()
    }
}
