//! Tests that need real MongoDB servers: topologies, network failures, rejected credentials.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use docstore::bson::{Document, doc, rawdoc};
use docstore::mongo::{Options, as_mongo, connect};
use docstore::{
    Change, Database, Ensured, Error, Filter, Find, Index, LeaseRequest, Result, Rights, Topology, Update,
    Write,
};
use futures_util::future::join_all;
use testkit::proxy::{Mode, Proxy};
use testkit::{Credentials, Mongod, ReplicaSet, ServerOptions, with_server_binary};

const POLL: Duration = Duration::from_millis(50);

fn options(uri: &str) -> Options {
    Options { uri: uri.into(), database: Some("notes".into()), app_name: "tests".into() }
}

async fn open(uri: &str) -> Database {
    connect(options(uri)).await.expect("a connection")
}

async fn refused(uri: &str) -> Error {
    connect(options(uri)).await.err().expect("no connection")
}

fn on_a_server<F>(body: impl FnOnce(PathBuf) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    with_server_binary(body);
}

fn lease(owner: &str) -> LeaseRequest {
    LeaseRequest {
        collection: "_lock".into(),
        name: "one".into(),
        owner: owner.into(),
        ttl: Duration::from_mins(1),
    }
}

#[test]
fn standalone_server_supports_all_but_transactions() {
    on_a_server(|binary| async move {
        let server = Mongod::standalone(&binary).await.unwrap();
        let db = open(&server.uri()).await;
        let facts = db.facts().await.unwrap();
        assert_eq!(facts.topology, Topology::Standalone);
        assert!(!facts.transactions && !facts.precise_changes);
        assert!(matches!(db.begin().await.err().unwrap(), Error::Unsupported(_)));
        let mut feed = db.watch(POLL).await.unwrap();
        assert_eq!(feed.next().await.unwrap(), Some(Change::Unknown));
        assert_eq!(feed.next().await.unwrap(), Some(Change::Unknown));
        let held = db.acquire_lease(lease("a")).await.unwrap().expect("free");
        assert!(db.acquire_lease(lease("b")).await.unwrap().is_err());
        assert!(held.renew().await.unwrap());
        let c = db.collection("things");
        let done = c
            .bulk_write(vec![
                Write::Insert(doc! { "_id": 1 }),
                Write::UpdateMany { filter: Filter::All, update: Update::new().set("a", 1) },
                Write::DeleteMany(Filter::eq("a", 1)),
            ])
            .await
            .unwrap();
        assert_eq!((done.matched, done.modified), (1, 1));
        assert_eq!(c.count(&Filter::All).await.unwrap(), 0);
        db.ensure_index("things", &Index::on(["a"]).unique()).await.unwrap();
        c.insert_one(doc! { "a": 1 }).await.unwrap();
        assert_eq!(c.insert_one(doc! { "a": 1 }).await.unwrap_err().duplicate_index(), Some("a_1"));
    });
}

#[test]
fn credentials_are_checked_and_never_shown() {
    on_a_server(|binary| async move {
        let user = Credentials { name: "gh0st".into(), password: "p@ss:w/rd".into() };
        let server = Mongod::with_user(&binary, user).await.unwrap();
        let host = server.host();
        let db = open(&format!("mongodb://gh0st:p%40ss%3Aw%2Frd@{host}/?authSource=admin")).await;
        db.collection("things").insert_one(doc! { "_id": 1 }).await.unwrap();
        for uri in [
            format!("mongodb://gh0st:wr0ng@{host}/?authSource=admin"),
            format!("mongodb://gh0st:wr0ng@{host}/?authSource=admin&minPoolSize=0"),
            format!("mongodb://n0body:wr0ng@{host}/?authSource=admin"),
            format!("mongodb://gh0st:p%40ss%3Aw%2Frd@{host}/?authSource=elsewhere"),
        ] {
            let error = refused(&uri).await;
            assert!(matches!(error, Error::Unauthorized(_)), "{error:?}");
            let text = format!("{error} {error:?}");
            assert!(text.contains(&format!("{host}/notes")), "{text}");
            for secret in ["gh0st", "n0body", "wr0ng", "p@ss", "p%40ss"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
        // Without credentials the connection succeeds and operations are rejected.
        let anonymous = open(&server.uri()).await;
        let error = anonymous.collection("things").count(&Filter::All).await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized(_)), "{error:?}");
    });
}

