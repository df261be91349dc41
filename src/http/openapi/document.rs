use serde_json::{Map, Value, json};

use super::operation::Operation;
use super::{errors, headers};
use crate::domain::{TargetType, TrashType};
use crate::http::error::ErrorBody;
use crate::http::{Policy, Route};

const TAGS: [(&str, &str); 13] = [
    ("stories", "Stories, newest first."),
    ("projects", "Projects, by `sort_order`."),
    ("pages", "One page of each type."),
    ("sections", "The tree of sections that content belongs to."),
    ("navlinks", "Navigation links."),
    ("uploads", "Pictures and videos."),
    ("media", "The library: what is known of uploaded pictures and videos."),
    ("assets", "The library as the asset browser of the original reads it."),
    ("engagement", "Reactions and comments. Each path is also served without `/api`."),
    ("video-processing", "Jobs that make posters, thumbnails and smaller forms of uploaded videos."),
    ("trash", "Deleted items, until they are purged."),
    ("identity", "The caller."),
    ("operations", "Health, readiness and documentation."),
];

const DESCRIPTION: &str = "The content of Field Notes: stories, projects, pages, and the sections and links that lead to \
    them. Besides the headers that are described, every response has those for browsers: `Content-Security-Policy`, \
    `Referrer-Policy`, `X-Content-Type-Options`, `X-Frame-Options`, and the CORS headers for the frontend's origins.";

/// Returns the document, indented, with a line feed at its end.
pub(crate) fn document<'r>(routes: impl IntoIterator<Item = &'r Route>) -> String {
    let mut all = Operation::default();
    all.derived::<ErrorBody<'static>>();
    let mut schemas = all.schemas;
    schemas.extend(errors::schemas());
    let mut paths = Map::new();
    for route in routes {
        let mut operation = route.operation();
        schemas.append(&mut operation.schemas);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = describe(route, operation);
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Field Notes",
            "description": DESCRIPTION,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "tags": TAGS.map(|(name, description)| json!({ "name": name, "description": description })),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": errors::responses(),
            "headers": headers::components(),
            "securitySchemes": { "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "A Google access token, or a development token.",
            } },
        },
    });
    format!("{document:#}\n")
}

fn describe(route: &Route, mut operation: Operation) -> Value {
    let tag = tag(route.path);
    let security = match route.policy {
        // These routes ignore credentials.
        Policy::Everyone if tag == "operations" || !route.is_content() => json!([]),
        Policy::Everyone => json!([{}, { "bearer": [] }]),
        Policy::SignedIn | Policy::Authors | Policy::Owner | Policy::OwnerAlone | Policy::Admins => {
            json!([{ "bearer": [] }])
        }
    };
    operation.errors.extend([500, 503].iter().chain(route.errors));
    if !route.method.is_safe() {
        operation.errors.insert(507);
    }
    if route.limit.is_some() {
        operation.errors.insert(429);
    }
    if route.is_public_read() {
        revalidated(&mut operation);
    }
    let mut described = json!({
        "operationId": route.operation_id,
        "summary": route.summary.map_or_else(|| summary(route.operation_id), str::to_owned),
        "tags": [tag],
        "security": security,
        "responses": responses(route, &operation),
    });
    let text = [route.note, admitted(route.policy)].into_iter().flatten().collect::<Vec<_>>().join("\n\n");
    if !text.is_empty() {
        described["description"] = json!(text);
    }
    let parameters: Vec<_> =
        operation.query.into_iter().chain(path_parameters(route.path)).chain(operation.headers).collect();
    if !parameters.is_empty() {
        described["parameters"] = json!(parameters);
    }
    if let Some(schema) = operation.body {
        let body_type = operation.body_type.unwrap_or("application/json");
        described["requestBody"] =
            json!({ "required": true, "content": { body_type: { "schema": schema } } });
    }
    described
}

/// Adds what every cached response has: a tag, and its revalidation.
fn revalidated(operation: &mut Operation) {
    let description = "The `ETag` of the response that the client has.";
    operation.headers.push(headers::request("If-None-Match", description));
    let description = "The encodings that the client accepts, of `br`, `zstd` and `gzip`.";
    operation.headers.push(headers::request("Accept-Encoding", description));
    operation.errors.insert(406);
    let mut ok = operation.responses.remove(&200).expect("a public route has a response");
    ok.headers.extend(["ETag", "Cache-Status"]);
    let mut not_modified = ok.clone();
    (not_modified.description, not_modified.content) = ("Not modified", None);
    operation.responses.extend([(200, ok), (304, not_modified)]);
}

fn responses(route: &Route, operation: &Operation) -> Map<String, Value> {
    let errors = operation.errors.iter().map(|&status| {
        (status.to_string(), errors::reference(status).expect("every error of an operation is described"))
    });
    let mut responses: Map<_, _> = errors.collect();
    for (status, response) in &operation.responses {
        let mut described = json!({
            "description": response.description,
            "headers": headers::of_response(response.headers.iter().copied(), route.limit.is_some()),
        });
        if let Some((media_type, schema)) = &response.content {
            described["content"] = json!({ *media_type: { "schema": schema } });
        }
        responses.insert(status.to_string(), described);
    }
    responses
}

fn tag(path: &str) -> &str {
    match path.trim_start_matches("/api").split('/').nth(1).unwrap_or_default() {
        "me" => "identity",
        first if TAGS.iter().any(|(name, _)| *name == first) => first,
        _ => "operations",
    }
}

/// Returns an operation id as a sentence: "Show story by slug".
fn summary(operation_id: &str) -> String {
    let text = operation_id.trim_end_matches("_alias").replace('_', " ");
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}

/// Returns a description of the callers that a policy admits, unless it admits everyone.
fn admitted(policy: Policy) -> Option<&'static str> {
    match policy {
        Policy::Everyone => None,
        Policy::SignedIn => Some("Requires authentication."),
        Policy::Authors => Some("For authors and administrators."),
        Policy::Owner => Some("For the owner and administrators."),
        Policy::OwnerAlone => Some("For the owner."),
        Policy::Admins => Some("For administrators."),
    }
}

fn path_parameters(path: &str) -> impl Iterator<Item = Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let takes_comments = path.ends_with("/comments");
    let targets = TargetType::ALL.iter().filter(move |kind| !takes_comments || kind.takes_comments());
    let targets: Vec<_> = targets.map(|kind| kind.as_str()).collect();
    let is_media = path.starts_with("/media/");
    names.map(move |name| {
        let schema = match name {
            // The id of the document, or the one in the names of its files.
            "id" if is_media => json!({
                "type": "string", "pattern": "^([0-9a-fA-F]{24}|[0-9]{8}_[0-9]{6}_[0-9a-f]{8})$",
            }),
            "id" | "target_id" | "section_id" => json!({ "type": "string", "pattern": "^[0-9a-fA-F]{24}$" }),
            "target_type" => json!({ "type": "string", "enum": targets }),
            "type" => json!({ "type": "string", "enum": TrashType::WORDS }),
            _ => json!({ "type": "string", "minLength": 1 }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    })
}
