use serde_json::{Map, Value, json};

/// A response header: its name, its description, and whether responses that describe it always have it.
struct Header(&'static str, &'static str, bool);

const ALWAYS: bool = true;
const SOMETIMES: bool = false;

/// All headers with a meaning in the API. The document's description names those for browsers.
const HEADERS: &[Header] = &[
    Header("Accept-Ranges", "`bytes`: parts of the file can be requested", ALWAYS),
    Header("Allow", "The methods of the route", ALWAYS),
    Header("Cache-Control", "Who may store the response, and for how long", ALWAYS),
    Header(
        "Cache-Status",
        "How the response cache handled the request; `detail=stale` while the store is unavailable",
        SOMETIMES,
    ),
    Header("Content-Range", "The part of the file that the response holds, and the size of the file", ALWAYS),
    Header("ETag", "The version of the response, for `If-None-Match` and `If-Match`", SOMETIMES),
    Header("Last-Modified", "The time of the last change, for `If-Modified-Since`", ALWAYS),
    Header("Link", "The first part of the list, and the parts before and after this one", ALWAYS),
    Header("Location", "The current address", ALWAYS),
    Header("RateLimit", "The remaining requests, and the seconds until the window ends", SOMETIMES),
    Header("RateLimit-Policy", "The limit: the number of requests in a window of seconds", SOMETIMES),
    Header("Retry-After", "Seconds to wait before trying again", ALWAYS),
    Header("Vary", "The request headers that the response depends on", ALWAYS),
    Header("WWW-Authenticate", "The authentication scheme", ALWAYS),
    Header(
        "X-Content-Sanitized",
        "What was removed from the content, each kind with its count; absent if nothing was removed",
        SOMETIMES,
    ),
    Header("X-Request-Id", "The id of the request, taken from the request if it has one", ALWAYS),
];

/// The headers of every response.
const EVERYWHERE: [&str; 3] = ["Cache-Control", "Vary", "X-Request-Id"];
const LIMITS: [&str; 2] = ["RateLimit", "RateLimit-Policy"];

/// Returns the names of all headers.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    HEADERS.iter().map(|Header(name, ..)| *name)
}

/// Returns the header components by name.
pub(super) fn components() -> Map<String, Value> {
    let component = |Header(name, description, always): &Header| {
        let schema = json!({ "type": "string" });
        let header = json!({ "description": description, "required": always, "schema": schema });
        ((*name).to_owned(), header)
    };
    HEADERS.iter().map(component).collect()
}

/// Returns references to the headers of a response: its own, those of every response, and those of rate limits.
pub(super) fn of_response<'a>(own: impl IntoIterator<Item = &'a str>, limited: bool) -> Map<String, Value> {
    let reference = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    let limits = if limited { &LIMITS[..] } else { &[] };
    let names = EVERYWHERE.iter().chain(limits).copied().chain(own);
    names.map(|name| (name.to_owned(), reference(name))).collect()
}

/// Returns a parameter that is a request header.
pub(crate) fn request(name: &str, description: &str) -> Value {
    json!({
        "name": name, "in": "header", "required": false, "description": description,
        "schema": { "type": "string" },
    })
}
