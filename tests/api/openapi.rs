use std::collections::BTreeSet;
use std::path::Path;

use axum::http::Method;
use docstore::Database;
use field_notes::http::{openapi_document, routes};
use serde_json::{Value, json};

use crate::conform::{DOCUMENT, complaints, component, resolve};
use crate::support::App;

fn operations() -> impl Iterator<Item = (&'static String, &'static String, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, item)| {
        item.as_object().expect("operations").iter().map(move |(verb, operation)| (path, verb, operation))
    })
}

#[test]
fn the_document_has_the_routes_of_the_table_and_no_others() {
    let documented: BTreeSet<_> =
        operations().map(|(path, verb, _)| (path.clone(), verb.to_uppercase())).collect();
    let declared: BTreeSet<_> =
        routes().iter().map(|route| (route.path.to_owned(), route.method.as_str().to_owned())).collect();
    assert_eq!(documented, declared);
}

#[test]
fn it_is_openapi_3_1_and_every_operation_is_told_apart() {
    assert!(DOCUMENT["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(DOCUMENT["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(DOCUMENT["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    let tags: Vec<_> = DOCUMENT["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for (path, verb, operation) in operations() {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{verb} {path}: its id is taken");
        assert!(!operation["summary"].as_str().unwrap().contains('`'), "{verb} {path}: no summary");
        assert!(tags.contains(&&operation["tags"][0]), "{verb} {path}: its tag is not declared");
        let variables: BTreeSet<_> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let named: BTreeSet<_> = parameters
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(variables, named, "{verb} {path}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &'static Value, seen: &mut usize) {
        if value["$ref"].is_string() {
            resolve(value);
            *seen += 1;
        }
        match value {
            Value::Object(members) => members.values().for_each(|value| walk(value, seen)),
            Value::Array(elements) => elements.iter().for_each(|value| walk(value, seen)),
            _ => {}
        }
    }
    let mut seen = 0;
    walk(&DOCUMENT, &mut seen);
    assert!(seen > 100, "{seen}");
}

#[test]
fn every_example_is_valid() {
    let mut checked = 0;
    let mut check = |what: &str, schema: &Value, example: &Value| {
        checked += 1;
        assert_eq!(complaints(schema, example), Vec::<String>::new(), "{what}: {example}");
    };
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        for example in schema["examples"].as_array().into_iter().flatten() {
            check(name, &component(name), example);
        }
    }
    for (name, response) in DOCUMENT["components"]["responses"].as_object().unwrap() {
        for media in response["content"].as_object().unwrap().values() {
            check(name, &media["schema"], &media["example"]);
        }
    }
    assert!(checked > 30, "{checked}");
}

#[test]
fn the_kept_document_is_the_one_of_the_code() {
    let kept = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json")).unwrap();
    assert!(kept == openapi_document(), "openapi.json is not what the code says: run `make openapi`");
}

/// The example of a body, with one field changed.
fn changed(schema: &Value, name: &str, value: Value) -> String {
    let mut body = schema["examples"][0].clone();
    body[name] = value;
    body.to_string()
}

/// The parameters that a list cannot do without, each with its first choice.
fn required_query(parameters: &Value) -> String {
    let parameters = parameters.as_array().into_iter().flatten();
    let mut query = String::new();
    for parameter in
        parameters.filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
    {
        let name = parameter["name"].as_str().expect("a parameter has a name");
        let choice = parameter["schema"]["enum"][0].as_str().expect("a required parameter is a choice");
        query.extend([name, "=", choice, "&"]);
    }
    query
}

testkit::stores! {
    async fn it_is_served_with_a_page_that_needs_nothing_else(db: Database) {
        let app = App::on(&db).await;
        let served = app.get("/openapi.json").await;
        assert_eq!(served.bytes, openapi_document().as_bytes());
        assert_eq!(served.header("content-type"), "application/json");
        let again = app.send(Method::GET, "/openapi.json", &[("if-none-match", served.header("etag"))]).await;
        assert_eq!(again.status, 304);
        let links = &app.get("/").await.json()["links"];
        assert_eq!((&links["docs"], &links["openapi"]), (&json!("/docs"), &json!("/openapi.json")));
        let page = app.get("/docs").await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        let text = String::from_utf8(page.bytes).unwrap();
        // What the page takes from elsewhere it takes from here.
        let taken: Vec<_> = text
            .split(['<', '>'])
            .filter(|tag| tag.starts_with("script") || tag.contains("rel=\"stylesheet\""))
            .filter_map(|tag| tag.split_once("src=\"").or_else(|| tag.split_once("href=\"")))
            .map(|(_, rest)| rest.split('"').next().unwrap().to_owned())
            .collect();
        assert_eq!(taken, ["/docs/style.css", "/docs/script.js"]);
        assert!(!text.contains("://") && !text.contains(" style=") && !text.contains(" onload="));
        for (path, kind) in [("/docs/script.js", "text/javascript"), ("/docs/style.css", "text/css")] {
            let file = app.get(path).await;
            assert!(file.header("content-type").starts_with(kind), "{path}");
            assert!(!String::from_utf8(file.bytes).unwrap().contains("://"), "{path}");
        }
    }

    async fn limits_of_fields_are_those_that_are_enforced(db: Database) {
        let app = App::on(&db).await;
        let mut tried = 0;
        for (path, verb, operation) in operations() {
            let wants = &operation["requestBody"]["content"]["application/json"]["schema"];
            if wants.is_null() {
                continue;
            }
            let is_list = wants["type"] == "array";
            let schema = resolve(if is_list { &wants["items"] } else { wants });
            let body = |name: &str, value: Value| {
                let object = changed(schema, name, value);
                if is_list { format!("[{object}]") } else { object }
            };
            let id = "65a1b2c3d4e5f60718293a4b";
            let path = path.replace("{id}", id).replace("{page_type}", "about");
            let path = path.replace("{target_type}", "story").replace("{target_id}", id);
            for (name, property) in schema["properties"].as_object().unwrap() {
                let is_url = property["pattern"].as_str().is_some_and(|pattern| pattern.starts_with("^(https?://"));
                let start = if is_url { "https://" } else { "" };
                let text = |length: u64| {
                    json!(format!("{start}{}", "x".repeat(usize::try_from(length).unwrap() - start.len())))
                };
                let least = property["minLength"].as_u64().map(|length| (text(length), text(length - 1)));
                let most = property["maxLength"].as_u64().map(|length| (text(length), text(length + 1)));
                let low = property["minimum"].as_i64().map(|number| (json!(number), json!(number - 1)));
                let high = property["maximum"].as_i64().map(|number| (json!(number), json!(number + 1)));
                for (good, bad) in [least, most, low, high].into_iter().flatten() {
                    tried += 1;
                    // Each in a minute of its own, lest the rate limits be in the way.
                    app.clock.advance(chrono::TimeDelta::minutes(1));
                    let method = Method::from_bytes(verb.to_uppercase().as_bytes()).unwrap();
                    let accepted = app.write("admin", method.clone(), &path, &[], body(name, good)).await;
                    assert_ne!(accepted.status, 422, "{verb} {path} {name}: {property}");
                    let refused = app.write("admin", method, &path, &[], body(name, bad)).await;
                    assert_eq!(refused.status, 422, "{verb} {path} {name}: {property}");
                    let loc = if is_list { json!(["body", 0, name]) } else { json!(["body", name]) };
                    assert_eq!(refused.json()["errors"][0]["loc"], loc, "{verb} {path}");
                }
            }
        }
        assert!(tried > 30, "{tried}");
    }

    async fn parameters_are_as_documented(db: Database) {
        let app = App::on(&db).await;
        let mut tried = 0;
        for (path, verb, operation) in operations().filter(|(_, verb, _)| *verb == "get") {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
                let is_bounded = schema["type"] == "integer" && schema.get("maximum").is_some();
                if parameter["in"] != "query" || !is_bounded {
                    continue;
                }
                tried += 1;
                let (low, high) = (schema["minimum"].as_i64().unwrap(), schema["maximum"].as_i64().unwrap());
                let required = required_query(&operation["parameters"]);
                let path = path.replace("{section_id}", "65a1b2c3d4e5f60718293a4b");
                for (value, status) in [(low, 200), (high, 200), (low - 1, 422), (high + 1, 422)] {
                    let answer = app.get_as("admin", &format!("{path}?{required}{name}={value}")).await;
                    assert_eq!(answer.status, status, "{verb} {path}?{name}={value}");
                }
                // The asset browser of the original repeats no parameters.
                if !path.starts_with("/assets/") {
                    let answer = app.get_as("admin", &format!("{path}?{required}")).await.json();
                    assert_eq!(answer[name], schema["default"], "{verb} {path} {name}");
                }
            }
        }
        assert!(tried >= 8, "{tried}");
    }
}
