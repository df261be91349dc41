use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bson::oid::ObjectId;
use chrono::{DateTime, TimeDelta};
use docstore::EngineKind;
use docstore::engine::Engine;
use field_notes::clock::FixedClock;
use field_notes::config::Config;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::checks::{self, Span, Violation};
use crate::process::{self, Process, RequestId};
use crate::requests::{Action, Answer, Clients, Request, Resource};
use crate::rng::Rng;
use crate::server::{ProcessId, Server};

/// 2026-01-02T03:04:05.678Z
const START_MS: i64 = 1_767_323_045_678;
/// The maximum number of requests at a time.
const MOST_REQUESTS: usize = 6;
/// The number of steps after which a run that takes no new requests must have ended.
const MOST_LAST_STEPS: usize = 20_000;

/// The state that all runs share.
pub(crate) struct Base {
    config: Config,
    store: Arc<dyn Engine>,
}

impl Base {
    pub(crate) fn new() -> Self {
        let config = process::config();
        let store = process::prepare(&config, &clock(), bson::DateTime::from_millis(START_MS));
        Self { config, store }
    }
}

fn clock() -> FixedClock {
    FixedClock::at(DateTime::from_timestamp_millis(START_MS).expect("in range"))
}

/// The numbers of what came up.
pub(crate) type Tally = BTreeMap<String, usize>;

/// The result of a run.
pub(crate) struct Outcome {
    pub(crate) steps: usize,
    /// A hash of everything that happened.
    pub(crate) hash: u64,
    pub(crate) tally: Tally,
    pub(crate) trace: Option<String>,
    pub(crate) violation: Option<Violation>,
}

/// The faults of a run.
struct Faults {
    calls: usize,
    feeds: bool,
    cancels: bool,
    crashes: bool,
}

/// A request that has no answer yet.
struct Active {
    request: Request,
    process: ProcessId,
    sent: usize,
    oldest: usize,
    oldest_names: usize,
    born: usize,
    task: AbortHandle,
    /// No other request deletes or restores the item.
    alone: bool,
}

struct World<'a> {
    base: &'a Base,
    rng: Rng,
    clock: FixedClock,
    server: Arc<Mutex<Server>>,
    processes: Vec<Process>,
    next_process: ProcessId,
    active: BTreeMap<RequestId, Active>,
    next_request: RequestId,
    clients: Clients,
    /// Updates with a precondition, and writes that were refused: they are checked after each step.
    conditional: Vec<Request>,
    refused: Vec<Request>,
    /// Items whose deletion or restoration may be executed although its client is gone.
    abandoned: BTreeSet<ObjectId>,
    tally: Tally,
}

/// Runs a seed for a number of steps, and then until everything is quiet.
pub(crate) fn run(base: &Base, seed: u64, steps: usize, traced: bool) -> Outcome {
    let mut rng = Rng::new(seed);
    let kind = *rng.pick(&[EngineKind::Embedded, EngineKind::Mongo]);
    let transactions = kind == EngineKind::Embedded || rng.chance(500);
    let processes = *rng.pick(&[1, 1, 2]);
    let faults = Faults {
        calls: *rng.pick(&[0, 5, 40]),
        feeds: rng.chance(500),
        cancels: rng.chance(500),
        crashes: rng.chance(400),
    };
    let mut server = Server::new(docstore::memory::copy(&*base.store), kind, transactions);
    server.trace.text = traced.then(String::new);
    let mut world = World {
        base,
        rng,
        clock: clock(),
        server: Arc::new(Mutex::new(server)),
        processes: Vec::new(),
        next_process: 0,
        active: BTreeMap::new(),
        next_request: 0,
        clients: Clients::default(),
        conditional: Vec::new(),
        refused: Vec::new(),
        abandoned: BTreeSet::new(),
        tally: Tally::new(),
    };
    let violation = world.run(processes, steps, &faults).err();
    // Calls hold the server, which holds them.
    let World { processes, server, tally, .. } = world;
    drop(processes);
    let mut server = server.lock();
    let trace = server.trace.text.take();
    Outcome { steps: server.step, hash: server.trace.hash(), tally, trace, violation }
}