#[test]
fn failed_connection_says_what_may_be_wrong_with_the_string() {
    on_a_server(|binary| async move {
        let server = Mongod::replica_set(&binary).await.unwrap();
        let host = server.host();
        let user = Credentials { name: "root".into(), password: "root".into() };
        let secured = Mongod::with_user(&binary, user).await.unwrap();
        let secured_host = secured.host();
        let mut tests = Vec::new();
        for (uri, hint) in [
            (format!("mongodb://{host}/?replicaSet=other"), "replicaSet=rs0"),
            (
                format!("mongodb://root:root@{secured_host}/?authSource=admin&replicaSet=rs0"),
                "remove replicaSet",
            ),
            (format!("mongodb://{host}/?tls=true"), "remove tls=true"),
            (
                format!("mongodb://root:root@{secured_host}/notes"),
                "in the database notes: if it was created in another one, add authSource",
            ),
        ] {
            let separator = if uri.contains('?') { '&' } else { '?' };
            let uri = format!("{uri}{separator}serverSelectionTimeoutMS=1500");
            tests.push(async move {
                let error = refused(&uri).await.to_string();
                assert!(error.contains(hint), "{uri}: {error}");
            });
        }
        join_all(tests).await;
    });
}

/// Runs `openssl` in a folder.
fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let output = output.expect("the command openssl");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Creates an authority (`ca.pem`), and three certificates of a server, each in one file with its key: signed by the
/// authority (`signed.pem`), self-signed as an authority (`authority.pem`), and self-signed as none (`self.pem`).
fn create_certificates(folder: &Path) {
    let subject = "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1";
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    let end_entity = "-addext basicConstraints=critical,CA:FALSE";
    openssl(folder, &format!("req -x509 {key} -subj /CN=authority -keyout ca.key -out ca.pem"));
    openssl(
        folder,
        &format!(
            "req -x509 {key} {subject} {end_entity} -CA ca.pem -CAkey ca.key -keyout signed.key -out signed.crt"
        ),
    );
    openssl(folder, &format!("req -x509 {key} {subject} -keyout authority.key -out authority.crt"));
    openssl(folder, &format!("req -x509 {key} {subject} {end_entity} -keyout self.key -out self.crt"));
    for name in ["signed", "authority", "self"] {
        let part =
            |suffix: &str| std::fs::read(folder.join(format!("{name}.{suffix}"))).expect("a file of openssl");
        std::fs::write(folder.join(format!("{name}.pem")), [part("crt"), part("key")].concat())
            .expect("a writable folder");
    }
}

#[test]
fn tls_connection_checks_the_certificate_of_the_server() {
    on_a_server(|binary| async move {
        let folder = tempfile::tempdir().unwrap();
        create_certificates(folder.path());
        let start = async |certificate: &str| {
            let certificate = Some(folder.path().join(certificate));
            Mongod::start(&binary, ServerOptions { certificate, ..ServerOptions::default() }).await.unwrap()
        };
        let uri = |server: &Mongod, options: &str| {
            format!("mongodb://{}/?serverSelectionTimeoutMS=1500{options}", server.host())
        };
        let ca_file = |name: &str| format!("&tls=true&tlsCAFile={}", folder.path().join(name).display());
        let signed = start("signed.pem").await;
        let own = start("self.pem").await;
        let authority = start("authority.pem").await;
        for accepted in [
            uri(&signed, &ca_file("ca.pem")),
            uri(&signed, &ca_file("ca.pem").replace("tls=true", "ssl=TRUE")),
            uri(&own, &ca_file("self.crt")),
            uri(&signed, "&tls=true&tlsAllowInvalidCertificates=true"),
        ] {
            let db = open(&accepted).await;
            db.collection("things").insert_one(doc! { "a": 1 }).await.unwrap();
        }
        let other_name = uri(&signed, &ca_file("ca.pem")).replace("127.0.0.1", "localhost");
        let mut tests = Vec::new();
        for (refused_uri, hint) in [
            (uri(&signed, "&tls=true"), "set tlsCAFile"),
            (uri(&signed, &ca_file("self.crt")), "set tlsCAFile"),
            (uri(&own, "&tls=true"), "set tlsCAFile"),
            (uri(&authority, &ca_file("authority.crt")), "presents the certificate of an authority"),
            (other_name, "is for other host names"),
            (uri(&signed, ""), "add tls=true"),
        ] {
            tests.push(async move {
                let error = refused(&refused_uri).await;
                assert!(matches!(error, Error::Unavailable(_)), "{refused_uri}: {error:?}");
                let text = error.to_string();
                assert!(text.contains(hint) && !text.contains("tlsAllow"), "{refused_uri}: {text}");
            });
        }
        join_all(tests).await;
    });
}

