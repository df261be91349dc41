//! The verbs of `migrate`: exit codes, output, and that read-only verbs write nothing.

use std::sync::Arc;

use docstore::bson::doc;
use docstore::bson::oid::ObjectId;
use serde_json::Value;
use testkit::Target;

use crate::program::{Program, open_store};

/// The read-only verbs, with arguments.
const READ_ONLY: [&[&str]; 14] = [
    &["status"],
    &["plan"],
    &["plan", "--to", "0002"],
    &["up", "--dry-run"],
    &["down", "--dry-run"],
    &["show", "0003"],
    &["history", "--verbose"],
    &["current"],
    &["heads"],
    &["graph", "--format", "mermaid"],
    &["check"],
    &["lint"],
    &["verify"],
    &["backups"],
];

fn migrate(program: &Program, arguments: &[&str]) -> crate::program::Finished {
    program.run(&[&["migrate"], arguments].concat())
}

fn json(program: &Program, arguments: &[&str], code: i32) -> Value {
    let result = migrate(program, &[arguments, &["--json"]].concat()).expect(code);
    serde_json::from_str(&result.stdout).expect("JSON on stdout, and nothing else")
}

fn run_id(program: &Program) -> String {
    let records = json(program, &["history"], 0);
    let last = records["records"].as_array().and_then(|all| all.last()).expect("a record");
    last["run_id"].as_str().expect("a run").to_owned()
}

/// Returns the documented JSON members of a verb. Those after a semicolon are optional.
fn members_in_the_guide(verb: &str) -> Vec<String> {
    let guide = include_str!("../../docs/migrations.md");
    let row = guide.lines().find(|line| {
        line.strip_prefix('|').and_then(|line| line.split('|').next()).is_some_and(|verbs| {
            line.ends_with('|') && verbs.split(',').any(|one| one.trim() == format!("`{verb}`"))
        })
    });
    let members =
        row.and_then(|row| row.split('|').nth(2)).unwrap_or_else(|| panic!("{verb} is not in the guide"));
    let always = if ["down", "unlock"].contains(&verb) {
        members
    } else {
        members.split(';').next().unwrap_or(members)
    };
    always.split('`').skip(1).step_by(2).filter(|word| !word.starts_with('-')).map(str::to_owned).collect()
}

#[test]
fn read_only_verbs_create_no_file() {
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com");
    for verb in READ_ONLY {
        let code = if verb[0] == "check" { 3 } else { 0 };
        if verb[0] == "show" {
            assert!(migrate(&program, verb).expect(0).stdout.contains("never ran"));
        } else {
            migrate(&program, verb).expect(code);
        }
        json(&program, verb, code);
        assert!(program.files().is_empty(), "{verb:?} made {:?}", program.files());
    }
    // Writing verbs that find nothing to do create no file either.
    migrate(&program, &["down"]).expect(0);
    migrate(&program, &["down", "--all", "--yes"]).expect(0);
    migrate(&program, &["unlock", "--reason", "a test"]).expect(0);
    migrate(&program, &["import", "pymongo-migrate"]).expect(0);
    assert!(program.files().is_empty(), "{:?}", program.files());
}

#[test]
fn misspelled_level_of_the_log_is_named_and_silences_nothing() {
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("RUST_LOG", "inof");
    let result = migrate(&program, &["up"]).expect(0);
    assert!(result.stderr.contains("WARN inof in RUST_LOG is no level"), "{}", result.stderr);
    let program = program.with("RUST_LOG", "mongodb::command=debug").with("ALOW_DEV_AUTH", "true");
    let result = migrate(&program, &["status"]).expect(0);
    assert!(
        result.stderr.contains("ALOW_DEV_AUTH") && !result.stderr.contains("RUST_LOG is"),
        "{}",
        result.stderr
    );
}

#[test]
fn every_verb_has_help() {
    let program = Program::bare();
    let help = program.run(&["migrate", "--help"]).expect(0).stdout;
    for verb in [
        "up",
        "down",
        "redo",
        "status",
        "show",
        "history",
        "current",
        "heads",
        "graph",
        "plan",
        "check",
        "lint",
        "verify",
        "preflight",
        "test",
        "rehearse",
        "new",
        "diff",
        "merge",
        "stamp",
        "repair",
        "import",
        "unlock",
        "reset",
        "backup",
        "backups",
        "restore",
        "wait",
    ] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb} is missing from\n{help}");
        let help = program.run(&["migrate", verb, "--help"]).expect(0).stdout;
        assert!(help.contains(&format!("field-notes migrate {verb}")), "{verb}:\n{help}");
        assert!(help.contains("--json"), "{verb}:\n{help}");
    }
    program.run(&["migrate", "sideways"]).expect(2);
}

