use std::sync::Arc;
use std::time::{Duration, Instant};

use testkit::Target;

use crate::load::{Load, Plan};
use crate::program::{Program, Server};
use crate::report::Row;
use crate::scale::{duration, rounds};

const PROCESSES: usize = 4;
/// The time in which a process sees the writes of others, with room for a busy machine.
const INVALIDATION: Duration = Duration::from_secs(10);
const LISTS: [&str; 4] =
    ["/stories?limit=50", "/stories?limit=50&offset=50", "/sections", "/stories?limit=1&offset=7"];

/// Waits until the caches of all servers show the same.
async fn wait_until_equal(servers: &[Server]) -> Duration {
    let began = Instant::now();
    for path in LISTS {
        loop {
            let mut shown = Vec::new();
            for server in servers {
                shown.push(server.look(path).await.body);
            }
            if shown.iter().all(|body| *body == shown[0]) {
                break;
            }
            assert!(began.elapsed() < INVALIDATION, "{path}: {shown:?}");
        }
    }
    began.elapsed()
}

testkit::targets! {
    async fn processes_that_start_and_write_together_lose_nothing(target: Arc<Target>) {
        let engine = target.engine().name();
        let test = format!("processes::processes_that_start_and_write_together_lose_nothing::{engine}");
        let mut row = Row::new(&test, &format!("{PROCESSES} processes that start and write together, {engine}"));
        let mut agreement = Duration::ZERO;
        let program = Program::on(&target).with("RATE_LIMITS", "off");
        for round in 0..rounds(1, 10) {
            let mut servers: Vec<Server> = (0..PROCESSES).map(|_| program.spawn()).collect();
            for server in &mut servers {
                server.wait_until_ready().await;
            }
            let bases: Vec<_> = servers.iter().map(|server| server.base().to_owned()).collect();
            // Reads through the cache of one process may be a second older than a write of another.
            let plan = Plan { public_reads: false, first_item: round * 1_000_000, ..Plan::default() };
            let mut load = Load::start(&bases, plan);
            tokio::time::sleep(duration(2, 20).min(Duration::from_secs(20))).await;
            load.pause().await;
            agreement = agreement.max(wait_until_equal(&servers).await);
            let verdict = load.check(&bases[0]).await;
            row.add(&verdict);
            row.rounds += 1;
            verdict.expect_sound();
        }
        row.note(format!("all caches equal within {} ms", agreement.as_millis()));
        row.write();
    }
}
