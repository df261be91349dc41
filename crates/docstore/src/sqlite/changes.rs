//! The change feed: this process's changes one by one, those of other processes as `Change::Unknown`.

use std::sync::mpsc::Sender;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::sqlite::faults::closed;
use crate::sqlite::write::writer::Job;
use crate::{Change, ChangeFeed, Result};

struct Feed {
    events: broadcast::Receiver<Change>,
    jobs: Sender<Job>,
    ticks: Interval,
    version: i64,
}

/// Returns a feed of changes from now on.
pub(crate) async fn watch(
    events: broadcast::Receiver<Change>,
    jobs: Sender<Job>,
    poll: Duration,
) -> Result<ChangeFeed> {
    let version = data_version(&jobs).await?;
    let mut ticks = interval(poll.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let feed = Feed { events, jobs, ticks, version };
    let changes =
        stream::unfold(feed, |mut feed| async move { feed.next().await.map(|change| (change, feed)) });
    Ok(ChangeFeed::new(changes.boxed()))
}

impl Feed {
    async fn next(&mut self) -> Option<Result<Change>> {
        loop {
            tokio::select! {
                biased;
                event = self.events.recv() => return match event {
                    Ok(change) => Some(Ok(change)),
                    Err(RecvError::Lagged(_)) => Some(Ok(Change::Unknown)),
                    Err(RecvError::Closed) => None,
                },
                _ = self.ticks.tick() => {
                    // A closed store ends the feed through its events.
                    let Ok(version) = data_version(&self.jobs).await else { continue };
                    if version != self.version {
                        self.version = version;
                        return Some(Ok(Change::Unknown));
                    }
                }
            }
        }
    }
}

/// Returns a number that changes with every commit of another connection, but not with our own.
async fn data_version(jobs: &Sender<Job>) -> Result<i64> {
    let (reply, version) = oneshot::channel();
    jobs.send(Job::DataVersion(reply)).map_err(|_| closed())?;
    version.await.map_err(|_| closed())?
}