/// The verbs that open no store, or that log which one they serve from.
const WITHOUT_STORE: [&[&str]; 6] = [
    &["serve"],
    &["openapi"],
    &["healthcheck"],
    &["migrate", "new"],
    &["migrate", "merge"],
    &["media", "copy"],
];

/// Returns the verbs below a command, which its help lists.
fn verbs_below(program: &Program, command: &[&str]) -> Vec<Vec<String>> {
    let help = program.run(&[command, &["--help"]].concat()).expect(0).stdout;
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        return vec![command.iter().map(|&word| word.to_owned()).collect()];
    };
    let lines = list.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let names = lines.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.flat_map(|name| verbs_below(program, &[command, &[name]].concat())).collect()
}

/// The embedded store has no driver.
#[test]
fn commands_of_the_driver_are_logged_on_request() {
    testkit::on(testkit::Engine::Mongo, |target| async move {
        for (filter, is_logged) in [("mongodb::command=debug", true), ("debug,mongodb=info", false)] {
            let program = Program::on(&target).with("RUST_LOG", filter);
            let result = migrate(&program, &["status"]).expect(0);
            for text in ["ping started", "ping succeeded"] {
                assert_eq!(result.stderr.contains(text), is_logged, "{filter}: {}", result.stderr);
            }
        }
    });
}

