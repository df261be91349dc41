use serde_json::{Map, Value, json};

use super::{errors, headers};
use crate::domain::TrashType;
use crate::http::routes::{content, routes};
use crate::http::{Policy, Route, Verb};

/// Routes with two names: the second answers as the first does.
const ALIASES: [(&str, &str); 2] =
    [("/health", "/livez"), ("/sections/slug/{slug}", "/sections/by-slug/{slug}")];

const TAGS: [(&str, &str); 8] = [
    ("stories", "What is told, the newest first."),
    ("projects", "What is made."),
    ("pages", "One page of each type."),
    ("sections", "The places that content hangs in."),
    ("navlinks", "Links of the navigation."),
    ("trash", "What is deleted, until it is purged."),
    ("identity", "Who is asking."),
    ("operations", "For machines and people that watch over this one."),
];

/// Adds to each operation what follows from its row in the table of routes, and the components that it refers to.
pub(crate) fn complete(document: &mut Value) {
    for (path, alias) in ALIASES {
        document["paths"][alias] = document["paths"][path].clone();
        let operation = &mut document["paths"][alias]["get"];
        let id = format!("{}_alias", operation["operationId"].as_str().unwrap_or_default());
        operation["operationId"] = json!(id);
    }
    for route in routes() {
        let verb = route.verb.as_str().to_lowercase();
        if let Some(operation) = document["paths"][route.path].get_mut(verb).and_then(Value::as_object_mut) {
            describe(operation, route);
        }
    }
    let tags = TAGS.map(|(name, description)| json!({ "name": name, "description": description }));
    document["tags"] = json!(tags);
    let components = &mut document["components"];
    components["securitySchemes"]["bearer"] = json!({
        "type": "http", "scheme": "bearer", "description": "An access token of Google, or a development token.",
    });
    components["headers"] = Value::Object(headers::components());
    components["responses"] = Value::Object(errors::responses());
    if let Some(schemas) = components["schemas"].as_object_mut() {
        schemas.extend(errors::schemas());
        for (name, schema) in schemas {
            // Items are written out where a list of them is annotated; a reference says as much.
            if let Some(item) = name.strip_prefix("List_") {
                schema["properties"]["items"]["items"] =
                    json!({ "$ref": format!("#/components/schemas/{item}") });
            }
        }
    }
}

fn tag(path: &str) -> &str {
    let first = path.split('/').nth(1).unwrap_or_default();
    match first {
        "me" => "identity",
        _ if TAGS.iter().any(|(name, _)| *name == first) => first,
        _ => "operations",
    }
}

fn describe(operation: &mut Map<String, Value>, route: &Route) {
    operation.insert("tags".to_owned(), json!([tag(route.path)]));
    let is_content = content().iter().any(|row| std::ptr::eq(row, route));
    let security = match route.policy {
        // Who asks is not looked at.
        Policy::Everyone if tag(route.path) == "operations" => json!([]),
        Policy::Everyone => json!([{}, { "bearer": [] }]),
        Policy::SignedIn | Policy::Authors | Policy::Owner | Policy::Admins => json!([{ "bearer": [] }]),
    };
    operation.insert("security".to_owned(), security);
    let said = [operation.get("description").and_then(Value::as_str), who(route.policy)];
    let said = said.into_iter().flatten().collect::<Vec<_>>().join("\n\n");
    if !said.is_empty() {
        operation.insert("description".to_owned(), json!(said));
    }
    let mut statuses = statuses(operation, route);
    if is_public_read(route, is_content) {
        statuses.push(406);
    }
    let parameters = parameters(route, is_content);
    if !parameters.is_empty() {
        let all = operation.entry("parameters").or_insert_with(|| json!([]));
        if let Some(all) = all.as_array_mut() {
            all.extend(parameters);
        }
    }
    let pages = asks_for(operation, "offset");
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for status in statuses {
        if let (false, Some(error)) = (responses.contains_key(&status.to_string()), errors::reference(status))
        {
            responses.insert(status.to_string(), error);
        }
    }
    // An error that a handler names has the shape of all errors, unless it says another.
    for (status, response) in responses.iter_mut() {
        let error = status.parse().ok().and_then(errors::reference);
        if let (Some(mut error), None, None) = (error, response.get("content"), response.get("$ref")) {
            // Beside a reference a description goes before that of what it refers to.
            error["description"] = response["description"].clone();
            *response = error;
        }
    }
    headers::describe(responses, route, is_content, pages);
}

/// Who may call, in words; nothing where everybody may.
fn who(policy: Policy) -> Option<&'static str> {
    match policy {
        Policy::Everyone => None,
        Policy::SignedIn => Some("For everybody who is signed in."),
        Policy::Authors => Some("For authors and administrators."),
        Policy::Owner => Some("For the owner and administrators."),
        Policy::Admins => Some("For administrators."),
    }
}

/// The errors that can be met on a route.
fn statuses(operation: &Map<String, Value>, route: &Route) -> Vec<u16> {
    let mut statuses = vec![500, 503];
    if route.path.contains('{') {
        statuses.extend([400, 404]);
    }
    if operation.contains_key("requestBody") {
        // The first of a body that breaks off.
        statuses.extend([400, 409, 413, 415, 422]);
    }
    if operation.contains_key("parameters") {
        statuses.push(422);
    }
    if asks_for(operation, "cursor") {
        // One that is none of this list.
        statuses.push(400);
    }
    if route.policy != Policy::Everyone {
        statuses.push(401);
    }
    if route.policy != Policy::Everyone || operation["responses"].get("401").is_some() {
        // A token that lacks a scope, and too many bad ones.
        statuses.extend([403, 429]);
    }
    if route.limit.is_some() {
        statuses.push(429);
    }
    if matches!(route.verb, Verb::Put | Verb::Delete) {
        statuses.push(412);
    }
    statuses
}

/// Variable parts of the path, and headers that ask for a state of the item.
fn parameters(route: &Route, is_content: bool) -> Vec<Value> {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = names
        .map(|name| {
            let schema = match name {
                "id" => json!({ "type": "string", "pattern": "^[0-9a-fA-F]{24}$" }),
                "type" => json!({ "type": "string", "enum": TrashType::WORDS }),
                _ => json!({ "type": "string", "minLength": 1 }),
            };
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect();
    let mut header = |name: &str, description: &str| {
        parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": description,
            "schema": { "type": "string" },
        }));
    };
    match route.verb {
        Verb::Put | Verb::Delete => header("If-Match", "The `ETag` of the state that is to be changed."),
        Verb::Get if is_public_read(route, is_content) => {
            header("If-None-Match", "The `ETag` of what is there already.");
            header("Accept-Encoding", "Of `br`, `zstd` and `gzip`, which are understood.");
        }
        Verb::Get | Verb::Post => {}
    }
    parameters
}

/// Whether everybody gets the same answer.
fn is_public_read(route: &Route, is_content: bool) -> bool {
    is_content && route.verb == Verb::Get && route.policy == Policy::Everyone
}

fn asks_for(operation: &Map<String, Value>, name: &str) -> bool {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    parameters.is_some_and(|all| all.iter().any(|parameter| parameter["name"] == name))
}
