//! The official driver behind a bare handler: one `find` that is decoded and serialized, one `insert_one`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, Router, routing};
use futures_util::TryStreamExt as _;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::{Acknowledgment, ClientOptions, WriteConcern};
use mongodb::{Client, Collection, IndexModel};
use serde::{Deserialize, Serialize, Serializer};

/// The collection for the bare inserts, with the same indexes as `stories`.
const INSERTS: &str = "bench_inserts";

struct Bare {
    stories: Collection<Story>,
    inserts: Collection<Document>,
    counts: Collection<Document>,
    ids: Vec<String>,
    upserts: Collection<Document>,
    toggles: AtomicI64,
}

#[derive(Serialize, Deserialize)]
struct Story {
    #[serde(rename(deserialize = "_id", serialize = "id"), serialize_with = "hex")]
    id: ObjectId,
    title: String,
    content: String,
    slug: String,
    is_published: bool,
    #[serde(serialize_with = "text")]
    date: DateTime,
    #[serde(rename = "createdDate", serialize_with = "text")]
    created: DateTime,
    #[serde(rename = "updatedDate", serialize_with = "text")]
    updated: DateTime,
    user_id: String,
    section_id: String,
}

#[derive(Serialize)]
struct Page {
    items: Vec<Story>,
    limit: i64,
    offset: i64,
}

fn hex<S: Serializer>(id: &ObjectId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&id.to_hex())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference to the field")]
fn text<S: Serializer>(date: &DateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&date.try_to_rfc3339_string().unwrap_or_default())
}

/// Returns a router for `GET /stories` and `POST /stories`, with the program's pool size and write concern.
pub(crate) async fn router(uri: &str, database: &str) -> Result<Router, String> {
    let text = |error: mongodb::error::Error| error.to_string();
    let mut options = ClientOptions::parse(uri).await.map_err(text)?;
    options.max_pool_size = Some(20);
    options.min_pool_size = Some(5);
    options.write_concern = Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
    let database = Client::with_options(options).map_err(text)?.database(database);
    let inserts: Collection<Document> = database.collection(INSERTS);
    // Copies the indexes that the program created for stories.
    let stories: Collection<Document> = database.collection("stories");
    let indexes: Vec<IndexModel> =
        stories.list_indexes().await.map_err(text)?.try_collect().await.map_err(text)?;
    let secondary =
        indexes.into_iter().filter(|index| !index.keys.contains_key("_id") || index.keys.len() > 1);
    inserts.create_indexes(secondary).await.map_err(text)?;
    let counts: Collection<Document> = database.collection("engagement_counts");
    let counted: Vec<Document> =
        counts.find(doc! {}).limit(50).await.map_err(text)?.try_collect().await.map_err(text)?;
    let bare = Bare {
        stories: database.collection("stories"),
        inserts,
        ids: counted.iter().filter_map(|counts| Some(counts.get_str("_id").ok()?.to_owned())).collect(),
        counts,
        upserts: database.collection("bench_upserts"),
        toggles: AtomicI64::new(0),
    };
    let router = Router::new()
        .route("/stories", routing::get(find).post(insert))
        .route("/counts", routing::get(find_counts))
        .route("/reactions", routing::post(upsert));
    Ok(router.with_state(Arc::new(bare)))
}

async fn find(State(bare): State<Arc<Bare>>) -> Result<Json<Page>, StatusCode> {
    let filter = doc! { "is_published": true, "deleted": { "$ne": true }, "is_deleted": { "$ne": true } };
    let found = bare.stories.find(filter).sort(doc! { "createdDate": -1, "_id": 1 }).limit(10).await;
    let items = found.map_err(failed)?.try_collect().await.map_err(failed)?;
    Ok(Json(Page { items, limit: 10, offset: 0 }))
}

async fn insert(
    State(bare): State<Arc<Bare>>,
    Json(body): Json<serde_json::Value>,
) -> Result<StatusCode, StatusCode> {
    let now = DateTime::now();
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let document = doc! {
        "_id": ObjectId::new(),
        "title": text("title"),
        "content": text("content"),
        "is_published": true,
        "date": now,
        "user_id": "65a0b1c2d3e4f50617283940",
        "section_id": "65a0b1c2d3e4f50617283941",
        "slug": format!("story-{}", ObjectId::new().to_hex()),
        "createdDate": now,
        "updatedDate": now,
        "version": 1_i64,
    };
    bare.inserts.insert_one(document).await.map_err(failed)?;
    Ok(StatusCode::CREATED)
}

async fn find_counts(State(bare): State<Arc<Bare>>) -> Result<Json<Vec<Document>>, StatusCode> {
    let found = bare.counts.find(doc! { "_id": { "$in": &bare.ids } }).await.map_err(failed)?;
    Ok(Json(found.try_collect().await.map_err(failed)?))
}

async fn upsert(State(bare): State<Arc<Bare>>) -> Result<StatusCode, StatusCode> {
    let n = bare.toggles.fetch_add(1, Ordering::Relaxed);
    let update = doc! { "$set": { "reaction_tag": "heart", "n": n } };
    bare.upserts.update_one(doc! { "_id": "a reaction" }, update).upsert(true).await.map_err(failed)?;
    Ok(StatusCode::OK)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` needs")]
fn failed(error: mongodb::error::Error) -> StatusCode {
    eprintln!("the bare driver: {error}");
    StatusCode::INTERNAL_SERVER_ERROR
}
