use std::time::{Duration, Instant};

use docstore::sqlite::{FileCheck, Options, Settings, open_with};
use testkit::{Engine, StoreLocation, Target, with_server_binary};

use crate::load::{Load, Plan};
use crate::program::{Program, Server, free_port};
use crate::report::Row;
use crate::scale::rounds;
use crate::servers::{Servers, Topology};

/// The longest time between a start and the kill.
const LONGEST_ROUND: Duration = Duration::from_millis(700);
/// The longest time from a start to the first acknowledged write.
const PATIENCE: Duration = Duration::from_mins(1);

/// The rounds of `make test` and `make test-faults`.
fn sweep_rounds() -> u64 {
    rounds(3, 200)
}

/// A server that is killed and started again on the same port.
struct Victim {
    program: Program,
    port: u16,
    server: Server,
}

impl Victim {
    async fn start(program: Program) -> Self {
        let program = program.with("RATE_LIMITS", "off");
        let port = free_port();
        let mut server = program.spawn_on(port);
        server.wait_until_ready().await;
        Self { program, port, server }
    }

    fn base(&self) -> String {
        self.server.base().to_owned()
    }

    fn kill(&mut self) {
        self.server.signal("KILL");
        self.server.wait();
    }

    async fn restart(&mut self) {
        self.server = self.program.spawn_on(self.port);
        self.server.wait_until_ready().await;
    }
}

/// Waits for a write, and then for a random time.
async fn let_work(load: &Load) {
    load.first_success(PATIENCE).await.expect("a write is acknowledged");
    tokio::time::sleep(LONGEST_ROUND.mul_f64(fastrand::f64())).await;
}

async fn add_recovery(load: &Load, row: &mut Row, since: Instant) {
    let recovered = load.first_success(PATIENCE).await.expect("a write is acknowledged after the fault");
    row.add_recovery(recovered.saturating_duration_since(since));
    row.rounds += 1;
}

async fn conclude(load: Load, base: &str, mut row: Row) {
    let verdict = load.check(base).await;
    row.add(&verdict);
    row.note(format!("{} requests checked", verdict.requests));
    row.write();
    verdict.expect_sound();
}

/// Kills a server under load again and again, and checks the history after the last start.
async fn sweep(program: Program, plan: Plan, mut row: Row) -> Victim {
    let mut victim = Victim::start(program).await;
    let base = victim.base();
    let load = Load::start(std::slice::from_ref(&base), plan);
    for _ in 0..sweep_rounds() {
        let_work(&load).await;
        victim.kill();
        load.forget_success();
        let killed = Instant::now();
        victim.restart().await;
        add_recovery(&load, &mut row, killed).await;
    }
    conclude(load, &base, row).await;
    victim
}

#[test]
fn embedded() {
    testkit::on(Engine::Embedded, |target| async move {
        let row = Row::new("kill::embedded", "`kill -9` of the server, embedded store");
        let mut victim = sweep(Program::on(&target), Plan::default(), row).await;
        victim.server.signal("TERM");
        assert_eq!(victim.server.wait(), Some(0));
        // Pages, checksums, and every index against the documents.
        let StoreLocation::Embedded(path) = target.location() else { unreachable!("it is embedded") };
        let path = path.with_file_name("field-notes.db");
        let settings = Settings { check: FileCheck::Full, ..Settings::default() };
        open_with(Options { path }, settings).await.expect("the file is sound").close().await;
        drop::<std::sync::Arc<Target>>(target);
    });
}

fn on_servers(name: &'static str, topology: Topology) {
    with_server_binary(move |binary| async move {
        let servers = Servers::start(&binary, topology).await;
        let row = Row::new(name, &format!("`kill -9` of the server, {}", topology.name()));
        let plan = Plan { reorders: topology.has_transactions(), ..Plan::default() };
        sweep(servers.program(), plan, row).await;
    });
}

#[test]
fn standalone() {
    on_servers("kill::standalone", Topology::Standalone);
}

#[test]
fn replica_set() {
    on_servers("kill::replica_set", Topology::ReplicaSet);
}

#[test]
fn three_nodes() {
    on_servers("kill::three_nodes", Topology::ThreeNodes);
}

/// Kills the node that accepts writes, and the server with it if `both`. The server alone stays when the node is killed.
fn with_the_store(name: &'static str, topology: Topology, both: bool) {
    with_server_binary(move |binary| async move {
        let mut servers = Servers::start(&binary, topology).await;
        let what = if both { "`mongod` and the server" } else { "`mongod`" };
        let mut row = Row::new(name, &format!("`kill -9` of {what}, {}", topology.name()));
        let plan = Plan { reorders: topology.has_transactions(), ..Plan::default() };
        let mut victim = Victim::start(servers.program()).await;
        let base = victim.base();
        let load = Load::start(std::slice::from_ref(&base), plan);
        for _ in 0..rounds(1, 200) {
            let_work(&load).await;
            let primary = servers.primary().await;
            if both {
                victim.kill();
            }
            servers.set.nodes[primary].kill().expect("the node is killed");
            servers.set.nodes[primary].restart().await.expect("the node starts again");
            servers.primary().await;
            load.forget_success();
            let back = Instant::now();
            if both {
                victim.restart().await;
            }
            add_recovery(&load, &mut row, back).await;
            servers.until_all_follow().await;
        }
        conclude(load, &base, row).await;
    });
}

#[test]
fn store_of_standalone() {
    with_the_store("kill::store_of_standalone", Topology::Standalone, false);
}

#[test]
fn store_of_replica_set() {
    with_the_store("kill::store_of_replica_set", Topology::ReplicaSet, false);
}

#[test]
fn store_and_server() {
    with_the_store("kill::store_and_server", Topology::ReplicaSet, true);
}
