use std::time::Duration;

use bson::{Document, doc};
use futures_util::stream::{self, StreamExt};
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::{ChangeStreamEvent, OperationType};
use tokio::sync::watch;

use crate::mongo::engine::Core;
use crate::mongo::error::{classify, failed};
use crate::{Change, ChangeFeed, Error, Result};

const WATCHING: &str = "watching for changes";
/// Pause between attempts to reopen a stream.
const PAUSE: Duration = Duration::from_millis(500);
/// The server answers after this time, even if nothing was written.
const ANSWER_INTERVAL: Duration = Duration::from_secs(1);
/// A stream without an answer for this time is broken: its connection may have been lost without a trace, and nothing
/// else would notice. Longer than the driver takes to resume after an election, which waits for a new primary for
/// [`SELECTION`](crate::mongo::connect::SELECTION) and loses no event.
const MAX_SILENCE: Duration = Duration::from_secs(10);

type Events = ChangeStream<ChangeStreamEvent<Document>>;

/// A change stream that is reopened when it breaks permanently. The driver resumes it after a closed connection or an
/// election; what remains are invalidations, resume tokens that the server no longer has, and connections that no longer
/// carry anything. Silence and a failed attempt to reopen are reported as errors before the next attempt.
struct Feed {
    core: Core,
    events: Option<Events>,
    /// True if the last attempt to open failed.
    failed: bool,
    closed: watch::Receiver<bool>,
}

impl Core {
    pub(crate) async fn watch(
        &self,
        precise: bool,
        poll: Duration,
        closed: watch::Receiver<bool>,
    ) -> Result<ChangeFeed> {
        if !precise {
            return Ok(polled(poll, closed));
        }
        // Open before returning, so that no change after this call is missed.
        let events = self.open_events().await?;
        let feed = Feed { core: self.clone(), events: Some(events), failed: false, closed };
        Ok(ChangeFeed::new(stream::unfold(feed, Feed::step).boxed()))
    }

    async fn open_events(&self) -> Result<Events> {
        // Only ids are needed: exclude the documents themselves.
        let pipeline = [doc! { "$unset": ["fullDocument", "updateDescription"] }];
        let open = self.database.watch().pipeline(pipeline).max_await_time(ANSWER_INTERVAL);
        let opened = tokio::time::timeout(MAX_SILENCE, open.into_future()).await.map_err(|_| silent())?;
        opened.map_err(failed(WATCHING, ""))
    }
}

fn silent() -> Error {
    Error::Unavailable(format!("{WATCHING}: no answer within {} s", MAX_SILENCE.as_secs()))
}

/// Emits [`Change::Unknown`] at intervals, for servers without change streams.
fn polled(poll: Duration, closed: watch::Receiver<bool>) -> ChangeFeed {
    let steps = stream::unfold(closed, move |mut closed| async move {
        let is_closed = tokio::time::timeout(poll, closed.wait_for(|closed| *closed)).await.is_ok();
        if is_closed { None } else { Some((Ok(Change::Unknown), closed)) }
    });
    ChangeFeed::new(steps.boxed())
}

impl Feed {
    async fn step(mut self) -> Option<(Result<Change>, Self)> {
        let mut closed = self.closed.clone();
        tokio::select! {
            _ = closed.wait_for(|closed| *closed) => None,
            change = self.next() => Some((change, self)),
        }
    }

    async fn next(&mut self) -> Result<Change> {
        loop {
            let Some(events) = &mut self.events else {
                if self.failed {
                    tokio::time::sleep(PAUSE).await;
                }
                let opened = self.core.open_events().await;
                self.failed = opened.is_err();
                self.events = Some(opened?);
                // Changes in between are unknown.
                return Ok(Change::Unknown);
            };
            let Ok(answer) = tokio::time::timeout(MAX_SILENCE, events.next_if_any()).await else {
                self.events = None;
                return Err(silent());
            };
            match answer {
                Ok(Some(event)) => {
                    if event.operation_type == OperationType::Invalidate {
                        self.events = None;
                    } else if let Some(change) = change(event) {
                        return Ok(change);
                    }
                }
                // Nothing was written.
                Ok(None) => {
                    if !events.is_alive() {
                        self.events = None;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %classify(WATCHING, "", &error), "the change stream broke");
                    self.events = None;
                }
            }
        }
    }
}

/// Converts an event; `None` for events that change no document, such as the creation of indexes and collections.
fn change(event: ChangeStreamEvent<Document>) -> Option<Change> {
    match event.operation_type {
        OperationType::Insert | OperationType::Update | OperationType::Replace | OperationType::Delete => {}
        OperationType::Other(_) => return None,
        _ => return Some(Change::Unknown),
    }
    let in_transaction = event.txn_number.is_some();
    let collection = event.ns.and_then(|namespace| namespace.coll);
    let id = event.document_key.and_then(|mut key| key.remove("_id"));
    Some(match (collection, id) {
        (Some(collection), Some(id)) => Change::Document { collection, id, in_transaction },
        _ => Change::Unknown,
    })
}
