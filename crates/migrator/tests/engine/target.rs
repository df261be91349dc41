use docstore::Database;
use docstore::bson::doc;
use migrator::{
    ActionKind, Error, Graph, GraphError, Meta, Migration, Migrator, Settings, UpMode, UpRequest, UpTarget,
};

use crate::toys::{Action, Toy, all, content, entry, graph, log, migrator, settings, toy};

/// A fork: 0002 and 0003 depend on 0001, 0004 on 0003, and 0005 joins them.
fn fork() -> Vec<Toy> {
    vec![
        toy("0001_a", &[], vec![Action::Insert("things", "a")]),
        toy("0002_b", &["0001_a"], vec![Action::Insert("bs", "b")]).with_meta(|meta| meta.touches(&["bs"])),
        toy("0003_c", &["0001_a"], vec![Action::Insert("cs", "c")]).with_meta(|meta| meta.touches(&["cs"])),
        toy("0004_d", &["0003_c"], vec![Action::Insert("ds", "d")]).with_meta(|meta| meta.touches(&["ds"])),
        toy("0005_e", &["0002_b", "0004_d"], vec![]),
    ]
}

fn within(db: &Database, toys: &[Toy], contexts: &[&str]) -> Migrator {
    let contexts = contexts.iter().map(|&context| context.to_owned()).collect();
    Migrator::new(db.clone(), graph(toys), Settings { contexts, ..settings() })
}

async fn applied(migrator: &Migrator, request: impl Into<UpRequest>) -> Vec<String> {
    migrator.up(request).await.unwrap().applied.into_iter().map(|applied| applied.id).collect()
}

async fn refused(db: &Database, migrator: &Migrator, request: impl Into<UpRequest>) -> Error {
    let request: UpRequest = request.into();
    let before = testkit::dump!(db);
    let planned = migrator.plan_up(request.clone()).await.unwrap_err().to_string();
    let error = migrator.up(request).await.unwrap_err();
    assert_eq!(error.to_string(), planned);
    assert_eq!(testkit::dump!(db), before, "{error}");
    error
}

fn says(error: &Error, code: u8, parts: &[&str]) {
    assert_eq!(error.exit_code(), code, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "no {part:?} in: {error}");
    }
}

