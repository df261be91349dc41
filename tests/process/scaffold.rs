//! `migrate new`, `merge` and `diff` write code that compiles without warnings, is formatted, and passes its test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use docstore::{Index, sqlite};
use serde_json::Value;

use crate::program::Program;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Copies the sources of the migrations into the program's folder.
fn checkout(program: &Program) -> PathBuf {
    let folder = program.folder().join("migrations");
    fs::create_dir(&folder).expect("a folder");
    for entry in fs::read_dir(root().join("migrations")).expect("the migrations") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|kind| kind == "rs") {
            fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
    fs::copy(root().join("rustfmt.toml"), folder.join("rustfmt.toml")).expect("a copy");
    folder
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    // Build scripts depend on these variables, which only a test has: the dependencies would be built again, and the
    // programs of other tests would be replaced while they run.
    let of_a_test = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|part| name.starts_with(part))
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(of_a_test) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Returns the libraries of this workspace's tests, by name. They are built already.
fn libraries() -> BTreeMap<String, PathBuf> {
    let arguments = ["test", "--workspace", "--lib", "--no-run", "--offline", "--message-format", "json"];
    let output = cargo().args(arguments).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut libraries = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: Value = serde_json::from_str(line).expect("JSON");
        let kinds = message["target"]["kind"].to_string();
        let is_library = kinds.contains("\"lib\"") || kinds.contains("proc-macro");
        if message["reason"] == "compiler-artifact" && is_library && message["profile"]["test"] == false {
            let files = message["filenames"].as_array().expect("files");
            let is_linked =
                |file: &&Path| file.extension().is_some_and(|kind| kind == "rlib" || kind == "so");
            let file = files.iter().filter_map(Value::as_str).map(Path::new).find(is_linked);
            let name = message["target"]["name"].as_str().expect("a name").replace('-', "_");
            libraries.extend(file.map(|file| (name, PathBuf::from(file))));
        }
    }
    libraries
}

/// Returns the dependencies of the migrations, including those of tests.
fn dependencies() -> Vec<String> {
    let text = fs::read_to_string(root().join("migrations/Cargo.toml")).expect("the manifest");
    let mut within = false;
    let mut names = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            within = line.ends_with("dependencies]");
        } else if within && !line.starts_with('#') && line.contains('=') {
            let name = line.split(['.', ' ', '=']).next().expect("a name");
            names.push(name.replace('-', "_"));
        }
    }
    names
}

