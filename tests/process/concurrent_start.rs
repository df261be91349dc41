use std::sync::Arc;

use docstore::{Filter, Find};
use testkit::Target;

use crate::program::{Program, open_store};

const STARTERS: usize = 8;

testkit::targets! {
    async fn eight_concurrent_starts_migrate_once_and_all_serve(target: Arc<Target>) {
        let program = Program::on(&target);
        let mut servers: Vec<_> = (0..STARTERS).map(|_| program.spawn()).collect();
        for server in &mut servers {
            server.wait_until_ready().await;
            assert_eq!(server.section_slugs().await, ["blog", "about", "projects", "contact"]);
        }

        let store = open_store(&target).await;
        let log = store.collection("_migration_log").find(Find::new(Filter::All)).await.unwrap();
        let mut applied: Vec<_> = log
            .documents()
            .await
            .unwrap()
            .into_iter()
            .filter(|entry| entry.get_str("event").is_ok_and(|event| event == "applied"))
            .map(|entry| entry.get_str("migration").unwrap().to_owned())
            .collect();
        applied.sort();
        assert_eq!(
            applied,
            [
                "0001_create_admin_user",
                "0002_add_user_id_to_content",
                "0003_seed_initial_sections",
                "0004_backfill_section_id",
            ]
        );
        store.close().await;
    }
}
