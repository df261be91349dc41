use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use testkit::{Credentials, Mongod};

use crate::program::Program;

#[test]
fn missing_admin_email_is_reported_with_all_other_errors() {
    let program = Program::bare().with("PORT", "many").with("MIGRATE_ON_START", "perhaps");
    let result = program.run(&["serve"]).expect(2);
    let line = result.stderr.lines().find(|line| line.contains("ADMIN_EMAIL")).expect("a line names it");
    assert!(line.contains(".env"), "{line}");
    assert!(
        result.stderr.contains("PORT") && result.stderr.contains("MIGRATE_ON_START"),
        "{}",
        result.stderr
    );
    assert!(program.files().is_empty(), "{:?}", program.files());
}

#[test]
fn invalid_cache_size_is_reported_with_all_other_errors() {
    for bad in ["-1", "many", "128MiB", "1e9"] {
        let program = Program::bare().with("CACHE_MAX_BYTES", bad).with("CACHE_MAX_AGE", "0");
        let result = program.run(&["serve"]).expect(2);
        for name in ["CACHE_MAX_BYTES", "CACHE_MAX_AGE", "ADMIN_EMAIL"] {
            assert!(result.stderr.contains(name), "{bad}: {}", result.stderr);
        }
    }
}

#[test]
fn serve_is_the_default_command() {
    let result = Program::bare().run(&[]).expect(2);
    assert!(result.stderr.contains("ADMIN_EMAIL"), "{}", result.stderr);
}

#[test]
fn malformed_connection_string_is_refused_without_its_password() {
    for uri in
        ["mongodb://u:hunter2@", "mongo://u:hunter2@host/db", "mongodb://u:hunt@er2@host:x/db", "hunter2"]
    {
        let program = Program::bare().with("ADMIN_EMAIL", "a@example.com").with("MONGO_URI", uri);
        let result = program.run(&["serve"]).expect(2);
        assert!(result.stderr.contains("MONGO_URI"), "{uri}: {}", result.stderr);
        for secret in ["hunter2", "er2", "hunt@"] {
            assert!(
                !result.stderr.contains(secret) && !result.stdout.contains(secret),
                "{uri}: {}",
                result.stderr
            );
        }
    }
}

#[test]
fn contradicting_database_names_are_refused() {
    let program = Program::bare()
        .with("ADMIN_EMAIL", "a@example.com")
        .with("MONGO_URI", "mongodb://localhost/one")
        .with("MONGO_DB_NAME", "two");
    let result = program.run(&["serve"]).expect(2);
    assert!(result.stderr.contains("MONGO_DB_NAME"), "{}", result.stderr);
}

#[test]
fn unreachable_server_is_named_without_its_password() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap().port();
    let program = Program::bare()
        .with("ADMIN_EMAIL", "a@example.com")
        .with("PORT", "0")
        .with("MONGO_URI", &format!("mongodb://someone:hunter2@127.0.0.1:{port}/notes?authSource=admin"));
    // Both wait for the server.
    let results = std::thread::scope(|scope| {
        let program = &program;
        let run = |arguments: &'static [&'static str]| scope.spawn(move || program.run(arguments));
        [run(&["serve"]), run(&["migrate", "status"])].map(|run| run.join().expect("the program runs"))
    });
    for result in results {
        let result = result.expect(1);
        assert!(result.stderr.contains(&format!("127.0.0.1:{port}")), "{}", result.stderr);
        assert!(result.stderr.contains("notes"), "{}", result.stderr);
        assert!(!(result.stderr + &result.stdout).contains("hunter2"));
    }
}

#[test]
fn wrong_password_is_refused_and_not_printed() {
    testkit::with_server_binary(|binary: PathBuf| async move {
        let user = Credentials { name: "writer".into(), password: "correct-horse".into() };
        let server = Mongod::with_user(&binary, user).await.expect("a server with a user");
        let program = |password: &str| {
            let uri = format!("mongodb://writer:{password}@{}/notes?authSource=admin", server.host());
            Program::bare().with("ADMIN_EMAIL", "a@example.com").with("PORT", "0").with("MONGO_URI", &uri)
        };
        let result = program("battery-staple").run(&["serve"]).expect(1);
        assert!(
            result.stderr.contains(&server.host()) && result.stderr.contains("notes"),
            "{}",
            result.stderr
        );
        assert!(!(result.stderr + &result.stdout).contains("battery-staple"));
        program("correct-horse").run(&["migrate", "up"]).expect(0);
    });
}

#[test]
fn foreign_file_is_refused_and_left_untouched() {
    let program = Program::bare().with("ADMIN_EMAIL", "a@example.com").with("PORT", "0");
    let file = program.folder().join("data/field-notes.db");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "these are my memoirs, not a store").unwrap();
    let result = program.run(&["serve"]).expect(1);
    assert!(result.stderr.contains("field-notes.db"), "{}", result.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), "these are my memoirs, not a store");
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn development_tokens_are_refused_in_production() {
    let program = Program::bare()
        .with("ADMIN_EMAIL", "a@example.com")
        .with("ENVIRONMENT", "production")
        .with("ALLOW_DEV_AUTH", "true");
    let result = program.run(&["serve"]).expect(2);
    assert!(result.stderr.contains("ALLOW_DEV_AUTH"), "{}", result.stderr);
    assert!(result.stderr.contains("DATA_DIR"), "the embedded store requires DATA_DIR: {}", result.stderr);
}

#[test]
fn port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let program = Program::bare().with("ADMIN_EMAIL", "a@example.com").with("PORT", &port);
    let result = program.run(&["serve"]).expect(1);
    assert!(result.stderr.contains(&port), "{}", result.stderr);
}

#[test]
fn invalid_env_file_is_named_without_its_values() {
    let program = Program::bare();
    fs::write(program.folder().join(".env"), "ADMIN_EMAIL=a@example.com\nMONGO_PASSWORD='hunter2\n").unwrap();
    let result = program.run(&["serve"]).expect(2);
    assert!(result.stderr.contains(".env"), "{}", result.stderr);
    assert!(!result.stderr.contains("hunter2"), "{}", result.stderr);
}

#[test]
fn usage_errors_exit_with_2_and_help_shows_examples() {
    Program::bare().run(&["sevre"]).expect(2);
    Program::bare().run(&["migrate", "sideways"]).expect(2);
    for arguments in [["--help"].as_slice(), &["serve", "--help"], &["migrate", "status", "--help"]] {
        let result = Program::bare().run(arguments).expect(0);
        assert!(result.stdout.contains("field-notes"), "{}", result.stdout);
        assert!(result.stdout.contains("Example"), "{arguments:?}: {}", result.stdout);
    }
    let version = Program::bare().run(&["--version"]).expect(0);
    assert!(version.stdout.starts_with("field-notes "), "{}", version.stdout);
}
