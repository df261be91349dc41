use std::fs;
use std::sync::Arc;

use serde_json::json;
use testkit::Target;

use crate::program::Program;

#[tokio::test]
async fn empty_folder_and_admin_email_are_enough_to_serve() {
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com");
    let mut server = program.serve().await;

    let (status, body) = server.get("/sections").await;
    assert_eq!(status, 200);
    assert_eq!(body["total"], 4);
    assert_eq!(body["limit"], 20);
    assert_eq!(body["offset"], 0);
    let titles: Vec<_> = body["items"].as_array().unwrap().iter().map(|item| item["title"].clone()).collect();
    assert_eq!(titles, ["Blog", "About", "Projects", "Contact"]);
    let keys = [
        "title",
        "slug",
        "parent_id",
        "display_type",
        "content_type",
        "nav_visibility",
        "sort_order",
        "is_published",
        "id",
        "createdDate",
        "updatedDate",
        "user_id",
    ];
    for item in body["items"].as_array().unwrap() {
        for key in keys {
            assert!(item.get(key).is_some(), "{key} is missing from {item}");
        }
    }
    assert_eq!(server.get("/sections/slug/blog").await, server.get("/sections/by-slug/blog").await);
    assert_eq!(server.get("/sections/slug/blog").await.1, body["items"][0]);
    assert!(program.folder().join("data/field-notes.db").is_file());

    server.signal("TERM");
    assert_eq!(server.wait(), Some(0), "{}", server.output());
}

#[tokio::test]
async fn first_start_prints_migrations_and_example_requests() {
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("ALLOW_DEV_AUTH", "true");
    let server = program.serve().await;
    let printed = server.output();
    for expected in [
        "0001_create_admin_user",
        "0002_add_user_id_to_content",
        "0003_seed_initial_sections",
        "0004_backfill_section_id",
        "field-notes.db",
        "dev-mock-admin",
        "/docs",
        "curl ",
    ] {
        assert!(printed.contains(expected), "{expected:?} is missing from:\n{printed}");
    }
    assert_eq!(printed.lines().filter(|line| line.trim_start().starts_with("curl ")).count(), 2, "{printed}");
}

#[tokio::test]
async fn environment_takes_precedence_over_env_file() {
    let program = Program::bare().with("ADMIN_EMAIL", "second@example.com");
    let file = "ADMIN_EMAIL=first@example.com\nDATA_DIR='./else where' # a comment\nALLOW_DEV_AUTH=true\n";
    fs::write(program.folder().join(".env"), file).unwrap();
    let server = program.serve().await;
    assert!(program.folder().join("else where/field-notes.db").is_file());
    let (status, _) = server.get_as_admin("/sections?include_unpublished=true").await;
    assert_eq!(status, 200);
    assert!(!server.output().contains("first@example.com"));
}

#[test]
fn openapi_is_printed_without_configuration() {
    let program = Program::bare();
    let printed = program.run(&["openapi"]).expect(0).stdout;
    assert!(printed == field_notes::http::openapi_document());
    assert_eq!(program.files(), Vec::<String>::new());
}

testkit::targets! {
    async fn second_start_applies_nothing(target: Arc<Target>) {
        let program = Program::on(&target);
        let mut server = program.serve().await;
        let (_, before) = server.get("/sections").await;
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0), "{}", server.output());

        let server = program.serve().await;
        assert_eq!(server.get("/sections").await, (200, before));
    }

    async fn killed_server_restarts_with_the_same_content(target: Arc<Target>) {
        let program = Program::on(&target);
        let mut server = program.serve().await;
        let (_, before) = server.get("/sections").await;
        server.signal("KILL");
        assert_eq!(server.wait(), None);

        let server = program.serve().await;
        assert_eq!(server.get("/sections").await, (200, before));
    }

    async fn health_and_readiness_answer(target: Arc<Target>) {
        let server = Program::on(&target).serve().await;
        let (status, health) = server.get("/health").await;
        assert_eq!((status, &health["status"]), (200, &json!("healthy")));
        let (status, warm) = server.get("/warmup").await;
        assert_eq!((status, &warm["status"], &warm["database"]), (200, &json!("warm"), &json!("connected")));
        assert_eq!(server.get("/livez").await.0, 200);
        assert_eq!(server.get("/").await.0, 200);
    }
}
