use std::time::{Duration, Instant};

use docstore::bson::doc;
use testkit::with_server_binary;

use crate::load::{Load, Plan};
use crate::report::Row;
use crate::scale::rounds;
use crate::servers::{Servers, Topology};
use crate::store::{print_errors, probe};

/// The longest time until a write is acknowledged.
const PATIENCE: Duration = Duration::from_mins(1);

/// A fault of the replica set.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The primary gives up its role.
    StepDown,
    /// The primary is killed, and started again when another one accepts writes.
    PrimaryKilled,
    /// The primary is frozen until another one accepts writes.
    PrimaryFrozen,
    /// Both secondaries are frozen, so that no write is confirmed by a majority.
    NoMajority,
}

const FAULTS: [(&str, Fault); 4] = [
    ("primary steps down", Fault::StepDown),
    ("primary killed", Fault::PrimaryKilled),
    ("primary frozen", Fault::PrimaryFrozen),
    ("no majority", Fault::NoMajority),
];

/// Causes a fault and ends it. Returns the time until a write was acknowledged: since the fault if the other nodes take over,
/// and since its end if they cannot. Adds the time of an election to `elections`.
async fn recover_from(
    fault: Fault,
    servers: &mut Servers,
    base: &str,
    elections: &mut Vec<Duration>,
) -> Duration {
    let primary = servers.primary().await;
    let others: Vec<usize> = (0..3).filter(|node| *node != primary).collect();
    let began = Instant::now();
    match fault {
        Fault::StepDown => {
            let admin = servers.set.nodes[primary].direct().await.expect("a client").database("admin");
            // For longer than an election takes. The reply may be lost, because the node closes connections.
            let _ = admin.run_command(doc! { "replSetStepDown": 5, "secondaryCatchUpPeriodSecs": 2 }).await;
            probe(base).await;
            began.elapsed()
        }
        Fault::PrimaryKilled => {
            servers.set.nodes[primary].kill().expect("the primary is killed");
            servers.set.primary(&others).await.expect("another node takes over");
            elections.push(began.elapsed());
            probe(base).await;
            let recovery = began.elapsed();
            servers.set.nodes[primary].restart().await.expect("it starts again");
            recovery
        }
        Fault::PrimaryFrozen => {
            servers.set.nodes[primary].pause().expect("the primary is frozen");
            servers.set.primary(&others).await.expect("another node takes over");
            elections.push(began.elapsed());
            probe(base).await;
            let recovery = began.elapsed();
            servers.set.nodes[primary].resume().expect("it goes on");
            recovery
        }
        Fault::NoMajority => {
            for node in &others {
                servers.set.nodes[*node].pause().expect("a secondary is frozen");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            for node in &others {
                servers.set.nodes[*node].resume().expect("it goes on");
            }
            let ended = Instant::now();
            probe(base).await;
            ended.elapsed()
        }
    }
}

#[test]
fn three_nodes() {
    with_server_binary(move |binary| async move {
        let mut servers = Servers::start(&binary, Topology::ThreeNodes).await;
        for (nth, (name, fault)) in FAULTS.into_iter().enumerate() {
            let program = servers.program().with("MONGO_DB_NAME", &format!("notes{nth}"));
            let server = program.serve().await;
            let base = server.base().to_owned();
            let mut row = Row::new("failover::three_nodes", &format!("{name}, replica set of three"));
            let load = Load::start(std::slice::from_ref(&base), Plan::default());
            let mut elections = Vec::new();
            for _ in 0..rounds(1, 20) {
                load.forget_success();
                load.first_success(PATIENCE).await.expect("a write is acknowledged");
                tokio::time::sleep(Duration::from_millis(fastrand::u64(..300))).await;
                row.add_recovery(recover_from(fault, &mut servers, &base, &mut elections).await);
                row.rounds += 1;
                servers.until_all_follow().await;
            }
            let (unanswered, longest) = (load.unanswered(), load.longest());
            let verdict = load.check(&base).await;
            row.add(&verdict);
            if let Some(longest) = elections.iter().max() {
                row.note(format!("elections up to {} ms", longest.as_millis()));
            }
            row.note(format!("longest answer {} ms", longest.as_millis()));
            row.note(format!("{} writes with an unknown outcome", verdict.unknown));
            row.write();
            print_errors(&verdict, &server);
            verdict.expect_sound();
            assert_eq!(unanswered, 0, "{name}: requests without an answer");
        }
    });
}
