use std::sync::Arc;

use docstore::Database;
use migrator::{Settings, UpMode};

use crate::declared::{declared, with};
use crate::toys::settings;

testkit::stores! {
    async fn conditions_report_violations_of_applied_migrations_only(db: Database) {
        let first = declared("0001_a", vec![]).finds("an item is lost");
        let second = declared("0002_b", vec![]).after(&["0001_a"]).finds("another");
        assert!(with(&db, std::slice::from_ref(&first), settings()).conditions().await.unwrap().is_empty());
        with(&db, std::slice::from_ref(&first), settings()).up(UpMode::Start).await.unwrap();
        let before = testkit::dump!(&db);
        let found = with(&db, &[first, second], settings()).conditions().await.unwrap();
        let reported: Vec<_> = found.iter().map(|(id, finding)| format!("{id}: {finding}")).collect();
        assert_eq!(reported, ["0001_a: an item is lost"]);
        assert_eq!(testkit::dump!(&db), before);
    }

    async fn uncheckable_condition_does_not_hide_the_others(db: Database) {
        let first = declared("0001_a", vec![]).meta(|meta| meta.requires_env(&["COLOR"]));
        let second = declared("0002_b", vec![]).after(&["0001_a"]).finds("an item is lost");
        let red = Settings { env: Arc::new(|_| Some("red".into())), ..settings() };
        with(&db, &[first.clone(), second.clone()], red).up(UpMode::Start).await.unwrap();
        let found = with(&db, &[first, second], settings()).conditions().await.unwrap();
        let reported: Vec<_> = found.iter().map(|(id, finding)| format!("{id}: {finding}")).collect();
        assert_eq!(reported, ["0001_a: cannot be checked: COLOR is not set", "0002_b: an item is lost"]);
    }
}
