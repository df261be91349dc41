//! ResponseCache responses: created once, handed out until something that they are created of is written, and never to the wrong
//! person.

/// Codings of bodies.
mod codings;
/// Contents and size of the cache.
mod keeping;
/// A store that is away, and too much work.
mod trouble;
/// Every read after every write.
mod writes;

use axum::http::Method;
use docstore::Database;

use crate::support::{Answer, App};

const HIT: &str = "field-notes; hit";
const MADE: &str = "field-notes; fwd=uri-miss";
const RENEWED: &str = "field-notes; fwd=stale";

/// Limits the cache to a number of bytes, regardless of the environment.
async fn keeping(db: &Database, bytes: u64) -> App {
    App::on_with(db, |config| config.cache.max_bytes = std::num::NonZeroU64::new(bytes)).await
}

async fn app(db: &Database) -> App {
    keeping(db, 16 * 1024 * 1024).await
}

async fn coded(app: &App, path: &str, accepted: &str) -> Answer {
    app.send(Method::GET, path, &[("accept-encoding", accepted)]).await
}

fn status(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.header("cache-status"))
}
