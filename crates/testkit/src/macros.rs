/// Opens the `docstore::Database` of a [`Target`](crate::Target).
///
/// The paths are those of the caller's dependencies: this crate does not depend on the one that it helps to test.
#[macro_export]
macro_rules! open {
    ($target:expr) => {
        match &*$target {
            $crate::Target::Embedded { path, .. } => {
                ::docstore::sqlite::open(::docstore::sqlite::Options { path: path.clone() }).await
            }
            $crate::Target::Mongo { uri, database } => {
                ::docstore::mongo::connect(::docstore::mongo::Options {
                    uri: uri.clone(),
                    database: Some(database.clone()),
                    app_name: "tests".into(),
                })
                .await
            }
        }
        .expect("the store of a test opens")
    };
}

/// Tests that hold on both engines: each `async fn name(db: Database)` becomes `name::embedded` and `name::mongo`.
#[macro_export]
macro_rules! stores {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident : $kind:ty) $body:block)+) => {
        $crate::targets! {$(
            $(#[$meta])*
            async fn $name(target: ::std::sync::Arc<$crate::Target>) {
                let store = $crate::open!(target);
                let $db: $kind = ::std::clone::Clone::clone(&store);
                $body
                store.close().await;
            }
        )+}
    };
}

/// As [`stores!`], for tests that open the store themselves: `async fn name(target: Arc<Target>)`.
#[macro_export]
macro_rules! targets {
    ($($(#[$meta:meta])* async fn $name:ident($target:ident : $kind:ty) $body:block)+) => {$(
        // So marked, lints know the whole of it for a test.
        #[cfg(test)]
        mod $name {
            #[allow(unused_imports, clippy::allow_attributes, reason = "a body may need nothing of its module")]
            use super::*;

            $(#[$meta])*
            async fn body($target: $kind) $body

            #[test]
            fn embedded() {
                $crate::on($crate::Engine::Embedded, body);
            }

            #[test]
            fn mongo() {
                $crate::on($crate::Engine::Mongo, body);
            }
        }
    )+};
}

/// Everything in a `docstore::Database`: the documents of each collection in the order of their ids.
#[macro_export]
macro_rules! dump {
    ($db:expr) => {{
        let mut all = ::std::collections::BTreeMap::<String, Vec<::docstore::bson::Document>>::new();
        for name in $db.collection_names().await.expect("collections are listed") {
            let by_id = ::docstore::Sort::ascending(::docstore::Field::ID);
            let read = ::docstore::Find::new(::docstore::Filter::All).sort(by_id);
            let cursor = $db.collection(&name).find(read).await.expect("a collection is read");
            all.insert(name, cursor.documents().await.expect("documents are decoded"));
        }
        all
    }};
}