testkit::stores! {
    async fn up_applies_to_a_target_or_a_number_of_steps(db: Database) {
        let migrator = migrator(&db, &fork());
        let plan = migrator.plan_up(UpTarget::To("0004".into())).await.unwrap();
        let planned: Vec<_> = plan.actions.iter().map(|action| (action.id.as_str(), action.kind)).collect();
        let expected = ["0001_a", "0003_c", "0004_d"].map(|id| (id, ActionKind::Apply));
        assert_eq!(planned, expected);
        assert!(testkit::dump!(db).is_empty());

        assert_eq!(applied(&migrator, UpTarget::Steps(1)).await, ["0001_a"]);
        assert_eq!(applied(&migrator, UpTarget::To("0004".into())).await, ["0003_c", "0004_d"]);
        assert_eq!(applied(&migrator, UpTarget::To("0003_c".into())).await, Vec::<String>::new());
        // 0002 is late now, and touches nothing that those after it touched.
        let plan = migrator.plan_up(UpTarget::Steps(1)).await.unwrap();
        assert_eq!(plan.actions[0].comes_before, ["0003_c", "0004_d"]);
        assert_eq!(applied(&migrator, UpTarget::Steps(1)).await, ["0002_b"]);
        assert_eq!(applied(&migrator, UpTarget::Steps(5)).await, ["0005_e"]);
        assert_eq!(migrator.status().await.unwrap().applied.len(), 5);
    }

    async fn ids_are_accepted_as_unique_prefixes(db: Database) {
        let migrator = migrator(&db, &fork());
        assert_eq!(migrator.resolve("0004").await.unwrap(), "0004_d");
        assert_eq!(migrator.resolve("0002_b").await.unwrap(), "0002_b");
        says(&migrator.resolve("000").await.unwrap_err(), 2, &["000 is ambiguous: it matches 0001_a, 0002_b, 0003_c, 0004_d, 0005_e", "nothing was changed"]);
        says(&migrator.resolve("0004_x").await.unwrap_err(), 2, &["no migration matches 0004_x; did you mean 0004_d?", "nothing was changed", "`field-notes migrate status`"]);
        says(&migrator.resolve("").await.unwrap_err(), 2, &["no migration matches \"\";"]);
        for target in ["9", "00"] {
            let error = refused(&db, &migrator, UpTarget::To(target.into())).await;
            assert!(matches!(error, Error::UnknownId { .. } | Error::Ambiguous { .. }), "{error}");
        }
        // What only the ledger knows can be looked at, and not gone to.
        let later = doc! { "_id": "0009_later", "status": "applied", "fence": 1_i64 };
        db.collection("_migrations").insert_one(later).await.unwrap();
        assert_eq!(migrator.resolve("0009").await.unwrap(), "0009_later");
        says(&refused(&db, &migrator, UpTarget::To("0009".into())).await, 2, &["no migration matches 0009"]);
    }

    async fn several_heads_block_up_but_not_status(db: Database) {
        let toys = &fork()[..4];
        let forked = migrator(&db, toys);
        assert_eq!(forked.heads(), ["0002_b", "0004_d"]);
        says(&refused(&db, &forked, UpMode::Start).await, 7, &["the graph has several heads: 0002_b, 0004_d", "nothing was changed", "`field-notes migrate merge`"]);
        says(&refused(&db, &forked, UpTarget::Steps(1)).await, 7, &["0002_b, 0004_d"]);
        says(&forked.verify().await.unwrap_err(), 7, &["`field-notes migrate merge`"]);
        assert_eq!(forked.status().await.unwrap().pending.len(), 4);
        assert_eq!(applied(&forked, UpTarget::To("0002".into())).await, ["0001_a", "0002_b"]);
        assert_eq!(migrator(&db, &fork()).heads(), ["0005_e"]);
    }

    async fn context_selects_the_migrations_that_run(db: Database) {
        let toys = [
            toy("0001_a", &[], vec![Action::Insert("things", "a")]),
            toy("0002_demo", &["0001_a"], vec![Action::Insert("things", "demo")]).with_meta(|meta| meta.contexts(&["demo", "test"])),
            toy("0003_c", &["0001_a"], vec![Action::Insert("things", "c")]),
        ];
        let plain = within(&db, &toys, &[]);
        says(&refused(&db, &plain, UpTarget::To("0002".into())).await, 2, &["0002_demo only runs in the contexts demo, test", "this run has none", "--to 0002_demo --context demo"]);
        let plan = plain.plan_up(UpMode::Start).await.unwrap();
        assert_eq!((plan.actions.len(), &plan.not_in_context[..]), (2, &["0002_demo".to_owned()][..]));
        assert_eq!(applied(&plain, UpMode::Start).await, ["0001_a", "0003_c"]);
        plain.verify().await.unwrap();
        let status = plain.status().await.unwrap();
        assert_eq!((status.pending.len(), status.not_in_context[0].id.as_str()), (0, "0002_demo"));

        let demo = within(&db, &toys, &["prod", "demo"]);
        assert_eq!(demo.status().await.unwrap().pending[0].id, "0002_demo");
        // In the order of all it comes before 0003, and neither says what it touches.
        assert!(matches!(demo.up(UpMode::Start).await.unwrap_err(), Error::OutOfOrder { .. }));
        let toys = toys.map(|toy| toy.with_meta(Meta::allow_out_of_order));
        assert_eq!(applied(&within(&db, &toys, &["demo"]), UpMode::Start).await, ["0002_demo"]);
        // Applied, it is known wherever one looks from.
        assert_eq!(within(&db, &toys, &[]).status().await.unwrap().applied.len(), 3);
    }

    async fn out_of_order_migration_must_be_independent(db: Database) {
        let late = |change: fn(Meta) -> Meta| {
            let mut toys = fork();
            toys[1] = toys[1].clone().with_meta(change);
            toys
        };
        migrator(&db, &fork()).up(UpTarget::To("0004".into())).await.unwrap();
        let silent = migrator(&db, &late(|meta| meta.touches(&[])));
        says(&refused(&db, &silent, UpMode::Start).await, 7, &["0002_b comes before 0003_c, which is applied", "not both declare what they touch", "nothing was changed", "declare that 0002_b depends on 0003_c", "`field-notes migrate down`"]);
        let sharing = migrator(&db, &late(|meta| meta.touches(&["bs", "ds"])));
        says(&refused(&db, &sharing, UpMode::Operator).await, 7, &["0002_b comes before 0004_d", "both touch ds"]);
        // Alone it may do it all the same.
        let allowed = migrator(&db, &late(|meta| meta.touches(&["ds"]).allow_out_of_order()));
        assert_eq!(applied(&allowed, UpMode::Start).await, ["0002_b", "0005_e"]);
    }

    async fn older_program_runs_on_a_newer_ledger_unless_it_breaks_older(db: Database) {
        let old = fork();
        let mut new = fork();
        new.push(toy("0006_f", &["0005_e"], vec![Action::Insert("things", "f")]));
        migrator(&db, &new).up(UpMode::Start).await.unwrap();
        let report = migrator(&db, &old).up(UpMode::Start).await.unwrap();
        assert_eq!((report.unknown, report.already_applied), (vec!["0006_f".to_owned()], 5));
        migrator(&db, &old).verify().await.unwrap();

        for (id, change) in [("0007_g", Meta::breaks_older as fn(Meta) -> Meta), ("0008_h", |meta| meta.phase(migrator::Phase::Contract))] {
            let parent = new.last().unwrap().clone();
            let parent: &'static str = parent.meta().id;
            new.push(toy(id, Box::leak(Box::new([parent])), vec![]).with_meta(change));
            migrator(&db, &new).up(UpMode::Start).await.unwrap();
            let older = migrator(&db, &old);
            let error = refused(&db, &older, UpMode::Start).await;
            says(&error, 6, &["this program is older than the database", id, "nothing was changed", "run a program that knows"]);
            says(&older.verify().await.unwrap_err(), 6, &[id]);
            // Looking goes on.
            assert!(older.status().await.unwrap().unknown.iter().any(|e| e.id == id));
        }
        // Once a program that knows them has rolled them back, they no longer prevent a run.
        let newer = migrator(&db, &new);
        newer.down(migrator::DownTarget::To("0006".into())).await.unwrap();
        migrator(&db, &old).up(UpMode::Start).await.unwrap();
    }

    async fn strict_run_treats_warnings_as_failures(db: Database) {
        let toys = [toy("0001_a", &[], vec![Action::Insert("things", "a"), Action::Warn("one was odd")])];
        let error = migrator(&db, &toys).up(UpRequest { strict: true, ..UpMode::Operator.into() }).await.unwrap_err();
        says(&error, 1, &["0001_a failed", "warnings are failures in this run: one was odd", "step 0 (things): 1 inserted"]);
        assert_eq!(entry(&db, "0001_a").await.get_str("status").unwrap(), "failed");
        let found = [toy("0001_a", &[], vec![Action::Insert("things", "a")]).finds("too few")];
        let error = migrator(&db, &found).up(UpRequest { strict: true, ..UpMode::Operator.into() }).await.unwrap_err();
        says(&error, 1, &["too few"]);
        let report = migrator(&db, &found).up(UpMode::Operator).await.unwrap();
        assert_eq!(report.applied[0].warnings, ["too few"]);
        assert_eq!(content(&db).await["things"].len(), 1);
    }

    async fn ledger_in_a_newer_format_is_refused(db: Database) {
        let migrator = migrator(&db, &fork());
        let later = doc! { "_id": "0001_a", "status": "applied", "fence": 1_i64, "format": 9 };
        db.collection("_migrations").insert_one(later).await.unwrap();
        let error = refused(&db, &migrator, UpMode::Start).await;
        says(&error, 4, &["_migrations", "0001_a", "format 9", "nothing was changed", "run the program that wrote it"]);
        assert_eq!(migrator.status().await.unwrap_err().exit_code(), 4);
    }

    async fn missing_variables_are_checked_for_the_target_only(db: Database) {
        let toys = [
            toy("0001_a", &[], vec![]),
            crate::toys::toy_with_variables("0002_b", &["0001_a"], &["ONE"], vec![]),
        ];
        let migrator = migrator(&db, &toys);
        let missing = migrator.missing_env(UpMode::Operator).await.unwrap();
        assert_eq!((missing[0].variable.as_str(), missing[0].migration.as_str()), ("ONE", "0002_b"));
        assert_eq!(migrator.up(UpMode::Operator).await.unwrap_err().exit_code(), 2);
        assert_eq!(applied(&migrator, UpTarget::To("0001".into())).await, ["0001_a"]);
        assert_eq!(log(&db).await.len(), 2);
        assert_eq!(all(&db, "_migrations").await.len(), 1);
    }
}

#[test]
fn a_dependency_that_is_run_in_fewer_contexts_is_no_graph() {
    let toys = [
        toy("0001_a", &[], vec![]).with_meta(|meta| meta.contexts(&["demo"])),
        toy("0002_b", &["0001_a"], vec![]),
    ];
    let error =
        Graph::new(toys.into_iter().map(|toy| Box::new(toy) as Box<dyn Migration>).collect()).unwrap_err();
    assert!(matches!(error, GraphError::Context { .. }), "{error}");
    assert_eq!(Error::from(error).exit_code(), 7);
}
