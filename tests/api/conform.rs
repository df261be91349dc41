use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use axum::http::Method;
use field_notes::http::routes;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::support::Answer;

const SCHEMAS: &str = "#/components/schemas/";

/// The committed document, which another test compares with the generated one: generating it in each process takes longer.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../openapi.json")).expect("the document is JSON"));

/// Validators by schema, compiled once for all tests.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Returns the validator of a schema that may refer to components.
pub(crate) fn validator(schema: &Value) -> Arc<Validator> {
    let mut known = VALIDATORS.lock().expect("no test panics while it holds this");
    let compile = || {
        let mut schema = schema.clone();
        schema["components"] = json!({ "schemas": referenced(&schema) });
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        Arc::new(options.build(&schema).expect("a schema"))
    };
    Arc::clone(known.entry(schema.to_string()).or_insert_with(compile))
}

/// Returns the components that a schema refers to, directly or through others. Compiling all of them takes long.
fn referenced(schema: &Value) -> Map<String, Value> {
    let (mut components, mut pending) = (Map::new(), vec![schema]);
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(members) => pending.extend(members.values()),
            Value::Array(elements) => pending.extend(elements),
            _ => {}
        }
        if let Some(name) = value["$ref"].as_str().and_then(|reference| reference.strip_prefix(SCHEMAS))
            && !components.contains_key(name)
        {
            let component = &DOCUMENT["components"]["schemas"][name];
            components.insert(name.to_owned(), component.clone());
            pending.push(component);
        }
    }
    components
}

/// Returns the messages of a schema's violations; none if the value is valid.
pub(crate) fn complaints(schema: &Value, value: &Value) -> Vec<String> {
    validator(schema).iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Follows a reference.
pub(crate) fn resolve(value: &'static Value) -> &'static Value {
    value["$ref"].as_str().map_or(value, |reference| {
        DOCUMENT
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference}: nothing there"))
    })
}

fn template(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or_default();
    // The only route whose path has any number of parts.
    if path.starts_with("/uploads/") && path != "/uploads/" {
        return Some("/uploads/{path}");
    }
    let fits = |template: &&str| {
        let (mine, theirs) = (path.split('/'), template.split('/'));
        mine.clone().count() == theirs.clone().count()
            && mine
                .zip(theirs)
                .all(|(mine, theirs)| mine == theirs || (theirs.starts_with('{') && !mine.is_empty()))
    };
    routes().iter().map(|route| route.path).filter(fits).min_by_key(|template| template.matches('{').count())
}

/// Checks the response to any request of a test: its status is documented, and its body matches the schema.
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let Some(template) = template(path) else { return };
    let verb = if method == Method::HEAD { "get".to_owned() } else { method.as_str().to_lowercase() };
    let Some(operation) = DOCUMENT["paths"][template].get(&verb) else {
        return assert!(
            matches!(answer.status.as_u16(), 200 | 307 | 400 | 405 | 503),
            "{method} {path}: {}",
            answer.status
        );
    };
    let what = format!("{method} {template}: {}", answer.status);
    let response = operation["responses"].get(answer.status.as_str());
    let response = resolve(response.unwrap_or_else(|| panic!("{what} is not in the document")));
    check_headers(&what, response, answer);
    if method == Method::HEAD {
        return;
    }
    let Some(content) = response["content"].as_object() else {
        return assert!(answer.bytes.is_empty(), "{what} has a body that the document does not promise");
    };
    let kind = answer.header("content-type").split(';').next().unwrap_or_default();
    let media = content
        .get(kind)
        .or_else(|| content.get("*/*"))
        .unwrap_or_else(|| panic!("{what}: {kind} is not in the document"));
    if kind.ends_with("json") {
        let complaints = complaints(&media["schema"], &answer.json());
        assert!(complaints.is_empty(), "{what}: {complaints:?}\n{}", answer.json());
    }
}

/// Checks that a header is documented where it is sent, and sent where it is promised.
fn check_headers(what: &str, response: &'static Value, answer: &Answer) {
    for (name, header) in DOCUMENT["components"]["headers"].as_object().expect("headers") {
        let (documented, sent) = (response["headers"].get(name).is_some(), answer.headers.contains_key(name));
        assert!(documented || !sent, "{what}: {name} is sent and not in the document");
        assert!(
            sent || !documented || header["required"] == false,
            "{what}: {name} is promised and not sent"
        );
    }
}

/// Returns a schema that refers to a component.
pub(crate) fn component(name: &str) -> Value {
    json!({ "$ref": format!("{SCHEMAS}{name}") })
}
