use serde_json::{Map, Value, json};

use crate::http::{Policy, Route, Verb};

/// A header of answers.
struct Header {
    name: &'static str,
    description: &'static str,
    /// Whether it is there each time where it is described.
    always: bool,
}

const fn always(name: &'static str, description: &'static str) -> Header {
    Header { name, description, always: true }
}

const fn maybe(name: &'static str, description: &'static str) -> Header {
    Header { name, description, always: false }
}

/// All that the API means something by. What every answer tells browsers is said once, in the description of the document.
const HEADERS: &[Header] = &[
    always("Allow", "The methods that the route has"),
    always("Cache-Control", "Who may keep the answer, and for how long"),
    maybe("Cache-Status", "Where an answer for everybody comes from; `detail=stale` while the store is away"),
    maybe("ETag", "The state of what is answered; to be sent back in `If-None-Match` or `If-Match`"),
    always("Link", "The first window of the list, and those before and after this one"),
    always("Location", "Where it is now"),
    maybe(
        "RateLimit",
        "What is left of the limit, and the seconds until it is whole again, where one counts",
    ),
    maybe("RateLimit-Policy", "The limit: so many requests in so many seconds"),
    always("Retry-After", "Seconds after which to try again"),
    always("Vary", "The headers of a request that the answer depends on"),
    always("WWW-Authenticate", "How to sign in"),
    maybe(
        "X-Content-Sanitized",
        "What was removed from the content, each kind with its count; not there if nothing was",
    ),
    always("X-Request-Id", "Tells the request from all others; taken from the request if it has one"),
];

/// What every answer has.
const EVERYWHERE: [&str; 3] = ["Cache-Control", "Vary", "X-Request-Id"];
const LIMITS: [&str; 2] = ["RateLimit", "RateLimit-Policy"];

/// The components, by name.
pub(crate) fn components() -> Map<String, Value> {
    let component = |header: &Header| {
        let schema = json!({ "type": "string" });
        json!({ "description": header.description, "required": header.always, "schema": schema })
    };
    HEADERS.iter().map(|header| (header.name.to_owned(), component(header))).collect()
}

fn references<'a>(names: impl IntoIterator<Item = &'a str>) -> Map<String, Value> {
    let reference = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    names.into_iter().map(|name| (name.to_owned(), reference(name))).collect()
}

/// The headers of an answer that is an error, with some of its own. It may be that of any route, so it may tell of a limit.
pub(crate) fn of_error(own: &[&str]) -> Map<String, Value> {
    references(EVERYWHERE.iter().chain(&LIMITS).chain(own).copied())
}

/// Adds their headers to the answers of a route that are written out, which errors are not.
pub(crate) fn describe(responses: &mut Map<String, Value>, route: &Route, is_content: bool, pages: bool) {
    let cached = is_content && route.verb == Verb::Get && route.policy == Policy::Everyone;
    if cached {
        responses.insert("304".to_owned(), json!({ "description": "Nothing has changed" }));
    }
    // A single item has a tag whoever asks for it; anything else if everybody may see it. What comes out of the trash is
    // told without its content.
    let single = (route.path.contains('{') || route.verb == Verb::Post) && !route.path.starts_with("/trash");
    for (status, response) in responses.iter_mut().filter(|(_, response)| response.get("$ref").is_none()) {
        let mut names = EVERYWHERE.to_vec();
        if route.limit.is_some() {
            names.extend(LIMITS);
        }
        match &**status {
            "200" | "201" | "304" if cached || single => names.push("ETag"),
            "301" => names.push("Location"),
            "503" => names.push("Retry-After"),
            _ => {}
        }
        if cached && matches!(&**status, "200" | "304") {
            names.push("Cache-Status");
        }
        if pages && matches!(&**status, "200" | "304") {
            names.push("Link");
        }
        // Said beside a handler, which alone knows it.
        let said: Vec<_> =
            response["headers"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        names.extend(said.iter().map(String::as_str));
        response["headers"] = Value::Object(references(names));
    }
}
