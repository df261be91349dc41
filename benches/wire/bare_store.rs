//! The embedded store behind a bare handler: one `find` of 50 documents by their ids.

use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, Router, routing};
use docstore::bson::Document;
use docstore::{Database, Filter, Find, sqlite};

struct Bare {
    database: Database,
    ids: Vec<String>,
}

/// Returns a router for `GET /counts`.
pub(crate) async fn router(folder: &Path) -> Result<Router, String> {
    let text = |error: docstore::Error| error.to_string();
    let options = sqlite::Options { path: folder.join("field-notes.db") };
    let database = sqlite::open(options).await.map_err(text)?;
    let all = database.collection("engagement_counts").find(Find::new(Filter::All).limit(50)).await;
    let all = all.map_err(text)?.documents().await.map_err(text)?;
    let ids = all.iter().filter_map(|counts| Some(counts.get_str("_id").ok()?.to_owned())).collect();
    let bare = Bare { database, ids };
    Ok(Router::new().route("/counts", routing::get(counts)).with_state(Arc::new(bare)))
}

async fn counts(State(bare): State<Arc<Bare>>) -> Result<Json<Vec<Document>>, StatusCode> {
    let find = Find::new(Filter::is_in("_id", bare.ids.iter().map(String::as_str)));
    let found = async { bare.database.collection("engagement_counts").find(find).await?.documents().await };
    found.await.map(Json).map_err(|error| {
        eprintln!("the bare store: {error}");
        StatusCode::INTERNAL_SERVER_ERROR
    })
}
