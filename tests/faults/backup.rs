use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use testkit::Target;
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::load::{Load, Plan};
use crate::program::{Finished, Program};
use crate::report::Row;
use crate::scale::rounds;

/// The time under load before and after a backup.
const WORK: Duration = Duration::from_millis(700);

/// Runs a command while others work.
fn migrate(program: &Program, arguments: &[&str]) -> Finished {
    block_in_place(|| program.run(&[&["migrate"], arguments].concat())).expect(0)
}

testkit::targets! {
    async fn backup_under_writes_has_what_was_acknowledged_before(target: Arc<Target>) {
        let engine = target.engine().name();
        let test = format!("backup::backup_under_writes_has_what_was_acknowledged_before::{engine}");
        let mut row = Row::new(&test, &format!("backup under writes, wipe, restore, {engine}"));
        let program = Program::on(&target).with("RATE_LIMITS", "off");
        let name = match &*target {
            Target::Embedded { .. } => "field-notes.db",
            Target::Mongo { database, .. } => database,
        };
        for _ in 0..rounds(1, 20) {
            let mut server = program.serve().await;
            let mut load = Load::start(&[server.base().to_owned()], Plan::default());
            sleep(WORK).await;
            let began = load.moment();
            let taken = migrate(&program, &["backup", "--json"]);
            let ended = load.moment();
            sleep(WORK).await;
            load.pause().await;
            server.signal("TERM");
            assert_eq!(block_in_place(|| server.wait()), Some(0), "{}", server.output());
            let taken: Value = serde_json::from_str(&taken.stdout).expect("JSON");
            let id = taken["id"].as_str().expect("an id");
            migrate(&program, &["reset", "--drop", "--no-backup", "--confirm", name]);
            migrate(&program, &["restore", id, "--replace", "--yes"]);
            let server = program.serve().await;
            let verdict = load.check_as_of(server.base(), began, ended).await;
            row.add(&verdict);
            row.rounds += 1;
            verdict.expect_sound();
            drop(server);
            migrate(&program, &["reset", "--drop", "--no-backup", "--confirm", name, "--force"]);
        }
        row.write();
    }
}
