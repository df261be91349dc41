use std::sync::Arc;

use docstore::{Filter, Find};
use testkit::Target;

use crate::support::{Server, Setup};

testkit::targets! {
    async fn eight_processes_at_once_migrate_once_and_all_serve(target: Arc<Target>) {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::on(&target, folder.path());
        let servers = futures_util::future::join_all((0..8).map(|_| setup.spawn())).await;
        let all = futures_util::future::join_all(servers.iter().map(Server::sections)).await;
        assert!(all.iter().all(|sections| sections == &all[0]), "all serve the same");
        assert_eq!(all[0]["total"], 4);
        let db = match &*target {
            Target::Embedded { .. } => {
                let path = folder.path().join("data/field-notes.db");
                docstore::embedded::open(docstore::embedded::Options { path }).await.unwrap()
            }
            Target::Mongo { .. } => testkit::open!(target),
        };
        let log = db.collection("_migration_log").find(Find::new(Filter::All)).await.unwrap().documents().await.unwrap();
        let mut applied: Vec<_> = log
            .iter()
            .filter(|entry| entry.values().any(|value| value.as_str() == Some("applied")))
            .map(|entry| entry.get_str("migration").unwrap().to_owned())
            .collect();
        applied.sort();
        assert_eq!(applied.len(), 4, "{log:?}");
        applied.dedup();
        assert_eq!(applied.len(), 4, "{log:?}");
        db.close().await;
    }
}