impl World<'_> {
    fn run(&mut self, processes: usize, steps: usize, faults: &Faults) -> Result<(), Violation> {
        for _ in 0..processes {
            self.start_process()?;
        }
        self.server.lock().faults = faults.calls;
        for _ in 0..steps {
            self.next_step();
            self.act(faults)?;
            self.settle()?;
        }
        self.server.lock().faults = 0;
        self.drain()?;
        self.check_when_quiet()
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.tally.entry(what.into()).or_default() += 1;
    }

    fn note(&self, event: &str) {
        let mut server = self.server.lock();
        let step = server.step;
        server.trace.note(step, event);
    }

    fn next_step(&mut self) {
        self.server.lock().step += 1;
        // No two writes have the same time.
        self.clock.advance(TimeDelta::milliseconds(1));
    }

    fn start_process(&mut self) -> Result<(), Violation> {
        let id = self.next_process;
        self.next_process += 1;
        let process = Process::start(&self.base.config, &self.clock, &self.server, id);
        self.processes.push(process);
        self.note(&format!("{id} starts"));
        self.sign_in(self.processes.len() - 1)
    }

    /// Signs the users in and lets all calls of that come to their end, so that nothing of it is left for later: a sign-in
    /// waits for the store for a real time only, whose end must not change what follows.
    fn sign_in(&mut self, process: usize) -> Result<(), Violation> {
        for who in ["admin", "author"] {
            let process = &self.processes[process];
            process.send(0, &Request::me(who));
            process.run();
            while self.server.lock().advance_calls_of(process.id) {
                process.run();
            }
            if !process.take_answers().iter().all(|(_, answer)| answer.status == 200) {
                return Err(format!("{who} cannot sign in"));
            }
        }
        Ok(())
    }

    /// Takes one random step.
    fn act(&mut self, faults: &Faults) -> Result<(), Violation> {
        match self.rng.below(1000) {
            0..180 if self.active.len() < MOST_REQUESTS => self.send_any(),
            880..940 if self.server.lock().deliver(&mut self.rng) => {}
            940..950 if faults.feeds => {
                self.count("changes lost");
                self.server.lock().lose_changes(&mut self.rng);
            }
            950..980 if faults.cancels => self.cancel_any(),
            980..984 if faults.crashes => self.crash_any()?,
            _ => {
                if !self.server.lock().advance(&mut self.rng) {
                    if self.active.len() < MOST_REQUESTS {
                        self.send_any();
                    } else if !self.server.lock().expire_leases() {
                        return Err("requests wait, and not for the store".into());
                    }
                }
            }
        }
        Ok(())
    }

    fn send_any(&mut self) {
        let request = self.clients.request(&mut self.rng, &self.server.lock().history);
        let process = self.rng.below(self.processes.len());
        self.send(process, request);
    }

    fn send(&mut self, process: usize, request: Request) -> RequestId {
        let id = self.next_request;
        self.next_request += 1;
        let process = &self.processes[process];
        self.note(&format!("{} request {id}: {}", process.id, request.summary()));
        let (sent, oldest, oldest_names) = {
            let server = self.server.lock();
            let known = |collection| server.known(process.id, collection, process.born);
            (server.step, known(request.resource.collection()), known("slug_history"))
        };
        if matches!(request.action, Action::Update { if_match: Some(_), .. }) {
            self.conditional.push(request.clone());
        }
        let moved = request.action.moves_to_or_from_trash();
        let mut alone = moved.is_some_and(|id| !self.abandoned.contains(&id));
        for other in self.active.values_mut().filter(|_| moved.is_some()) {
            if other.request.action.moves_to_or_from_trash() == moved {
                (alone, other.alone) = (false, false);
            }
        }
        let task = process.send(id, &request);
        let active = Active {
            process: process.id,
            born: process.born,
            sent,
            oldest,
            oldest_names,
            task,
            alone,
            request,
        };
        self.active.insert(id, active);
        id
    }

    /// A client closes its connection.
    fn cancel_any(&mut self) {
        let ids: Vec<_> = self.active.keys().copied().collect();
        let Some(id) = self.rng.any(&ids) else { return };
        let active = self.active.remove(id).expect("the request is active");
        active.task.abort();
        self.abandoned.extend(active.request.action.moves_to_or_from_trash());
        self.note(&format!("request {id} is canceled"));
        self.count("canceled");
    }

    /// A process dies, and another one starts.
    fn crash_any(&mut self) -> Result<(), Violation> {
        if self.processes.len() > 1 && self.server.lock().is_transaction_open() {
            // The users of the new process could not sign in before it ends.
            return Ok(());
        }
        let at = self.rng.below(self.processes.len());
        let process = self.processes.remove(at);
        self.note(&format!("{} crashes", process.id));
        self.count("crashes");
        let theirs = self.active.extract_if(.., |_, active| active.process == process.id);
        let moved = theirs.filter_map(|(_, active)| active.request.action.moves_to_or_from_trash());
        self.abandoned.extend(moved);
        let under_way = self.server.lock().forget_process(process.id, &mut self.rng);
        drop(process);
        drop(under_way);
        self.start_process()
    }

    /// Runs the processes until they wait for the store, and checks what they did and answered.
    fn settle(&mut self) -> Result<(), Violation> {
        self.run_processes()?;
        Ok(())
    }

    fn run_processes(&mut self) -> Result<Vec<(RequestId, Answer)>, Violation> {
        let mut answers = Vec::new();
        for process in &self.processes {
            process.run();
            answers.extend(process.take_answers());
        }
        // Requests that share a load get its response in any order.
        answers.sort_by_key(|(id, _)| *id);
        {
            let server = self.server.lock();
            checks::store(&server.history, server.step)?;
            for request in &self.conditional {
                checks::precondition(&server.history, request)?;
            }
            for request in &self.refused {
                let marker = request.action.marker().expect("only writes are remembered");
                if !server.history.written_with(request.resource, marker).is_empty() {
                    return Err(format!("write {marker} was refused, and is made nevertheless"));
                }
            }
        }
        for (id, answer) in &answers {
            let Some(active) = self.active.remove(id) else { continue };
            self.receive(*id, active, answer)?;
        }
        Ok(answers)
    }

    fn receive(&mut self, id: RequestId, active: Active, answer: &Answer) -> Result<(), Violation> {
        let Active { request, sent, mut oldest, oldest_names, born, alone, .. } = active;
        let cache = answer.header("cache-status").to_owned();
        let how = if cache.contains("detail=stale") {
            // Beyond failures of the store a response may be as old as the process.
            oldest = born;
            " stale"
        } else if cache.contains("; hit") {
            " hit"
        } else {
            ""
        };
        let unknown = if answer.is_outcome_unknown() { " unknown" } else { "" };
        let name = request.name();
        self.count(format!("{name} {}{unknown}{how}", answer.status));
        let shown = answer.shape();
        self.note(&format!("answer {id}: {}{unknown}{how} {shown}", answer.status));
        let server = self.server.lock();
        let span = Span { sent, oldest, oldest_names, answered: server.step };
        let refused = alone && checks::refuses(&request, answer);
        checks::answer(&server.history, &request, answer, span)
            .and_then(|()| if refused { checks::refused(&server.history, &request, span) } else { Ok(()) })
            .map_err(|violation| format!("request {id}, {}: {violation}", request.summary()))?;
        drop(server);
        if request.action.marker().is_some() && checks::refuses(&request, answer) {
            self.refused.push(request.clone());
        }
        if let (200 | 201, Some(item)) = (answer.status, answer.item())
            && !matches!(request.action, Action::Show { .. })
        {
            self.clients.remember_tag(item, answer.header("etag").to_owned());
        }
        Ok(())
    }

    /// Sends a request and lets the store answer everything until it has its answer.
    fn ask(&mut self, process: usize, request: &Request) -> Result<Answer, Violation> {
        let id = self.send(process, request.clone());
        for _ in 0..MOST_LAST_STEPS {
            let answers = self.run_processes()?;
            if let Some((_, answer)) = answers.into_iter().find(|(of, _)| *of == id) {
                return Ok(answer);
            }
            self.next_step();
            self.advance_or_expire()?;
        }
        Err(format!("{} is never answered", request.summary()))
    }

    fn advance_or_expire(&mut self) -> Result<(), Violation> {
        let mut server = self.server.lock();
        if server.advance(&mut self.rng) || server.deliver(&mut self.rng) || server.expire_leases() {
            return Ok(());
        }
        Err("requests wait, and not for the store".into())
    }

    /// Lets everything that is under way come to its end.
    fn drain(&mut self) -> Result<(), Violation> {
        for _ in 0..MOST_LAST_STEPS {
            self.settle()?;
            let server = self.server.lock();
            if self.active.is_empty() && server.is_idle() && !server.has_late_changes() {
                return Ok(());
            }
            drop(server);
            self.next_step();
            self.advance_or_expire()?;
        }
        Err("the run does not come to an end".into())
    }

    /// Compares every public response with the store.
    fn check_when_quiet(&mut self) -> Result<(), Violation> {
        checks::created_once(&self.server.lock(), self.clients.creates())?;
        for process in 0..self.processes.len() {
            for resource in Resource::ALL {
                self.ask(process, &Request::list(resource, 100, 0))?;
                self.ask(process, &Request::drafts(resource))?;
                self.walk(process, resource)?;
                let slugs: Vec<_> =
                    self.server.lock().history.slugs(resource).into_iter().map(str::to_owned).collect();
                for slug in slugs {
                    self.ask(process, &Request::show(resource, &slug))?;
                }
            }
        }
        Ok(())
    }

    /// Reads a list page by page, by cursors.
    fn walk(&mut self, process: usize, resource: Resource) -> Result<(), Violation> {
        let (mut cursor, mut passed) = (String::new(), 0);
        loop {
            let page = self.ask(process, &Request::page(resource, 3, passed, &cursor))?;
            let body = page.json();
            passed += body["items"].as_array().map_or(0, Vec::len);
            match page.next_cursor() {
                Some(next) => cursor = next,
                None if body["total"] == passed => return Ok(()),
                None => return Err(format!("{passed} items by cursors of {}", body["total"])),
            }
        }
    }
}
