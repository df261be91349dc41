use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::history::{Call, Event, History, Item, Moment, Outcome};

/// A client gives up on a request after this time, which is longer than the `REQUEST_TIMEOUT_SECONDS` of the server; the
/// outcome of a write is then unknown.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);
/// Repetitions of the value in a story, so that a torn story is seen.
const REPETITIONS: usize = 40;
/// Attempts of a create with one key until its outcome is known.
const ATTEMPTS: u32 = 60;
/// The item that stands for the order of all sections.
const ORDER: Item = Item::MAX;
/// The number of places in an order.
const PLACES: u64 = 1000;
/// The beginning of the reported order of sections, if it comes from several requests.
const TORN: &str = "torn order of sections: ";
/// The maximum number of items of a page of a list.
const PAGE: usize = 50;

/// The work of the clients.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The number of clients; each waits for a response before its next request.
    pub(crate) clients: usize,
    /// The pause of a client between two requests.
    pub(crate) pause: Duration,
    /// True if published stories are also read by their slug, without a token and so through the response cache. Only
    /// one process promises that such reads see every acknowledged write.
    pub(crate) public_reads: bool,
    /// The number of the first item. Loads of one store need numbers of their own.
    pub(crate) first_item: Item,
    /// True if one client gives all sections a new order at once. A standalone MongoDB server has no transactions, so there
    /// a part of the order may be stored if the server or the store dies during the request.
    pub(crate) reorders: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            clients: 8,
            pause: Duration::from_millis(5),
            public_reads: true,
            first_item: 0,
            reorders: true,
        }
    }
}

/// An item as the clients know it.
#[derive(Debug, Clone)]
struct Known {
    item: Item,
    id: String,
    slug: String,
    etag: Option<String>,
}

/// The state that the clients of a load share.
struct Shared {
    bases: Vec<String>,
    plan: Plan,
    clock: AtomicU64,
    items: AtomicU64,
    known: Mutex<Vec<Known>>,
    failed: AtomicU64,
    /// Requests without any answer within [`REQUEST_TIMEOUT`].
    unanswered: AtomicU64,
    /// The longest time from a request to its answer.
    longest: Mutex<Duration>,
    /// Responses of the cache that said that they may be stale.
    stale: AtomicU64,
    /// Responses with status 500, which no fault of the store explains.
    internal: Mutex<Vec<String>>,
    last_failure: Mutex<Option<Instant>>,
    first_success: Mutex<Option<Instant>>,
    stopping: AtomicBool,
}

impl Shared {
    fn now(&self) -> Moment {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn base(&self) -> String {
        self.bases[fastrand::usize(..self.bases.len())].clone()
    }
}

/// Clients at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<Vec<Event>>,
    events: Vec<Event>,
    client: Client,
}

/// The state of the store after a load, compared with the history.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// The number of requests in the history.
    pub(crate) requests: u64,
    /// The number of acknowledged writes.
    pub(crate) acknowledged: u64,
    /// Writes whose outcome is unknown.
    pub(crate) unknown: u64,
    /// Requests without a response or with a status of 500 and above.
    pub(crate) failed: u64,
    /// Items whose acknowledged state is not there, each with the requests that contradict each other.
    pub(crate) lost: Vec<String>,
    /// Stories that are not a whole value of one write.
    pub(crate) half: Vec<String>,
    /// Creates that made more than one item, slugs that two items have, and totals that differ from the items.
    pub(crate) duplicates: Vec<String>,
    /// Responses with status 500.
    pub(crate) internal: Vec<String>,
}

impl Verdict {
    /// Panics with everything that is wrong.
    #[track_caller]
    pub(crate) fn expect_sound(&self) {
        let Self { lost, half, duplicates, internal, .. } = self;
        assert!(
            [lost, half, duplicates, internal].iter().all(|found| found.is_empty()),
            "lost: {}\nhalf: {}\nduplicates: {}\nwith status 500: {}",
            lost.join("\n"),
            half.join("\n"),
            duplicates.join("\n"),
            internal.join("\n")
        );
    }
}