#[test]
fn role_read_write_restores_and_missing_privileges_are_named() {
    on_a_server(|binary| async move {
        let root = Credentials { name: "root".into(), password: "root".into() };
        let server = Mongod::with_user(&binary, root).await.unwrap();
        let host = server.host();
        let admin = open(&format!("mongodb://root:root@{host}/?authSource=admin")).await;
        let server = as_mongo(&admin).unwrap();
        let user = doc! { "createUser": "w", "pwd": "w", "roles": ["readWrite"] };
        server.run_command(user).await.unwrap();
        let validator = doc! { "title": { "$type": "string" } };
        server.run_command(doc! { "create": "validated", "validator": validator }).await.unwrap();

        let db = open(&format!("mongodb://w:w@{host}/?authSource=notes")).await;
        assert_eq!(db.rights().await.unwrap(), Rights::Lacking(Vec::new()));
        db.insert_raw("things", vec![rawdoc! { "_id": 1 }]).await.unwrap();
        db.insert_raw("validated", vec![rawdoc! { "_id": 1, "title": "a" }]).await.unwrap();
        let error = db.insert_raw("validated", vec![rawdoc! { "_id": 2 }]).await.unwrap_err().to_string();
        for part in ["bypassDocumentValidation", "database notes", "validated"] {
            assert!(error.contains(part), "{error}");
        }
        let scratch = db.scratch("test").await.unwrap();
        let things = scratch.database().collection("things");
        let error = things.insert_one(doc! { "_id": 1 }).await.unwrap_err().to_string();
        assert!(error.contains("the privilege insert on the database notes__"), "{error}");
    });
}

#[tokio::test]
async fn unreachable_server_is_unavailable() {
    // A port without a listener: it was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = refused(&format!("mongodb://u5er:s3cret@{free}/?serverSelectionTimeoutMS=300")).await;
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(
        text.contains(&format!("{free}/notes")) && !text.contains("s3cret") && !text.contains("u5er"),
        "{text}"
    );
}

#[tokio::test]
async fn silent_server_is_unavailable() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("mongodb://{}/?serverSelectionTimeoutMS=300", silent.local_addr().unwrap());
    let error = refused(&uri).await;
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn database_name_is_validated() {
    for name in ["", "a b", "a.b", "a/b", "$a", &"x".repeat(64)] {
        let mut options = options("mongodb://127.0.0.1:1");
        options.database = Some(name.into());
        assert!(matches!(connect(options).await.err().unwrap(), Error::Invalid(_)), "{name}");
    }
    let mut options = options("mongodb://127.0.0.1:1");
    options.database = None;
    assert!(matches!(connect(options).await.err().unwrap(), Error::Invalid(_)));
}

/// Makes the server's next `times` commands of these names fail as described by `how`.
async fn fail(db: &Database, times: i32, commands: &[&str], how: Document) {
    let mut data = doc! { "failCommands": commands };
    data.extend(how);
    let command = doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
    let client = as_mongo(db).expect("a driver's handle").client().clone();
    client.database("admin").run_command(command).await.expect("a fail point");
}

