use bson::{DateTime, Document, doc, oid::ObjectId};
use chrono::TimeDelta;
use docstore::{Database, Filter};

use crate::google_double::{app, but, google, me, said, users};
use crate::support::{App, NOW_MS};

/// A user as the original stored it.
async fn store_user(db: &Database, email: &str, account: Option<&str>) -> String {
    let id = ObjectId::new();
    let at = DateTime::from_millis(NOW_MS);
    let accounts: Vec<Document> = account
        .map(|id| doc! { "provider": "google", "provider_user_id": id, "email": email })
        .into_iter()
        .collect();
    let user = doc! {
        "_id": id, "email": email, "name": "Stored", "avatar_url": null, "role": "commenter",
        "auth_providers": accounts, "createdDate": at, "updatedDate": at,
    };
    db.collection("users").insert_one(user).await.expect("a user is inserted");
    id.to_hex()
}

/// Signs in with a token of this address, and returns the id.
async fn sign_in(db: &Database, email: &str, account: &str) -> String {
    let mut info = but("email", email);
    info["sub"] = account.into();
    let google = google(said(&info)).await;
    let answer = me(&app(db, &google).await, "token").await;
    assert_eq!(answer.status, 200, "{email}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

testkit::stores! {
    async fn an_account_is_one_user_whatever_its_address(db: Database) {
        let stored = store_user(&db, "Jo@Example.com", Some("42")).await;
        for email in ["Jo@Example.com", "jo@example.com", "JO@EXAMPLE.COM", "jo.march@example.com", "Jo.March@example.com"] {
            assert_eq!(sign_in(&db, email, "42").await, stored, "{email}");
        }
        let users = users(&db).await;
        assert_eq!(users.len(), 1);
        // The present address is found by another account, too, and the former one is free.
        assert_eq!(users[0].get_str("email").unwrap(), "jo.march@example.com");
        assert_eq!(sign_in(&db, "JO.MARCH@example.com", "43").await, stored);
        assert_ne!(sign_in(&db, "jo@example.com", "44").await, stored);
    }

    async fn addresses_are_one_whatever_their_case(db: Database) {
        let stored = store_user(&db, "Jo@Example.com", None).await;
        assert_eq!(sign_in(&db, "jo@example.COM", "42").await, stored);
        let other = sign_in(&db, "New@Example.com", "50").await;
        assert_eq!(sign_in(&db, "nEW@example.com", "51").await, other);
        assert_eq!(users(&db).await.len(), 2);
        // Of two that are stored, the one in the given case counts, then the one in lower case. They are not merged.
        let upper = store_user(&db, "AMY@example.com", None).await;
        let lower = store_user(&db, "amy@example.com", None).await;
        assert_eq!(sign_in(&db, "AMY@example.com", "60").await, upper);
        assert_eq!(sign_in(&db, "Amy@example.com", "61").await, lower);
        assert_eq!(users(&db).await.len(), 4);
    }

    async fn an_address_of_another_user_is_not_taken_over(db: Database) {
        let stored = store_user(&db, "old@example.com", Some("42")).await;
        let other = store_user(&db, "new@example.com", Some("43")).await;
        assert_eq!(sign_in(&db, "new@example.com", "42").await, stored);
        assert_eq!(sign_in(&db, "new@example.com", "43").await, other);
        assert_eq!(db.collection("users").count(&Filter::eq("email", "old@example.com")).await.unwrap(), 1);
    }

    async fn configured_addresses_are_one_whatever_their_case(db: Database) {
        let google = google(said(&but("email", "boss@example.com"))).await;
        let base = google.uri();
        let boss = App::on_with(&db, |config| {
            config.admin_email = "Boss@Example.com".into();
            config.google.base = base.clone();
            config.google.audiences = vec!["ours".into()];
        });
        let answer = me(&boss.await, "token").await.json();
        assert_eq!(answer["role"], "admin");
        // It is the administrator that the migration made.
        assert_eq!(db.collection("users").count(&Filter::All).await.unwrap(), 1);
        let author = App::on_with(&db, |config| {
            config.author_emails = vec!["BOSS@example.com".into()];
            config.google.base = base.clone();
            config.google.audiences = vec!["ours".into()];
        });
        assert_eq!(me(&author.await, "token").await.json()["role"], "author");
    }

    async fn migrations_find_the_administrator_whatever_the_case(db: Database) {
        let stored = store_user(&db, "boss@example.com", Some("42")).await;
        let page = doc! { "page_type": "about", "title": "About", "content": "c", "is_published": true };
        db.collection("pages").insert_one(page).await.unwrap();
        App::on_with(&db, |config| config.admin_email = "Boss@Example.com".into()).await;
        assert_eq!(db.collection("users").count(&Filter::All).await.unwrap(), 1);
        assert_eq!(db.collection("users").count(&Filter::eq("role", "admin")).await.unwrap(), 1);
        assert_eq!(db.collection("pages").count(&Filter::eq("user_id", stored)).await.unwrap(), 1);
    }

    async fn a_new_user_reads_what_is_public_without_being_stored(db: Database) {
        let google = google(said(&but("sub", "42"))).await;
        let app = app(&db, &google).await;
        let bearer = [("authorization", "Bearer token")];
        for path in ["/sections/slug/blog", "/stories?include_drafts=true", "/sections"] {
            assert_eq!(app.send(axum::http::Method::GET, path, &bearer).await.status, 200, "{path}");
        }
        assert_eq!(users(&db).await.len(), 0);
        assert_eq!(me(&app, "token").await.status, 200);
        assert_eq!(users(&db).await.len(), 1);
        app.clock.advance(TimeDelta::seconds(1));
        assert_eq!(app.send(axum::http::Method::GET, "/sections/slug/blog", &bearer).await.status, 200);
    }
}
