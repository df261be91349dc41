use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::program::{Program, Server};
use crate::report::Row;
use crate::scale::{duration, is_full};
use crate::wire::{self, CLIENT, Connection};

const STORIES: u64 = 500;
/// The offered load, as a multiple of the peak.
const FACTOR: f64 = 4.0;
/// The interval in which requests are sent that have become due.
const TICK: Duration = Duration::from_millis(2);

/// A request that ended.
struct Sample {
    status: u16,
    /// The time since the request was due.
    latency: Duration,
    /// True if a refusal says when to retry.
    has_retry_after: bool,
}

/// Sends requests of a mix: four lists of a page, which every write invalidates, to one write.
struct Clients {
    address: SocketAddr,
    ids: Vec<String>,
    sent: AtomicU64,
    idle: Mutex<Vec<Connection>>,
}

impl Clients {
    fn request(&self) -> String {
        let n = self.sent.fetch_add(1, Ordering::Relaxed);
        if n.is_multiple_of(5) {
            let id = &self.ids[fastrand::usize(..self.ids.len())];
            wire::write("PUT", &format!("/stories/{id}"), &json!({ "content": format!("<p>write {n}</p>") }))
        } else {
            wire::get(&format!("/stories?limit=20&offset={}", fastrand::u64(..STORIES)), None)
        }
    }

    /// Sends one request over an idle connection, or a new one.
    async fn send(&self, due: Instant) -> Option<Sample> {
        let idle = self.idle.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Connection::open(self.address, CLIENT, None).await.ok()?,
        };
        let reply = connection.exchange(&self.request()).await.ok()?;
        if !reply.closes() {
            self.idle.lock().push(connection);
        }
        let has_retry_after = reply.head.contains("\r\nretry-after: ");
        Some(Sample { status: reply.status, latency: due.elapsed(), has_retry_after })
    }

    /// Sends requests from this many clients, each after the response to its last one.
    async fn closed_loop(self: &Arc<Self>, clients: usize, time: Duration) -> Samples {
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            let this = Arc::clone(self);
            tasks.spawn(async move {
                let mut samples = Vec::new();
                while began.elapsed() < time {
                    samples.push(this.send(Instant::now()).await);
                }
                samples
            });
        }
        let samples = tasks.join_all().await.into_iter().flatten().collect();
        Samples::new(samples, began.elapsed())
    }

    /// Sends this many requests per second, each when it is due, whether or not others were answered.
    async fn open_loop(self: &Arc<Self>, per_second: f64, time: Duration) -> Samples {
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        let mut offered = 0.0;
        while began.elapsed() < time {
            while offered < began.elapsed().as_secs_f64() * per_second {
                let due = began + Duration::from_secs_f64(offered / per_second);
                let this = Arc::clone(self);
                tasks.spawn(async move { this.send(due).await });
                offered += 1.0;
            }
            sleep(TICK).await;
        }
        let offering = began.elapsed();
        Samples::new(tasks.join_all().await, offering)
    }
}

struct Samples {
    accepted: Vec<Duration>,
    refused: usize,
    /// Refusals that do not say when to try again.
    bare: usize,
    /// Requests without a response, and other statuses.
    failed: Vec<u16>,
    time: Duration,
}

impl Samples {
    fn new(samples: Vec<Option<Sample>>, time: Duration) -> Self {
        let mut all = Self { accepted: Vec::new(), refused: 0, bare: 0, failed: Vec::new(), time };
        for sample in samples {
            match sample {
                Some(Sample { status: 200, latency, .. }) => all.accepted.push(latency),
                Some(Sample { status: 503, has_retry_after, .. }) => {
                    all.refused += 1;
                    all.bare += usize::from(!has_retry_after);
                }
                Some(Sample { status, .. }) => all.failed.push(status),
                None => all.failed.push(0),
            }
        }
        all.accepted.sort_unstable();
        all
    }

    /// Returns the requests per second that were answered well.
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    fn goodput(&self) -> f64 {
        self.accepted.len() as f64 / self.time.as_secs_f64()
    }

    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.accepted.len() * percent).div_ceil(100).saturating_sub(1);
        self.accepted.get(rank).copied().unwrap_or_default()
    }
}

/// Gives the server one processor and the clients the others, so that these do not slow it down.
fn separate(server: &Server) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    if processors > 1 {
        let others = format!("1-{}", processors - 1);
        for (process, processors) in [(server.id(), "0"), (std::process::id(), &others)] {
            let set =
                Command::new("taskset").args(["-a", "-p", "-c", processors, &process.to_string()]).output();
            assert!(set.is_ok_and(|set| set.status.success()), "taskset is part of util-linux");
        }
    }
}

/// Finds the peak of answered requests, offers four times of it, and looks whether the server recovers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn excess_requests_are_refused_and_the_others_answered() {
    rlimit::increase_nofile_limit(u64::MAX).expect("the limit can be raised");
    let mut row = Row::new(
        "overload::excess_requests_are_refused_and_the_others_answered",
        "four times the peak load, embedded",
    );
    let program = Program::bare()
        .with("ADMIN_EMAIL", "admin@example.com")
        .with("ALLOW_DEV_AUTH", "true")
        .with("RATE_LIMITS", "off")
        .with("LOG_REQUESTS", "off");
    let server = program.serve().await;
    if is_full() {
        separate(&server);
    }
    let mut ids = Vec::new();
    for n in 0..if is_full() { STORIES } else { 50 } {
        let story = json!({ "title": format!("Story {n}"), "content": "<p>text</p>", "is_published": true });
        let (status, created) = server.post_as_admin("/stories", &story).await;
        assert_eq!(status, 201, "{created}");
        ids.push(created["id"].as_str().expect("an id").to_owned());
    }
    let clients = Arc::new(Clients {
        address: wire::address(&server),
        ids,
        sent: AtomicU64::new(0),
        idle: Mutex::default(),
    });
    let mut peak: f64 = 0.0;
    for number in [8, 32, 128] {
        let samples = clients.closed_loop(number, duration(1, 10).min(Duration::from_secs(10))).await;
        assert_eq!(samples.failed, [0; 0], "{number} clients");
        peak = peak.max(samples.goodput());
    }
    let samples = clients.open_loop(FACTOR * peak, duration(2, 60)).await;
    row.rounds = 1;
    row.failed = u64::try_from(samples.failed.len()).unwrap_or(u64::MAX);
    row.note(format!(
        "peak {peak:.0}/s; at {FACTOR} times of it {:.0}/s answered, goodput : peak {:.2}, p99 of accepted {} ms, {} refused",
        samples.goodput(),
        samples.goodput() / peak,
        samples.percentile(99).as_millis(),
        samples.refused,
    ));
    // Afterwards nothing is left of the load.
    let began = Instant::now();
    let after = clients.closed_loop(1, Duration::from_millis(500)).await;
    row.add_recovery(began.elapsed().saturating_sub(Duration::from_millis(500)));
    row.write();
    assert_eq!((samples.failed, samples.bare), (Vec::new(), 0), "requests are answered or refused");
    assert!(!samples.accepted.is_empty() && after.refused + after.failed.len() == 0);
    let (_, ready): (_, Value) = server.get("/readyz").await;
    assert_eq!(ready["status"], "ready", "{ready}");
}