#[test]
fn single_reads_and_writes_are_retried() {
    on_a_server(|binary| async move {
        let server = Mongod::replica_set(&binary).await.unwrap();
        let db = open(&server.uri()).await;
        let c = db.collection("things");
        for how in [doc! { "closeConnection": true }, doc! { "errorCode": 6 }, doc! { "errorCode": 89 }] {
            fail(&db, 1, &["find"], how.clone()).await;
            c.find(Find::new(Filter::All)).await.unwrap().documents().await.unwrap();
            fail(&db, 1, &["aggregate"], how).await;
            c.count(&Filter::All).await.unwrap();
        }
        let labelled = doc! { "errorCode": 89, "errorLabels": ["RetryableWriteError"] };
        for how in [doc! { "closeConnection": true }, labelled] {
            fail(&db, 1, &["insert", "update", "delete", "findAndModify"], how.clone()).await;
            c.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap();
            fail(&db, 1, &["update"], how.clone()).await;
            c.update_one(&Filter::id(1), &Update::new().inc("n", 1)).await.unwrap();
            fail(&db, 1, &["findAndModify"], how.clone()).await;
            let found = c.find_one_and_update(Filter::id(1), Update::new().inc("n", 1)).await.unwrap();
            assert_eq!(found, Some(rawdoc! { "_id": 1, "n": 2 }));
            fail(&db, 1, &["delete"], how).await;
            assert_eq!(c.delete_one(&Filter::id(1)).await.unwrap(), 1);
        }
        fail(&db, 2, &["find"], doc! { "closeConnection": true }).await;
        let error = c.find(Find::new(Filter::All)).await.err().unwrap();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        // Updates in a batch are not retried, because their outcome is unknown.
        fail(&db, 1, &["update"], doc! { "closeConnection": true }).await;
        let write = Write::UpdateMany { filter: Filter::All, update: Update::new().set("a", 1) };
        let error = c.bulk_write(vec![write]).await.unwrap_err();
        assert!(matches!(error, Error::Unconfirmed(_)), "{error:?}");
    });
}

#[test]
fn lease_is_acquired_although_the_first_reply_was_lost() {
    on_a_server(|binary| async move {
        let server = Mongod::replica_set(&binary).await.unwrap();
        let proxy = Proxy::for_members(&[server.host()]).unwrap().remove(0);
        let db = open(&format!("mongodb://{}/?replicaSet=rs0", proxy.host())).await;
        let acquire = async |owner: &str| {
            // The driver repeats the command as soon as it can.
            let resets = proxy.resets();
            proxy.set(Mode::CutReplies);
            let lose_one = async {
                while proxy.resets() == resets {
                    tokio::time::sleep(POLL / 10).await;
                }
                proxy.set(Mode::Pass);
            };
            tokio::join!(db.acquire_lease(lease(owner)), lose_one).0.unwrap()
        };
        let held = acquire("a").await.expect("free");
        assert!(held.renew().await.unwrap());
        assert_eq!(acquire("b").await.map(drop).unwrap_err().owner, "a");
    });
}

#[test]
fn server_errors_are_mapped() {
    on_a_server(|binary| async move {
        let server = Mongod::replica_set(&binary).await.unwrap();
        let db = open(&format!("{}&heartbeatFrequencyMS=500", server.uri())).await;
        let c = db.collection("things");
        c.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap();
        let update = Update::new().inc("n", 1);
        let mut transient = Vec::new();
        for code in [112, 24, 251] {
            let t = db.begin().await.unwrap();
            let inside = t.collection("things");
            inside.count(&Filter::All).await.unwrap();
            fail(
                &db,
                1,
                &["update"],
                doc! { "errorCode": code, "errorLabels": ["TransientTransactionError"] },
            )
            .await;
            transient.push(inside.update_one(&Filter::id(1), &update).await.unwrap_err());
        }
        assert!(
            matches!(
                &transient[..],
                [Error::WriteConflict, Error::WriteConflict, Error::TransactionEnded(_)]
            ),
            "{transient:?}"
        );
        let map = async |code: i32| {
            fail(&db, 1, &["update"], doc! { "errorCode": code }).await;
            c.update_many(&Filter::All, &update).await.unwrap_err()
        };
        assert!(matches!(map(13).await, Error::Unauthorized(_)));
        assert!(matches!(map(50).await, Error::Unconfirmed(_)));
        assert!(matches!(map(10334).await, Error::TooLarge { .. }));
        assert!(matches!(map(8).await, Error::Engine { .. }));
        let unconfirmed =
            doc! { "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" } };
        fail(&db, 1, &["update"], unconfirmed).await;
        let error = c.update_many(&Filter::All, &update).await.unwrap_err();
        assert!(matches!(error, Error::Unconfirmed(_)), "{error:?}");
    });
}

#[test]
fn commit_is_retried_until_the_outcome_is_known() {
    on_a_server(|binary| async move {
        let server = Mongod::replica_set(&binary).await.unwrap();
        let db = open(&server.uri()).await;
        let t = db.begin().await.unwrap();
        t.collection("things").insert_one(doc! { "_id": 1 }).await.unwrap();
        // The driver tries twice each time, so three failures reach the engine's own loop.
        fail(&db, 3, &["commitTransaction"], doc! { "closeConnection": true }).await;
        t.commit().await.unwrap();
        assert_eq!(db.collection("things").count(&Filter::All).await.unwrap(), 1);
    });
}