testkit::targets! {
    async fn read_only_verbs_write_nothing(target: Arc<Target>) {
        let program = Program::on(&target);
        let store = open_store(&target).await;
        store.collection("stories").insert_one(doc! { "title": "t", "slug": "t" }).await.unwrap();
        for up_to in ["0001", "0003", "0004"] {
            let before = (testkit::dump!(store), store.collection_names().await.unwrap());
            for verb in READ_ONLY {
                migrate(&program, verb);
                let after = (testkit::dump!(store), store.collection_names().await.unwrap());
                assert_eq!(after, before, "{verb:?}");
            }
            migrate(&program, &["up", "--to", up_to]).expect(0);
        }
        store.close().await;
    }

    async fn up_stops_at_its_target_and_a_run_is_rolled_back_as_one(target: Arc<Target>) {
        let program = Program::on(&target);
        let first = json(&program, &["up", "--steps", "1"], 0);
        assert_eq!(first["applied"].as_array().map(Vec::len), Some(1), "{first}");
        assert_eq!(first["applied"][0]["id"], "0001_create_admin_user");
        let second = json(&program, &["up", "--to", "0003"], 0);
        assert_eq!(second["applied"].as_array().map(Vec::len), Some(2), "{second}");
        assert_ne!(first["run_id"], second["run_id"]);
        assert_eq!(run_id(&program), second["run_id"]);

        let run = second["run_id"].as_str().unwrap();
        let planned = json(&program, &["down", "--run", run, "--dry-run"], 0);
        assert_eq!(planned["would_take_back"][0]["id"], "0003_seed_initial_sections", "{planned}");
        let undone = json(&program, &["down", "--run", run, "--yes"], 0);
        let ids: Vec<_> = undone["taken_back"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
        assert_eq!(ids, ["0003_seed_initial_sections", "0002_add_user_id_to_content"]);
        let current = json(&program, &["current"], 0);
        assert_eq!(current["current"][0]["id"], "0001_create_admin_user", "{current}");
    }

    async fn redo_applies_again_with_dependents(target: Arc<Target>) {
        let program = Program::on(&target);
        migrate(&program, &["up"]).expect(0);
        let done = json(&program, &["redo", "0004"], 0);
        assert_eq!(done["taken_back"][0]["id"], "0004_backfill_section_id", "{done}");
        assert_eq!(done["report"]["applied"][0]["id"], "0004_backfill_section_id", "{done}");
        let refused = migrate(&program, &["redo", "0003"]).expect(8);
        assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
        migrate(&program, &["redo", "0003", "--yes"]).expect(0);
        migrate(&program, &["verify"]).expect(0);
    }

    async fn redo_shows_what_it_loses_and_keeps_it_in_a_backup(target: Arc<Target>) {
        let program = Program::on(&target);
        migrate(&program, &["up"]).expect(0);
        let store = open_store(&target).await;
        let sections = store.collection("sections");
        let edit = docstore::Update::new().set("title", "Edited by hand");
        sections.update_one(&docstore::Filter::eq("slug", "about"), &edit).await.unwrap();
        let before = testkit::dump!(store);
        let loss = "which was edited after 0003_seed_initial_sections inserted it";
        let planned = migrate(&program, &["redo", "0003", "--dry-run"]).expect(0).stdout;
        assert!(planned.contains(loss) && planned.contains("roll back 0004_backfill_section_id"), "{planned}");
        migrate(&program, &["redo", "0003"]).expect(8);
        assert!(json(&program, &["backups"], 0).to_string().find("taken_at").is_none());
        assert_eq!(testkit::dump!(store), before);
        let done = json(&program, &["redo", "0003", "--yes"], 0);
        let backup = done["backup"].as_str().unwrap();
        migrate(&program, &["restore", backup, "--replace", "--yes"]).expect(0);
        let restored = testkit::dump!(store);
        assert_eq!(restored["sections"], before["sections"]);
        store.close().await;
    }

    async fn results_that_cannot_be_printed_are_failures(target: Arc<Target>) {
        let program = Program::on(&target);
        migrate(&program, &["up"]).expect(0);
        for arguments in [&["migrate", "status"][..], &["migrate", "status", "--json"], &["doctor"]] {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            let status = program.command(arguments).stdout(full).stderr(std::process::Stdio::null()).status().unwrap();
            assert_eq!(status.code(), Some(1), "{arguments:?}");
        }
        let unknown = migrate(&program, &["backup", "--only", "storiesx"]).expect(2);
        assert!(unknown.stderr.contains("there is no collection \"storiesx\"; there are: ") && unknown.stderr.contains("sections"), "{}", unknown.stderr);
    }

    async fn invalid_requests_are_explained_and_change_nothing(target: Arc<Target>) {
        let program = Program::on(&target);
        migrate(&program, &["up", "--to", "0002"]).expect(0);
        let store = open_store(&target).await;
        let before = testkit::dump!(store);
        for (arguments, code, printed) in [
            (&["show", "0009"][..], 2, "no migration matches 0009"),
            (&["show", "000"], 2, "0001_create_admin_user, 0002"),
            (&["up", "--to", "nothing"], 2, "field-notes migrate status"),
            (&["up", "--to", "0003", "--steps", "1"], 2, "cannot be used with"),
            (&["down", "--to", "0003"], 2, "0003_seed_initial_sections"),
            (&["down", "--run", "ffff"], 2, "ffff"),
            (&["down", "--all"], 8, "--yes"),
            (&["stamp", "0004", "--reason", "r"], 8, "0003_seed_initial_sections"),
            (&["stamp", "0004"], 2, "--reason"),
            (&["stamp", "0003", "--reason", " "], 2, "--reason"),
            (&["repair", "0001", "--as", "applied", "--reason", "r"], 2, "0001_create_admin_user"),
            (&["history", "--since", "yesterday"], 2, "30d"),
            (&["graph", "--format", "pdf"], 2, "mermaid"),
            (&["import", "flyway"], 2, "pymongo-migrate"),
        ] {
            let result = migrate(&program, arguments).expect(code);
            assert!(result.stderr.contains(printed), "{arguments:?}:\n{}", result.stderr);
            assert!(result.stdout.is_empty(), "{arguments:?}:\n{}", result.stdout);
        }
        assert_eq!(testkit::dump!(store), before);
        store.close().await;
    }

    async fn stamp_records_its_reason(target: Arc<Target>) {
        let program = Program::on(&target);
        let stamped = json(&program, &["stamp", "0001", "--reason", "made by hand"], 0);
        assert_eq!(stamped["id"], "0001_create_admin_user");
        let history = migrate(&program, &["history"]).expect(0).stdout;
        assert!(history.contains("stamped") && history.contains("made by hand"), "{history}");
        let status = json(&program, &["status"], 0);
        assert_eq!(status["applied"][0]["source"], "stamped", "{status}");
        // The account does not exist.
        let result = migrate(&program, &["verify"]).expect(6);
        assert!(result.stdout.contains("0001_create_admin_user"), "{}", result.stdout);
        migrate(&program, &["stamp", "0001", "--pending", "--reason", "it was not"]).expect(0);
        migrate(&program, &["up"]).expect(0);
        migrate(&program, &["verify"]).expect(0);
    }

    async fn edits_since_a_run_are_reported_and_are_no_drift(target: Arc<Target>) {
        let program = Program::on(&target).with("ADMIN_EMAIL", "first@example.com");
        migrate(&program, &["up"]).expect(0);
        let store = open_store(&target).await;
        let renamed = docstore::Update::new().set("slug", "about-us").set("title", "About us");
        store.collection("sections").update_one(&docstore::Filter::eq("slug", "about"), &renamed).await.unwrap();
        store.close().await;
        let program = Program::on(&target).with("ADMIN_EMAIL", "second@example.com");
        program.serve().await;
        for arguments in [&["verify"][..], &["check"], &["check", "--before-deploy"]] {
            let result = migrate(&program, arguments).expect(0);
            for edit in ["0001_create_admin_user: no user has", "0003_seed_initial_sections: no section has the slug about"] {
                assert!(result.stdout.contains(&format!("· changed since {edit}")), "{}", result.stdout);
            }
            assert!(!result.stdout.contains("redo"), "{}", result.stdout);
        }
        let findings = json(&program, &["verify"], 0)["findings"].clone();
        assert_eq!((findings.as_array().unwrap().len(), &findings[0]["violation"]), (2, &Value::Bool(false)), "{findings}");
    }

    async fn duplicate_slugs_are_named_by_every_check_and_repaired_by_doctor(target: Arc<Target>) {
        let program = Program::on(&target).with("PORT", "0");
        migrate(&program, &["up"]).expect(0);
        let store = open_store(&target).await;
        let stories = store.collection("stories");
        for (id, title, slug) in [(1, "First", Some("same")), (2, "Second", Some("same")), (3, "Third", Some("same-2")), (4, "Üntitled", None), (5, "Untitled", None)] {
            let mut story = doc! { "_id": ObjectId::from_bytes([id; 12]), "title": title };
            story.extend(slug.map(|slug| ("slug".to_owned(), slug.into())));
            stories.insert_one(story).await.unwrap();
        }
        store.close().await;
        let (first, second) = ("01".repeat(12), "02".repeat(12));
        let named = format!("\"same\": {first} \"First\", {second} \"Second\"");
        for (arguments, code) in [
            (&["migrate", "preflight"][..], 8),
            (&["migrate", "check"], 6),
            (&["migrate", "check", "--before-deploy"], 6),
            (&["doctor"], 6),
            (&["serve"], 1),
        ] {
            let result = program.run(arguments).expect(code);
            let text = result.stdout + &result.stderr;
            assert!(text.contains("failed to create the unique index slug_1 of stories: documents have the same slug"), "{arguments:?} {text}");
            assert!(text.contains(&named) || text.contains(&named.replace('"', "\\\"")), "{arguments:?} {text}");
            assert!(text.contains("field-notes doctor --fix duplicate-slugs"), "{arguments:?} {text}");
        }

        let planned = program.run(&["doctor", "--fix", "duplicate-slugs"]).expect(0).stdout;
        assert!(planned.contains(&format!("stories {second} \"Second\": same-3\n")), "{planned}");
        assert!(planned.contains("\"Untitled\": untitled\nwould change 2 slugs; nothing was changed"), "{planned}");
        program.run(&["doctor"]).expect(6);
        program.run(&["doctor", "--fix", "duplicate-slugs", "--yes"]).expect(0);
        let examined = program.run(&["doctor"]).expect(0).stdout;
        assert!(examined.contains("nothing would stop a start"), "{examined}");
        program.serve().await;
        let store = open_store(&target).await;
        let slugs: Vec<_> = testkit::dump!(store)["stories"].iter().map(|story| story.get_str("slug").unwrap_or_default().to_owned()).collect();
        assert_eq!(slugs, ["same", "same-3", "same-2", "", "untitled"]);
        store.close().await;
    }

    async fn orphans_are_reported_and_taken_out_of_missing_sections_by_doctor(target: Arc<Target>) {
        let program = Program::on(&target);
        migrate(&program, &["up"]).expect(0);
        let store = open_store(&target).await;
        let find = docstore::Find::new(docstore::Filter::eq("slug", "blog"));
        let blog = store.collection("sections").find_one(find).await.unwrap().unwrap().get_object_id("_id").unwrap();
        let (gone, deleted) = (ObjectId::from_bytes([9; 12]), ObjectId::from_bytes([8; 12]));
        let insert = async |collection: &str, id: u8, more| {
            let mut document = doc! { "_id": ObjectId::from_bytes([id; 12]), "title": "T", "slug": format!("slug-{id}"), "page_type": format!("type-{id}") };
            document.extend::<docstore::bson::Document>(more);
            store.collection(collection).insert_one(document).await.unwrap();
        };
        insert("sections", 8, doc! { "deleted": true }).await;
        insert("sections", 1, doc! { "parent_id": gone.to_hex() }).await;
        insert("stories", 2, doc! { "section_id": gone.to_hex() }).await;
        insert("stories", 3, doc! { "section_id": blog.to_hex() }).await;
        // Another spelling of an id names the same section.
        insert("stories", 10, doc! { "section_id": blog.to_hex().to_uppercase() }).await;
        insert("projects", 4, doc! { "section_id": gone, "version": 6_i64 }).await;
        insert("pages", 5, doc! { "section_id": deleted.to_hex(), "deleted": true }).await;
        insert("pages", 6, doc! { "section_id": "" }).await;
        insert("stories", 7, doc! { "section_id": null }).await;
        let before = testkit::dump!(store);
        store.close().await;
        let named = format!("stories {} \"T\": section_id names no section: {gone}", "02".repeat(12));
        let examined = program.run(&["doctor"]).expect(0).stdout;
        assert!(examined.contains(&named) && examined.contains("doctor --fix orphans"), "{examined}");
        let planned = program.run(&["doctor", "--fix", "orphans"]).expect(0).stdout;
        assert!(planned.contains(&named) && planned.contains("would change 3 items; nothing was changed"), "{planned}");
        let store = open_store(&target).await;
        assert_eq!(testkit::dump!(store), before);
        store.close().await;
        let changed = program.run(&["doctor", "--fix", "orphans", "--yes"]).expect(0).stdout;
        assert!(changed.contains("changed 3 items"), "{changed}");
        let store = open_store(&target).await;
        let after = testkit::dump!(store);
        let field = |collection: &str, id: u8, field: &str| {
            let id = ObjectId::from_bytes([id; 12]);
            after[collection].iter().find(|document| document.get_object_id("_id").unwrap() == id).unwrap().get(field).cloned()
        };
        assert_eq!(field("sections", 1, "parent_id"), Some(docstore::bson::Bson::Null));
        for (collection, id) in [("stories", 2), ("projects", 4)] {
            assert_eq!(field(collection, id, "section_id"), None, "{collection}");
        }
        // Both are in the trash, and belong together when they are restored.
        assert_eq!(field("pages", 5, "section_id"), Some(deleted.to_hex().into()));
        assert_eq!(field("projects", 4, "version"), Some(7_i64.into()));
        assert_eq!(field("stories", 3, "section_id"), Some(blog.to_hex().into()));
        store.close().await;
        let examined = program.run(&["doctor"]).expect(0).stdout;
        assert!(!examined.contains("names no section"), "{examined}");
        let planned = program.run(&["doctor", "--fix", "orphans"]).expect(0).stdout;
        assert!(planned.contains("every section that an item names exists"), "{planned}");
    }

    async fn t19_content_of_other_programs_is_reported_and_sanitized_by_doctor(target: Arc<Target>) {
        let program = Program::on(&target);
        migrate(&program, &["up"]).expect(0);
        let store = open_store(&target).await;
        let at = docstore::bson::DateTime::from_millis(0);
        let insert = async |collection: &str, id: u8, content: &str| {
            let document = doc! {
                "_id": ObjectId::from_bytes([id; 12]), "title": "T", "slug": format!("slug-{id}"), "page_type": format!("type-{id}"), "summary": "s",
                "content": content, "is_published": true, "technologies": [], "createdDate": at, "updatedDate": at, "deleted": id == 4,
            };
            store.collection(collection).insert_one(document).await.unwrap();
        };
        insert("stories", 1, "<p onclick=alert(1)>a<script>alert(1)</script></p>").await;
        insert("stories", 2, "<script>alert(1)</script>").await;
        // Nothing is removed, but it is not written as it is read.
        insert("stories", 3, "<p>a<p>b").await;
        insert("stories", 7, "<p>a</p><p>b</p>").await;
        insert("projects", 4, "<img src=x onerror=alert(1)>").await;
        insert("pages", 5, "<a href=\"javascript:alert(1)\">x</a>").await;
        insert("pages", 6, &"<p onclick=x>a".repeat(10_000)).await;
        let before = testkit::dump!(store);
        store.close().await;
        let named = format!("stories {} \"T\": content was not sanitized: script;1, onclick;1", "01".repeat(12));
        let long = format!("pages {} \"T\": content is too long to be sanitized", "06".repeat(12));
        let examined = program.run(&["doctor"]).expect(0).stdout;
        for part in [&*named, &*long, "doctor --fix content", "nothing would stop a start"] {
            assert!(examined.contains(part), "{part}: {examined}");
        }
        let planned = program.run(&["doctor", "--fix", "content"]).expect(0).stdout;
        assert!(planned.contains(&named) && planned.contains("would change 5 items; nothing was changed"), "{planned}");
        let store = open_store(&target).await;
        assert_eq!(testkit::dump!(store), before);
        store.close().await;
        let changed = program.run(&["doctor", "--fix", "content", "--yes"]).expect(0).stdout;
        assert!(changed.contains("changed 5 items"), "{changed}");
        let server = program.serve().await;
        for (path, content) in [
            ("/stories/slug/slug-1", "<p>a</p>"), ("/stories/slug/slug-2", "<p></p>"), ("/stories/slug/slug-3", "<p>a</p><p>b</p>"), ("/stories/slug/slug-7", "<p>a</p><p>b</p>"),
            ("/pages/type-5", "<a>x</a>"),
        ] {
            assert_eq!(server.get(path).await.1["content"], content, "{path}");
        }
        let deleted = format!("/trash/projects/{}/restore", "04".repeat(12));
        assert_eq!(server.post_as_admin(&deleted, &serde_json::Value::Null).await.0, 200);
        assert_eq!(server.get("/projects/slug/slug-4").await.1["content"], "<img src=\"x\">");
        drop(server);
        let examined = program.run(&["doctor", "--fix", "content"]).expect(0).stdout;
        assert!(examined.contains(&long) && examined.contains("would change 0 items"), "{examined}");
    }

    async fn users_with_one_address_in_two_spellings_are_reported(target: Arc<Target>) {
        let program = Program::on(&target);
        migrate(&program, &["up"]).expect(0);
        let store = open_store(&target).await;
        for email in ["Ann@example.com", "ann@example.com"] {
            store.collection("users").insert_one(doc! { "email": email }).await.unwrap();
        }
        store.close().await;
        for arguments in [&["doctor"][..], &["migrate", "check", "--before-deploy"]] {
            let text = program.run(arguments).expect(0).stdout;
            assert!(text.contains("users have the same address but for case: ann@example.com:"), "{text}");
        }
    }

    async fn failure_is_printed_as_json(target: Arc<Target>) {
        let program = Program::on(&target);
        let printed = json(&program, &["show", "0009"], 2);
        assert_eq!(printed["error"]["exit_code"], 2, "{printed}");
        assert!(printed["error"]["message"].as_str().unwrap().contains("0009"), "{printed}");
        assert!(printed["error"]["more"][0].as_str().unwrap().contains("field-notes migrate status"), "{printed}");
    }
    async fn json_members_of_each_verb_match_the_guide(target: Arc<Target>) {
        let program = Program::on(&target);
        for arguments in [
            &["preflight"][..],
            &["plan"],
            &["lint"],
            &["up"],
            &["status"],
            &["show", "0004"],
            &["history"],
            &["current"],
            &["heads"],
            &["graph"],
            &["check"],
            &["verify"],
            &["wait"],
            &["backup"],
            &["backups"],
            &["redo", "0004"],
            &["down"],
            &["rehearse"],
            &["import", "pymongo-migrate"],
            &["stamp", "0004", "--reason", "a test"],
            &["unlock", "--reason", "a test"],
        ] {
            let printed = json(&program, arguments, 0);
            let expected = members_in_the_guide(arguments[0]);
            let members = printed.as_object().expect("an object");
            assert!(members.contains_key("store"), "{arguments:?}: {printed}");
            for member in members.keys().filter(|member| *member != "store") {
                assert!(expected.contains(member), "{arguments:?}: {member} is not in the guide");
            }
            for member in expected.iter().filter(|_| !["down", "unlock"].contains(&arguments[0])) {
                assert!(members.contains_key(member), "{arguments:?} has no {member}: {printed}");
            }
        }
    }

    async fn every_verb_names_the_store_first(target: Arc<Target>) {
        let program = Program::on(&target);
        let place = match &*target {
            Target::Embedded { path, .. } => path.with_file_name("field-notes.db").display().to_string(),
            Target::Mongo { database, .. } => database.clone(),
        };
        let missing = migrate(&program, &["status"]).expect(0).stderr;
        if let Target::Embedded { .. } = &*target {
            assert!(missing.starts_with(&format!("store: {place}, which does not exist yet\n")), "{missing}");
        }
        migrate(&program, &["up"]).expect(0);
        let mut runs: Vec<Vec<String>> = Vec::new();
        for verb in verbs_below(&program, &[]) {
            if WITHOUT_STORE.iter().any(|without| verb == *without) {
                continue;
            }
            // An unknown migration or backup is enough where the verb would be long, or would change the state of others.
            let rest: &[&str] = match verb.last().map_or("", String::as_str) {
                "redo" | "show" | "test" | "restore" => &["9999"],
                "diff" => &["a test"],
                "down" => &["--dry-run"],
                "reset" => &["--confirm", "another"],
                "repair" => &["9999", "--as", "retry", "--reason", "a test"],
                "stamp" => &["9999", "--reason", "a test"],
                "import" if verb[0] == "migrate" => &["pymongo-migrate"],
                "unlock" => &["--reason", "a test"],
                "purge" => &["--older-than", "30d", "--dry-run"],
                "gc" => &["--older-than", "30d"],
                "export" | "erase" => &["a@example.com"],
                _ => &[],
            };
            runs.push(verb.into_iter().chain(rest.iter().map(|&word| word.to_owned())).collect());
        }
        assert!(runs.len() > 28, "{runs:?}");
        for run in runs {
            let run: Vec<_> = run.iter().map(String::as_str).collect();
            let result = program.run(&run);
            let first = result.stderr.lines().next().unwrap_or_default();
            assert!(first.starts_with("store: ") && first.ends_with(&place), "{run:?}: {}", result.stderr);
            if run[0] == "migrate" {
                let value: Value = serde_json::from_str(&program.run(&[&run[..], &["--json"]].concat()).stdout).expect("JSON");
                let is_error = value["error"]["exit_code"].is_number();
                assert!(is_error || value["store"] == first["store: ".len()..], "{run:?}: {value}");
            }
        }
    }

    async fn lint_of_an_empty_store_warns_of_nothing(target: Arc<Target>) {
        let result = migrate(&Program::on(&target), &["lint", "--strict"]).expect(0);
        assert_eq!(result.stdout, "0 errors, 0 warnings\n");
    }

    async fn unknown_names_are_refused(target: Arc<Target>) {
        let program = Program::on(&target);
        migrate(&program, &["up"]).expect(0);
        migrate(&program, &["backup"]).expect(0);
        let backup = json(&program, &["backups"], 0)["backups"][0]["id"].as_str().expect("an id").to_owned();
        for (verb, named) in [
            (&["backup", "--only", "sectionsx"][..], "there is no collection \"sectionsx\""),
            (&["backup", "--only", "sectoins"], "did you mean sections?"),
            (&["restore", &backup, "--only", "usres"], "did you mean users?"),
            (&["restore", &backup, "--only", "storiesx"], "it contains "),
            (&["restore", "nothing"], "nothing"),
            (&["show", "9999"], "9999"),
            (&["show", ""], "\"\""),
            (&["show", "0004_bakfill_section_id"], "did you mean 0004_backfill_section_id?"),
            (&["redo", "0003_sed_initial_sections"], "did you mean 0003_seed_initial_sections?"),
            (&["test", "creat_admin_user"], "did you mean 0001_create_admin_user?"),
            (&["up", "--to", "9999"], "9999"),
            (&["up", "--context", "demo"], "no migration has the context \"demo\""),
            (&["status", "--context", ""], "no migration has the context \"\""),
            (&["down", "--run", ""], "no run \"\""),
            (&["history", "--migration", "9999"], "9999"),
            (&["history", "--limit", "0"], "0"),
        ] {
            let result = migrate(&program, verb).expect(2);
            assert!(result.stderr.contains(named), "{verb:?}: {}", result.stderr);
        }
    }
}