/// A client for tests: without pooling a connection to a killed server cannot be taken for one to its successor.
pub(crate) fn client() -> Client {
    // The client requires a cryptography provider even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().timeout(REQUEST_TIMEOUT).pool_max_idle_per_host(1);
    builder.redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

impl Load {
    /// Starts clients of servers that are one backend. The servers need `RATE_LIMITS=off` and the development tokens.
    pub(crate) fn start(bases: &[String], plan: Plan) -> Self {
        let shared = Arc::new(Shared {
            bases: bases.to_vec(),
            items: AtomicU64::new(plan.first_item),
            plan,
            clock: AtomicU64::new(0),
            known: Mutex::new(Vec::new()),
            failed: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            longest: Mutex::new(Duration::ZERO),
            stale: AtomicU64::new(0),
            internal: Mutex::new(Vec::new()),
            last_failure: Mutex::new(None),
            first_success: Mutex::new(None),
            stopping: AtomicBool::new(false),
        });
        let mut load = Self { shared, tasks: JoinSet::new(), events: Vec::new(), client: client() };
        load.resume();
        load
    }

    /// Starts the clients again after [`Load::pause`].
    pub(crate) fn resume(&mut self) {
        self.shared.stopping.store(false, Ordering::SeqCst);
        for number in 0..self.shared.plan.clients {
            let worker =
                Worker { number, shared: Arc::clone(&self.shared), client: client(), events: Vec::new() };
            self.tasks.spawn(worker.work());
        }
    }

    /// Waits until every client has ended its request, and starts no further ones.
    pub(crate) async fn pause(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        while let Some(events) = self.tasks.join_next().await {
            self.events.extend(events.expect("a client panicked"));
        }
    }

    /// Returns the number of failed requests so far.
    pub(crate) fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::SeqCst)
    }

    /// Returns the number of requests so far that were never answered.
    pub(crate) fn unanswered(&self) -> u64 {
        self.shared.unanswered.load(Ordering::SeqCst)
    }

    /// Returns the longest time so far from a request to its answer.
    pub(crate) fn longest(&self) -> Duration {
        *self.shared.longest.lock()
    }

    /// Returns the number of responses so far that the cache served although they may be stale.
    pub(crate) fn stale(&self) -> u64 {
        self.shared.stale.load(Ordering::SeqCst)
    }

    /// Forgets the last write that succeeded, so that [`Load::first_success`] is about what follows.
    pub(crate) fn forget_success(&self) {
        *self.shared.first_success.lock() = None;
    }

    /// Waits for the first acknowledged write after [`Load::forget_success`] and returns its time.
    pub(crate) async fn first_success(&self, at_most: Duration) -> Option<Instant> {
        let began = Instant::now();
        loop {
            if let Some(moment) = *self.shared.first_success.lock() {
                return Some(moment);
            }
            if began.elapsed() > at_most {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns the current moment of the history.
    pub(crate) fn moment(&self) -> Moment {
        self.shared.now()
    }

    /// Stops the clients, reads everything from the given server, and checks the history with it.
    pub(crate) async fn check(mut self, base: &str) -> Verdict {
        self.pause().await;
        let began = self.moment();
        self.check_as_of(base, began, Moment::MAX).await
    }

    /// As [`Load::check`], of a server that has the state of a moment in this period, which each item may choose.
    pub(crate) async fn check_as_of(mut self, base: &str, began: Moment, ended: Moment) -> Verdict {
        self.pause().await;
        let internal = std::mem::take(&mut *self.shared.internal.lock());
        let mut verdict = Verdict { failed: self.failed(), internal, ..Verdict::default() };
        self.until_fresh(base).await;
        let live = self.list(base, "/stories?include_drafts=true").await;
        let trashed = self.list(base, "/trash?type=stories").await;
        let public = self.list(base, "/stories?").await;
        check_lists(&live, &trashed, &public, &mut verdict);
        for event in &self.events {
            if let (ORDER, Outcome::Found { value, .. }) = (event.item, &event.outcome)
                && value.starts_with(TORN)
            {
                verdict.half.push(value.clone());
            }
        }

        let mut found: HashMap<Item, Outcome> = HashMap::new();
        for story in &live {
            let Some(item) = item_of(story) else { continue };
            match value_of(story) {
                Some(value) => _ = found.insert(item, Outcome::Found { value, etag: None }),
                None => verdict.half.push(story.to_string()),
            }
        }
        if self.shared.plan.reorders {
            let sections = self.client.get(format!("{base}/sections")).bearer_auth("dev-mock-admin");
            let sections = sections.send().await.expect("the server answers after the faults");
            let sections = sections.json().await.expect("JSON");
            found.insert(ORDER, order_of(&sections, self.shared.plan.first_item));
        }
        let items: BTreeSet<Item> = self.events.iter().map(|event| event.item).collect();
        let mut history = History { events: std::mem::take(&mut self.events) };
        verdict.requests = u64::try_from(history.events.len()).unwrap_or(u64::MAX);
        verdict.acknowledged = u64::try_from(history.acknowledged()).unwrap_or(u64::MAX);
        let unknown = history.events.iter().filter(|event| event.outcome == Outcome::Unknown);
        verdict.unknown = u64::try_from(unknown.count()).unwrap_or(u64::MAX);
        for item in items {
            let outcome = found.remove(&item).unwrap_or(Outcome::Missing);
            history.events.push(Event { item, client: usize::MAX, began, ended, call: Call::Read, outcome });
        }
        verdict.lost = history.violations().iter().map(ToString::to_string).collect();
        verdict
    }

    /// Waits until the cache serves nothing stale any more.
    async fn until_fresh(&self, base: &str) {
        let began = Instant::now();
        loop {
            let response = self.client.get(format!("{base}/sections")).send().await;
            let response = response.expect("the server answers after the faults");
            let cache_status = response.headers().get("cache-status").and_then(|value| value.to_str().ok());
            if response.status() == 200 && !cache_status.is_some_and(is_stale) {
                return;
            }
            assert!(began.elapsed() < REQUEST_TIMEOUT, "the cache stays stale: {response:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns all items of a list, and checks that its total counts them.
    async fn list(&self, base: &str, path: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let url = format!("{base}{path}&limit={PAGE}&offset={}", all.len());
            let request = self.client.get(&url);
            // The public list is read as anyone reads it.
            let request = if path.ends_with('?') { request } else { request.bearer_auth("dev-mock-admin") };
            let response = request.send().await.expect("the server answers after the faults");
            assert_eq!(response.status(), 200, "{url}");
            let page: Value = response.json().await.expect("JSON");
            let items = page["items"].as_array().expect("a list");
            all.extend(items.iter().cloned());
            if items.len() < PAGE {
                assert_eq!(page["total"].as_u64(), u64::try_from(all.len()).ok(), "the total of {path}");
                return all;
            }
        }
    }
}

/// Checks that no intention made two items, no slug is of two, and the public list has what is published.
fn check_lists(live: &[Value], trashed: &[Value], public: &[Value], verdict: &mut Verdict) {
    let mut creations: BTreeMap<Item, Vec<&Value>> = BTreeMap::new();
    let mut slugs: HashMap<&str, &Value> = HashMap::new();
    for story in live.iter().chain(trashed) {
        if let Some(item) = item_of(story) {
            creations.entry(item).or_default().push(story);
        }
    }
    for (item, stories) in creations {
        if stories.len() > 1 {
            verdict.duplicates.push(format!("item {item} is there {} times", stories.len()));
        }
    }
    for story in live {
        let slug = story["slug"].as_str().unwrap_or_default();
        if let Some(other) = slugs.insert(slug, story) {
            verdict.duplicates.push(format!("{slug} is the slug of {} and {}", other["id"], story["id"]));
        }
    }
    let ids = |stories: &[Value]| -> BTreeSet<String> {
        let published = stories.iter().filter(|story| story["is_published"] == true);
        published.map(|story| story["id"].to_string()).collect()
    };
    if ids(live) != ids(public) {
        verdict.duplicates.push(format!(
            "{} published stories are on the public list, {} in the store",
            public.len(),
            ids(live).len()
        ));
    }
}

/// Returns the order of the sections: the value that all of them have from one request. Orders up to `first` were there
/// before the load.
fn order_of(sections: &Value, first: Item) -> Outcome {
    let items = sections["items"].as_array().expect("a list");
    let orders = items.iter().map(|section| section["sort_order"].as_u64().unwrap_or_default() / PLACES);
    let values: BTreeSet<u64> = orders.collect();
    match values.first() {
        Some(value) if values.len() == 1 && *value <= first => Outcome::Missing,
        Some(value) if values.len() == 1 => Outcome::Found { value: format!("w{value}"), etag: None },
        _ => Outcome::Found { value: format!("{TORN}{values:?}"), etag: None },
    }
}

/// Returns the item that a story was created for.
fn item_of(story: &Value) -> Option<Item> {
    story["title"].as_str()?.strip_prefix("item ")?.parse().ok()
}

/// Returns a story's text for a value.
fn content(value: &str) -> String {
    format!("<p>{}</p>", vec![value; REPETITIONS].join(" "))
}

/// Returns the value of a story; `None` if it is not a whole one.
fn value_of(story: &Value) -> Option<String> {
    let text = story["content"].as_str()?;
    let value = text.strip_prefix("<p>")?.split(' ').next()?;
    (text == content(value)).then(|| value.to_owned())
}

/// One client.
struct Worker {
    number: usize,
    shared: Arc<Shared>,
    client: Client,
    events: Vec<Event>,
}

/// A response, or the lack of one.
enum Answer {
    Response {
        status: StatusCode,
        etag: Option<String>,
        body: Value,
    },
    /// A response of the cache that says that it may be stale, because the store does not answer.
    Stale,
    /// The connection failed before the request was sent.
    NotSent,
    Lost,
}

impl Worker {
    async fn work(mut self) -> Vec<Event> {
        while !self.shared.stopping.load(Ordering::SeqCst) {
            let known = {
                let known = self.shared.known.lock();
                // Few items at a time, so that clients meet on them.
                let recent = known.len().saturating_sub(12);
                (!known.is_empty()).then(|| known[fastrand::usize(recent..known.len())].clone())
            };
            if self.number == 0 && self.shared.plan.reorders && fastrand::u8(..4) == 0 {
                self.reorder().await;
                self.read_order().await;
                continue;
            }
            match (known, fastrand::u8(..100)) {
                (None, _) | (_, 0..10) => self.create(false).await,
                (_, 10..20) => self.create(true).await,
                (Some(known), 20..55) => self.update(&known).await,
                (Some(known), 55..62) => self.write(&known, Call::Delete).await,
                (Some(known), 62..72) => self.write(&known, Call::Restore).await,
                (Some(known), 72..) => self.read(&known).await,
            }
            tokio::time::sleep(self.shared.plan.pause).await;
        }
        self.events
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.shared.base()))
    }

    async fn send(&self, request: RequestBuilder) -> Answer {
        let began = Instant::now();
        let sent = request.send().await;
        {
            let mut longest = self.shared.longest.lock();
            *longest = longest.max(began.elapsed());
        }
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                self.count_failure();
                if error.is_timeout() {
                    self.shared.unanswered.fetch_add(1, Ordering::SeqCst);
                }
                return if error.is_connect() { Answer::NotSent } else { Answer::Lost };
            }
        };
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let etag = header("etag").map(str::to_owned);
        let is_stale = header("cache-status").is_some_and(is_stale);
        let Ok(bytes) = response.bytes().await else {
            self.count_failure();
            return Answer::Lost;
        };
        if status.is_server_error() {
            self.count_failure();
        }
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            let body = String::from_utf8_lossy(&bytes).into_owned();
            self.shared.internal.lock().push(body);
        }
        if is_stale {
            self.shared.stale.fetch_add(1, Ordering::SeqCst);
            return Answer::Stale;
        }
        Answer::Response { status, etag, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    fn count_failure(&self) {
        self.shared.failed.fetch_add(1, Ordering::SeqCst);
        *self.shared.last_failure.lock() = Some(Instant::now());
    }

    fn count_success(&self) {
        self.shared.first_success.lock().get_or_insert_with(Instant::now);
    }

    fn record(&mut self, item: Item, began: Moment, call: Call, outcome: Outcome) {
        let ended = self.shared.now();
        self.events.push(Event { item, client: self.number, began, ended, call, outcome });
    }

    fn new_value(&self) -> String {
        format!("w{}", self.shared.now())
    }

    /// Creates an item; with a key, until the outcome is known.
    async fn create(&mut self, with_key: bool) {
        let item = self.shared.items.fetch_add(1, Ordering::SeqCst);
        let (value, key) = (self.new_value(), format!("\"{}\"", uuid::Uuid::new_v4()));
        let body =
            json!({ "title": format!("item {item}"), "content": content(&value), "is_published": true });
        let began = self.shared.now();
        let mut outcome = None;
        for _ in 0..if with_key { ATTEMPTS } else { 1 } {
            let request = self.request(Method::POST, "/stories").bearer_auth("dev-mock-admin").json(&body);
            let request = if with_key { request.header("idempotency-key", &key) } else { request };
            match self.send(request).await {
                Answer::Response { status: StatusCode::CREATED, etag, body } => {
                    let text = |name: &str| body[name].as_str().expect("a created story").to_owned();
                    let known = Known { item, id: text("id"), slug: text("slug"), etag: etag.clone() };
                    self.shared.known.lock().push(known);
                    self.count_success();
                    outcome = Some(Outcome::Done { etag });
                    break;
                }
                Answer::NotSent => {}
                Answer::Response { status, body, .. } if is_certainly_refused(status, &body) => {}
                Answer::Response { .. } | Answer::Stale | Answer::Lost => outcome = Some(Outcome::Unknown),
            }
            if self.shared.stopping.load(Ordering::SeqCst) {
                break;
            }
            if with_key {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        if let Some(outcome) = outcome {
            self.record(item, began, Call::Create { value }, outcome);
        }
    }

    async fn update(&mut self, known: &Known) {
        let value = self.new_value();
        let if_match = known.etag.clone().filter(|_| fastrand::bool());
        self.write(known, Call::Update { value, if_match }).await;
    }

    /// Updates, deletes or restores.
    async fn write(&mut self, known: &Known, call: Call) {
        let id = &known.id;
        let request = match &call {
            Call::Update { value, if_match } => {
                let request = self.request(Method::PUT, &format!("/stories/{id}"));
                let request = request.json(&json!({ "content": content(value) }));
                match if_match {
                    Some(tag) => request.header("if-match", tag),
                    None => request,
                }
            }
            Call::Delete => self.request(Method::DELETE, &format!("/stories/{id}")),
            Call::Restore => self.request(Method::POST, &format!("/trash/stories/{id}/restore")),
            Call::Create { .. } | Call::Set { .. } | Call::Read => {
                unreachable!("they have their own requests")
            }
        };
        let began = self.shared.now();
        let outcome = match self.send(request.bearer_auth("dev-mock-admin")).await {
            Answer::Response { status, etag, .. } if status.is_success() => {
                self.count_success();
                // Only the representation of the item has its tag.
                let etag = etag.filter(|_| matches!(call, Call::Update { .. }));
                self.learn(known.item, etag.clone());
                Outcome::Done { etag }
            }
            Answer::Response { status: StatusCode::NOT_FOUND, .. } => Outcome::Missing,
            Answer::Response { status: StatusCode::PRECONDITION_FAILED, .. } => {
                self.learn(known.item, None);
                Outcome::Conflict
            }
            Answer::NotSent => return,
            Answer::Response { status, body, .. } if is_certainly_refused(status, &body) => return,
            Answer::Response { .. } | Answer::Stale | Answer::Lost => Outcome::Unknown,
        };
        self.record(known.item, began, call, outcome);
    }

    async fn read(&mut self, known: &Known) {
        let by_slug = self.shared.plan.public_reads && fastrand::bool();
        let request = if by_slug {
            self.request(Method::GET, &format!("/stories/slug/{}", known.slug))
        } else {
            self.request(Method::GET, &format!("/stories/{}", known.id)).bearer_auth("dev-mock-admin")
        };
        let began = self.shared.now();
        let Answer::Response { status, etag, body } = self.send(request).await else { return };
        let outcome = match status {
            StatusCode::OK => match value_of(&body) {
                Some(value) => {
                    self.learn(known.item, etag.clone());
                    Outcome::Found { value, etag }
                }
                // No write has this value, so that the check reports it.
                None => Outcome::Found { value: body.to_string(), etag: None },
            },
            StatusCode::NOT_FOUND => Outcome::Missing,
            _ => return,
        };
        self.record(known.item, began, Call::Read, outcome);
    }

    /// Gives all sections a new order.
    async fn reorder(&mut self) {
        let sections = self.request(Method::GET, "/sections");
        let Answer::Response { status: StatusCode::OK, body, .. } = self.send(sections).await else { return };
        let mut ids: Vec<Value> =
            body["items"].as_array().expect("a list").iter().map(|section| section["id"].clone()).collect();
        fastrand::shuffle(&mut ids);
        let order = self.shared.plan.first_item + 1 + self.shared.now();
        let places: Vec<Value> =
            ids.iter().zip(order * PLACES..).map(|(id, at)| json!({ "id": id, "sort_order": at })).collect();
        let request =
            self.request(Method::PUT, "/sections/order").bearer_auth("dev-mock-admin").json(&places);
        let began = self.shared.now();
        let outcome = match self.send(request).await {
            Answer::Response { status, .. } if status.is_success() => {
                self.count_success();
                Outcome::Done { etag: None }
            }
            Answer::NotSent => return,
            Answer::Response { status, body, .. } if is_certainly_refused(status, &body) => return,
            Answer::Response { .. } | Answer::Stale | Answer::Lost => Outcome::Unknown,
        };
        self.record(ORDER, began, Call::Set { value: format!("w{order}") }, outcome);
    }

    async fn read_order(&mut self) {
        let request = self.request(Method::GET, "/sections");
        // Only one process promises that public reads see every acknowledged write.
        let request =
            if self.shared.plan.public_reads { request } else { request.bearer_auth("dev-mock-admin") };
        let began = self.shared.now();
        let Answer::Response { status: StatusCode::OK, body, .. } = self.send(request).await else { return };
        self.record(ORDER, began, Call::Read, order_of(&body, self.shared.plan.first_item));
    }

    /// Remembers the newest tag of an item.
    fn learn(&self, item: Item, etag: Option<String>) {
        if let Some(known) = self.shared.known.lock().iter_mut().rev().find(|known| known.item == item) {
            known.etag = etag;
        }
    }
}

/// Returns true if `Cache-Status` says that the response may be stale.
fn is_stale(cache_status: &str) -> bool {
    cache_status.contains("detail=stale")
}

/// Returns true if the response says that nothing was written.
fn is_certainly_refused(status: StatusCode, body: &Value) -> bool {
    // A 503 whose outcome is unknown says so.
    status.is_client_error()
        || status == StatusCode::INSUFFICIENT_STORAGE
        || (status == StatusCode::SERVICE_UNAVAILABLE
            && body["detail"].is_string()
            && body["outcome"].is_null())
}