#[test]
fn unsupported_indexes_are_listed_and_equal_none() {
    on_a_server(|binary| async move {
        let server = Mongod::standalone(&binary).await.unwrap();
        let db = open(&server.uri()).await;
        let keys = [
            doc! { "key": { "a": "hashed" }, "name": "h" },
            doc! { "key": { "a": "text", "b": 1 }, "name": "t" },
            doc! { "key": { "when": 1 }, "name": "ttl", "expireAfterSeconds": 60 },
            doc! { "key": { "c": 1 }, "name": "col", "collation": { "locale": "en" } },
            doc! { "key": { "$**": 1 }, "name": "wild" },
            doc! { "key": { "d": 1 }, "name": "typed", "partialFilterExpression": { "d": { "$type": "string" } } },
        ];
        let command = doc! { "createIndexes": "things", "indexes": keys.to_vec() };
        as_mongo(&db).unwrap().run_command(command).await.unwrap();
        let listed = db.list_indexes("things").await.unwrap();
        assert_eq!(
            listed.iter().map(Index::name).collect::<Vec<_>>(),
            ["h", "t", "ttl", "col", "wild", "typed"]
        );
        db.ensure_index("things", &Index::on(["a"])).await.unwrap();
        db.ensure_index("things", &Index::on(["c"])).await.unwrap();
        let error = db.ensure_index("things", &Index::on(["when"])).await.unwrap_err();
        assert!(
            matches!(&error, Error::IndexConflict { .. }) && error.to_string().contains("expireAfterSeconds"),
            "{error}"
        );
    });
}

