use axum::http::Method;
use bson::Document;
use docstore::{Database, Filter, Find, Sort};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{Answer, App, NOW_MS};

const SCOPE: &str = "openid https://www.googleapis.com/auth/userinfo.email";

/// The response of `tokeninfo` for a token that is valid for ten more minutes.
pub(crate) fn info() -> Value {
    json!({
        "aud": "ours", "sub": "42", "scope": SCOPE, "exp": (NOW_MS / 1000 + 600).to_string(),
        "email": "jo@example.com", "email_verified": "true",
    })
}

/// The same, with one member changed.
pub(crate) fn but(name: &str, value: impl Into<Value>) -> Value {
    let mut info = info();
    info[name] = value.into();
    info
}

pub(crate) fn said(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// A double of Google that says this of every token.
pub(crate) async fn google(token_info: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/oauth2/v3/tokeninfo"))
        .respond_with(token_info)
        .mount(&server)
        .await;
    let user = json!({ "name": "Jo March", "picture": "https://example.com/jo.png" });
    Mock::given(path("/oauth2/v2/userinfo")).respond_with(said(&user)).mount(&server).await;
    server
}

pub(crate) async fn app(db: &Database, google: &MockServer) -> App {
    let base = google.uri();
    App::on_with(db, |config| {
        config.google.base = base;
        config.google.audiences = vec!["theirs".into(), "ours".into()];
    })
    .await
}

pub(crate) async fn me(app: &App, token: &str) -> Answer {
    app.send(Method::GET, "/me", &[("authorization", &format!("Bearer {token}"))]).await
}

pub(crate) async fn asked(google: &MockServer, path: &str) -> usize {
    let requests = google.received_requests().await.expect("requests are recorded");
    requests.iter().filter(|request| request.url.path() == path).count()
}

/// Everybody but the administrator that the migration created.
pub(crate) async fn users(db: &Database) -> Vec<Document> {
    let others = Find::new(Filter::ne("role", "admin")).sort(Sort::ascending("email"));
    let found = db.collection("users").find(others).await.expect("users are read");
    found.documents().await.expect("users are read")
}