/// Builds the tests of a folder of migrations, with warnings as errors.
fn build(folder: &Path) -> PathBuf {
    let libraries = libraries();
    let program = folder.join("tests-of-migrations");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "--crate-name", "migrations", "--test", "-D", "warnings"]);
    rustc.arg("-W").arg("missing_docs").arg(folder.join("lib.rs")).arg("-o").arg(&program);
    rustc.env("CARGO_MANIFEST_DIR", root().join("migrations")).env("CARGO_CRATE_NAME", "migrations");
    for name in dependencies() {
        let library = libraries.get(&name).unwrap_or_else(|| panic!("{name} is built"));
        let deps = library.parent().expect("a folder");
        rustc.arg("-L").arg(format!("dependency={}", deps.display()));
        rustc.arg("--extern").arg(format!("{name}={}", library.display()));
    }
    // Native libraries that build scripts created, such as SQLite.
    let output = rustc.output().expect("rustc runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

fn formatted(file: &Path) {
    let output = Command::new("rustfmt").args(["--check", "--edition", "2024"]).arg(file).output();
    let output = output.expect("rustfmt runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Leaves a store whose indexes differ from their declarations.
async fn drift(program: &Program) {
    let mut server = program.serve().await;
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0), "{}", server.output());
    let path = program.folder().join("data/field-notes.db");
    let store = sqlite::open(sqlite::Options { path }).await.expect("the store opens");
    store.drop_index("stories", "slug_1").await.expect("it is there");
    store.drop_index("stories", "user_id_1").await.expect("it is there");
    store.ensure_index("stories", &Index::on(["slug"])).await.expect("an index");
    store.ensure_index("projects", &Index::on(["colour"])).await.expect("an index");
    store.close().await;
}

#[tokio::test]
async fn generated_migrations_compile_and_pass_their_tests() {
    // Variables that `rustfmt` needs.
    let mut program = Program::bare().with("ADMIN_EMAIL", "admin@example.com");
    for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        if let Ok(value) = std::env::var(name) {
            program = program.with(name, &value);
        }
    }
    drift(&program).await;
    let folder = checkout(&program);
    let new = |arguments: &[&str]| -> Value {
        let result = program.run(&[&["migrate", "new", "--json"], arguments].concat()).expect(0);
        serde_json::from_str(&result.stdout).expect("JSON")
    };
    let first = new(&["Mark \"special\" stories as featured."]);
    assert_eq!(first["id"], "0005_mark_special_stories_as_featured");
    assert_eq!(first["depends_on"][0], "0004_backfill_section_id");
    let long =
        "make the sections of all stories and of all projects agree with what their authors printed of them";
    let second = new(&[long]);
    assert_eq!(second["depends_on"][0], first["id"], "{second}");

    // Two heads, as after merging two branches.
    let file = folder.join(format!("m{}.rs", second["id"].as_str().expect("an id")));
    let text = fs::read_to_string(&file).expect("the file");
    let text =
        text.replace(&format!(".after(&[{}])", first["id"]), ".after(&[\"0004_backfill_section_id\"])");
    fs::write(&file, text).expect("the file is written");
    let refused = program.run(&["migrate", "new", "a third"]).expect(7);
    assert!(refused.stderr.contains("field-notes migrate merge"), "{}", refused.stderr);
    let result = program.run(&["migrate", "merge", "--json"]).expect(0);
    let merged: Value = serde_json::from_str(&result.stdout).expect("JSON");
    assert_eq!(merged["depends_on"].as_array().map(Vec::len), Some(2), "{merged}");

    let result = program.run(&["migrate", "diff", "repair the indexes", "--json"]).expect(0);
    let repair: Value = serde_json::from_str(&result.stdout).expect("JSON");

    for written in [&first, &merged, &repair] {
        formatted(&program.folder().join(written["file"].as_str().expect("a path")));
    }
    let tests = build(&folder);
    let output = Command::new(tests).output().expect("the tests run");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    for id in [&first, &second, &merged, &repair].map(|written| written["id"].as_str().expect("an id")) {
        let passed =
            printed.lines().filter(|line| line.contains(&format!("m{id}::tests::")) && line.ends_with("ok"));
        assert_eq!(passed.count(), 2, "{id} on both stores:\n{printed}");
    }
}

#[test]
fn new_outside_a_checkout_suggests_dir() {
    let program = Program::bare();
    let result = program.run(&["migrate", "new", "something"]).expect(2);
    assert!(result.stderr.contains("--dir"), "{}", result.stderr);
    assert!(result.stderr.contains("nothing was written"), "{}", result.stderr);
    let result = program.run(&["migrate", "new", "something", "--json"]).expect(2);
    let printed: Value = serde_json::from_str(&result.stdout).expect("JSON");
    assert_eq!(printed["error"]["exit_code"], 2, "{printed}");
    assert!(program.files().is_empty(), "{:?}", program.files());
}

#[test]
fn message_without_a_usable_name_is_refused() {
    let program = Program::bare();
    let folder = checkout(&program);
    let before = fs::read_to_string(folder.join("lib.rs")).expect("the list");
    for bad in ["", "!?", "two\nlines", &"x".repeat(101)] {
        program.run(&["migrate", "new", bad]).expect(2);
    }
    assert_eq!(fs::read_to_string(folder.join("lib.rs")).expect("the list"), before);
}