#[test]
fn default_collation_of_a_collection_is_no_index_conflict() {
    on_a_server(|binary| async move {
        let server = Mongod::standalone(&binary).await.unwrap();
        let db = open(&server.uri()).await;
        let mongo = as_mongo(&db).unwrap();
        let collation = doc! { "locale": "en", "strength": 2 };
        mongo.run_command(doc! { "create": "things", "collation": &collation }).await.unwrap();
        let slug = Index::on(["slug"]).unique();
        assert_eq!(db.ensure_index("things", &slug).await.unwrap(), Ensured::Created);
        assert_eq!(db.ensure_index("things", &slug).await.unwrap(), Ensured::Existed);
        let things = db.collection("things");
        // A declared index compares bytes.
        things.insert_many(vec![doc! { "slug": "a" }, doc! { "slug": "A" }]).await.unwrap();
        // So do all operations, which can therefore use it.
        let a = Filter::eq("slug", "a");
        assert_eq!(
            db.explain("things", &Find::new(a.clone())).await.unwrap().index.as_deref(),
            Some("slug_1")
        );
        assert_eq!(things.find(Find::new(a.clone())).await.unwrap().documents().await.unwrap().len(), 1);
        assert_eq!(things.count(&a).await.unwrap(), 1);
        let mark = Update::new().set("marked", true);
        assert_eq!(things.update_many(&a, &mark).await.unwrap().matched, 1);
        let bulk = vec![
            Write::UpdateMany { filter: a.clone(), update: mark },
            Write::DeleteMany(Filter::eq("slug", "B")),
        ];
        assert_eq!(things.bulk_write(bulk).await.unwrap().matched, 1);
        assert!(things.find_one_and_update(a.clone(), Update::new().set("n", 1)).await.unwrap().is_some());
        assert_eq!(things.delete_many(&a).await.unwrap(), 1);
        db.drop_index("things", "slug_1").await.unwrap();
        things.delete_many(&Filter::All).await.unwrap();

        // An earlier version let it inherit the collation, and an operator hid it.
        let inheriting = doc! { "key": { "slug": 1 }, "name": "slug_1", "unique": true, "hidden": true };
        mongo.run_command(doc! { "createIndexes": "things", "indexes": [inheriting] }).await.unwrap();
        assert_eq!(db.ensure_index("things", &slug).await.unwrap(), Ensured::Existed);
        // Another collation is that of another index.
        let own = doc! { "key": { "title": 1 }, "name": "title_1", "collation": { "locale": "de" } };
        mongo.run_command(doc! { "createIndexes": "things", "indexes": [own] }).await.unwrap();
        let error = db.ensure_index("things", &Index::on(["title"])).await.unwrap_err().to_string();
        assert!(
            error.contains(r#"{ "key": { "title": 1 }, "name": "title_1", "collation": { "locale": "de""#),
            "{error}"
        );
    });
}

/// Retries until the failover is over. Each attempt inserts its own document, so that no write is counted twice.
async fn eventually<T, F: Future<Output = Result<T>>>(mut what: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    loop {
        match what().await {
            Ok(value) => return value,
            Err(
                error @ (Error::Unavailable(_)
                | Error::Unconfirmed(_)
                | Error::WriteConflict
                | Error::TransactionEnded(_)),
            ) => {
                assert!(tokio::time::Instant::now() < deadline, "no recovery: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn replica_set_survives_a_primary_kill() {
    on_a_server(|binary| async move {
        let mut set = ReplicaSet::with_three_nodes(&binary).await.unwrap();
        let db = open(&format!("{}&heartbeatFrequencyMS=500", set.uri())).await;
        assert_eq!(db.facts().await.unwrap().topology, Topology::ReplicaSet("rs0".into()));
        let c = db.collection("things");
        let mut feed = db.watch(POLL).await.unwrap();
        let primary = set.primary(&[0, 1, 2]).await.unwrap();
        let mut acknowledged = Vec::new();
        for n in 0..60 {
            if n == 30 {
                set.nodes[primary].kill().unwrap();
            }
            let mut tries = 0;
            acknowledged.push(
                eventually(|| {
                    tries += 1;
                    c.insert_one(doc! { "_id": format!("{n}/{tries}") })
                })
                .await,
            );
        }
        let rest: Vec<_> = (0..3).filter(|node| *node != primary).collect();
        assert_ne!(set.primary(&rest).await.unwrap(), primary);
        for id in &acknowledged {
            assert_eq!(c.count(&Filter::id(id.clone())).await.unwrap(), 1, "{id} was acknowledged");
        }
        // The feed continued across the election: every acknowledged insert is reported.
        let mut reported = Vec::new();
        while reported.last() != acknowledged.last() {
            if let Some(Change::Document { id, .. }) = feed.next().await.unwrap() {
                reported.push(id);
            }
        }
        assert!(acknowledged.iter().all(|id| reported.contains(id)), "{reported:?}");
        eventually(|| async {
            let t = db.begin().await?;
            t.collection("things").upsert_one(&Filter::id("inside"), &Update::new().set("a", 1)).await?;
            t.commit().await
        })
        .await;
        set.nodes[primary].restart().await.unwrap();
        assert_eq!(c.count(&Filter::id("inside")).await.unwrap(), 1);
    });
}

/// Starts a double of `mongos` that refuses what a sharded cluster refuses.
#[cfg(debug_assertions)]
fn mongos(server: &Mongod) -> testkit::mongos::Mongos {
    testkit::mongos::Mongos::of_a_sharded_cluster(&server.host(), docstore::mongo::command_shapes)
        .expect("a double of mongos")
}

#[cfg(debug_assertions)]
#[test]
fn mongos_has_no_lag_and_is_not_asked_for_it() {
    on_a_server(|binary| async move {
        let server = Mongod::replica_set(&binary).await.unwrap();
        let mongos = mongos(&server);
        let db = open(&mongos.uri()).await;
        let facts = db.facts().await.unwrap();
        assert_eq!(facts.topology, Topology::Sharded);
        assert!(facts.transactions && facts.precise_changes);
        assert_eq!(db.replication_lag().await.unwrap(), None);
        let mut feed = db.watch(POLL).await.unwrap();
        let transaction = db.begin().await.unwrap();
        transaction.collection("things").insert_one(doc! { "_id": 1 }).await.unwrap();
        transaction.commit().await.unwrap();
        let inserted = Change::Document { collection: "things".into(), id: 1.into(), in_transaction: true };
        assert_eq!(feed.next().await.unwrap(), Some(inserted));
        assert!(db.acquire_lease(lease("a")).await.unwrap().is_ok());
        assert!(mongos.refused().is_empty(), "{:?}", mongos.refused());
        // The double does refuse what only a replica set accepts.
        let admin = as_mongo(&db).unwrap().client().database("admin");
        assert!(admin.run_command(doc! { "replSetGetStatus": 1 }).await.is_err());
        assert_eq!(mongos.refused().len(), 1, "{:?}", mongos.refused());
    });
}
