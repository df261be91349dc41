use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use bson::{Document, oid::ObjectId};
use docstore::{Database, Filter, Find};
use futures_util::future::join_all;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::conform;
use crate::support::{Answer, App};

/// The name of no development token: the request has no credentials.
pub(crate) const ANONYMOUS: &str = "";

impl App {
    /// Sends a request with a body, which may be empty.
    pub(crate) async fn write(
        &self,
        who: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(&method).uri(path);
        if who != ANONYMOUS {
            request = request.header("authorization", format!("Bearer dev-mock-{who}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body").to_vec();
        let answer = Answer { status: parts.status, headers: parts.headers, bytes };
        conform::check(&method, path, &answer);
        answer
    }

    pub(crate) async fn post(&self, who: &str, path: &str, body: &Value) -> Answer {
        self.write(who, Method::POST, path, &[("content-type", "application/json")], body.to_string()).await
    }

    pub(crate) async fn put(&self, who: &str, path: &str, body: &Value) -> Answer {
        self.write(who, Method::PUT, path, &[], body.to_string()).await
    }

    pub(crate) async fn put_if(&self, who: &str, path: &str, tag: &str, body: &Value) -> Answer {
        self.write(who, Method::PUT, path, &[("if-match", tag)], body.to_string()).await
    }

    pub(crate) async fn delete(&self, who: &str, path: &str) -> Answer {
        self.write(who, Method::DELETE, path, &[], Body::empty()).await
    }

    /// Posts a body that must be accepted; returns the response's body.
    pub(crate) async fn create(&self, who: &str, path: &str, body: &Value) -> Value {
        let answer = self.post(who, path, body).await;
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.bytes));
        answer.json()
    }

    /// Sends requests concurrently, each in its own task.
    pub(crate) async fn at_once<F>(&self, requests: impl IntoIterator<Item = F>) -> Vec<Answer>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let tasks = requests.into_iter().map(tokio::spawn).collect::<Vec<_>>();
        join_all(tasks).await.into_iter().map(|answer| answer.expect("a task ends")).collect()
    }
}

impl Answer {
    /// Returns the `loc` and the `type` of each error of a 422.
    pub(crate) fn errors(&self) -> Vec<(Value, String)> {
        assert_eq!(self.status, 422, "{}", String::from_utf8_lossy(&self.bytes));
        let body = self.json();
        let errors = body["errors"].as_array().expect("a list of errors");
        let kind = |error: &Value| error["type"].as_str().expect("a type").to_owned();
        errors.iter().map(|error| (error["loc"].clone(), kind(error))).collect()
    }
}

/// Returns a stored document.
pub(crate) async fn stored(db: &Database, collection: &str, id: &Value) -> Document {
    let id = ObjectId::parse_str(id.as_str().expect("an id")).expect("an id");
    let found = db.collection(collection).find_one(Find::new(Filter::id(id))).await;
    found.expect("a document is read").expect("the document is there")
}
