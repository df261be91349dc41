use std::time::Duration;

use testkit::{Engine, Target};

use crate::load::{Load, Plan};
use crate::program::{Program, Server, free_port};
use crate::report::Row;
use crate::scale::rounds;

/// The longest time between a start and the kill.
const LONGEST_ROUND: Duration = Duration::from_millis(700);
/// The longest time from a start to the first acknowledged write.
const PATIENCE: Duration = Duration::from_mins(1);

/// Kills a server under load again and again, and checks the history after the last start.
async fn sweep(program: Program, mut row: Row) {
    let program = program.with("RATE_LIMITS", "off");
    let port = free_port();
    let start = async || {
        let mut server: Server = program.spawn_on(port);
        server.wait_until_ready().await;
        server
    };
    let mut server = start().await;
    let base = server.base().to_owned();
    let load = Load::start(std::slice::from_ref(&base), Plan::default());
    for _ in 0..rounds(3, 200) {
        load.first_success(PATIENCE).await.expect("a write is acknowledged");
        tokio::time::sleep(LONGEST_ROUND.mul_f64(fastrand::f64())).await;
        server.signal("KILL");
        server.wait();
        load.forget_success();
        let killed = std::time::Instant::now();
        server = start().await;
        let recovered = load.first_success(PATIENCE).await.expect("a write is acknowledged after a start");
        row.add_recovery(recovered.duration_since(killed));
        row.rounds += 1;
    }
    let verdict = load.check(&base).await;
    row.add(&verdict);
    row.note(format!("{} requests checked", verdict.requests));
    row.write();
    verdict.expect_sound();
}

#[test]
fn embedded() {
    testkit::on(Engine::Embedded, |target| async move {
        sweep(Program::on(&target), Row::new("kill::embedded", "`kill -9` of the server, embedded store"))
            .await;
        drop::<std::sync::Arc<Target>>(target);
    });
}
