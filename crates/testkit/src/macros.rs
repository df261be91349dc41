/// Opens the `docstore::Database` of a [`Target`](crate::Target).
///
/// The paths resolve in the calling crate, because this crate does not depend on the one that it tests.
#[macro_export]
macro_rules! open {
    ($target:expr) => {
        $crate::open_location!($target.location())
    };
}

/// Opens the `docstore::Database` of a [`StoreLocation`](crate::StoreLocation).
#[macro_export]
macro_rules! open_location {
    ($location:expr) => {
        match $location {
            $crate::StoreLocation::Embedded(path) => {
                ::docstore::sqlite::open(::docstore::sqlite::Options { path }).await
            }
            $crate::StoreLocation::Mongo { uri, database } => {
                ::docstore::mongo::connect(::docstore::mongo::Options {
                    uri,
                    database: Some(database),
                    app_name: "tests".into(),
                })
                .await
            }
        }
        .expect("failed to open the store of a test")
    };
}

/// Declares tests that run on both engines: each `async fn name(db: Database)` becomes `name::embedded` and
/// `name::mongo`.
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

/// Like [`stores!`], for tests that open the store themselves: `async fn name(target: Arc<Target>)`.
#[macro_export]
macro_rules! targets {
    ($($(#[$meta:meta])* async fn $name:ident($target:ident : $kind:ty) $body:block)+) => {$(
        // Marks the whole module as test code for lints.
        #[cfg(test)]
        mod $name {
            #[allow(unused_imports, clippy::allow_attributes, reason = "a body may use nothing from its module")]
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

/// Returns all documents of a `docstore::Database`, by collection, ordered by id.
#[macro_export]
macro_rules! dump {
    ($db:expr) => {{
        let mut all = ::std::collections::BTreeMap::<String, Vec<::docstore::bson::Document>>::new();
        for name in $db.collection_names().await.expect("failed to list the collections") {
            let by_id = ::docstore::Sort::ascending(::docstore::Field::ID);
            let read = ::docstore::Find::new(::docstore::Filter::All).sort(by_id);
            let cursor = $db.collection(&name).find(read).await.expect("failed to read a collection");
            all.insert(name, cursor.documents().await.expect("failed to decode the documents"));
        }
        all
    }};
}
