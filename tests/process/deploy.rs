//! Runs `tools/deploy.sh` on the program of the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program::{Program, free_port};

/// A machine with the script, where the server that it leaves behind is stopped at the end.
struct Machine {
    program: Program,
}

impl Machine {
    fn with_dev_auth(allowed: &str) -> Self {
        let program = Program::bare()
            .with("ADMIN_EMAIL", "admin@example.com")
            .with("GOOGLE_CLIENT_ID", "client")
            .with("HOST", "127.0.0.1")
            .with("PORT", &free_port().to_string())
            .with("DATA_DIR", "data")
            .with("ALLOW_DEV_AUTH", allowed)
            .with("SHUTDOWN_DELAY_SECONDS", "0")
            // The former program would apply again at its start what was rolled back: it is the same one.
            .with("MIGRATE_ON_START", "off");
        let tools = program.folder().join("tools");
        fs::create_dir(&tools).expect("a folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/deploy.sh");
        fs::copy(script, tools.join("deploy.sh")).expect("a copy");
        Self { program }
    }

    /// Runs the script, and returns whether it succeeds, and what it prints.
    fn run(&self, verb: &str) -> (bool, String) {
        let output = Command::new("bash")
            .args(["tools/deploy.sh", verb])
            .current_dir(self.program.folder())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("FIELD_NOTES_PROGRAM", env!("CARGO_BIN_EXE_field-notes"))
            .envs(self.program.variables())
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn succeed(&self, verb: &str) {
        let (succeeded, printed) = self.run(verb);
        assert!(succeeded, "{verb}: {printed}");
    }

    /// Returns the program that was deployed last.
    fn current(&self) -> PathBuf {
        fs::read_link(self.program.folder().join("deploy/current")).expect("a link")
    }

    /// Returns the last applied migration.
    fn applied(&self) -> String {
        let printed = self.program.run(&["migrate", "current"]).expect(0).stdout;
        printed.split(' ').next().expect("an id").to_owned()
    }

    fn pid(&self) -> Option<String> {
        fs::read_to_string(self.program.folder().join("deploy/pid")).ok()
    }

    #[track_caller]
    fn expect_ready(&self) {
        self.program.run(&["healthcheck", "--ready"]).expect(0);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            _ = Command::new("kill").args(["-9", pid.trim()]).status();
        }
    }
}

#[test]
fn rollback_of_a_deploy_undoes_its_run_and_starts_the_former_program() {
    let machine = Machine::with_dev_auth("false");
    machine.succeed("deploy");
    machine.expect_ready();
    assert_eq!(machine.applied(), "0004_backfill_section_id");
    let (first, first_pid) = (machine.current(), machine.pid());
    let (succeeded, printed) = machine.run("rollback");
    assert!(!succeeded && printed.contains("there is no program from before"), "{printed}");

    // The next deploy has one migration to apply.
    machine.program.run(&["migrate", "down"]).expect(0);
    machine.succeed("deploy");
    machine.expect_ready();
    assert_eq!(machine.applied(), "0004_backfill_section_id");
    assert_ne!(machine.current(), first);
    assert_ne!(machine.pid(), first_pid, "the server was replaced");
    let backups = machine.program.run(&["migrate", "backups"]).expect(0).stdout;
    assert!(backups.contains("before the deploy of"), "{backups}");

    machine.succeed("rollback");
    machine.expect_ready();
    assert_eq!(machine.current(), first);
    assert_eq!(machine.applied(), "0003_seed_initial_sections");
}

#[test]
fn deploy_that_a_check_refuses_changes_nothing() {
    let machine = Machine::with_dev_auth("true");
    let (succeeded, printed) = machine.run("deploy");
    assert!(!succeeded && printed.contains("nothing was changed"), "{printed}");
    assert!(!machine.program.folder().join("deploy/current").exists());
    assert!(!machine.program.folder().join("data").exists());
}
