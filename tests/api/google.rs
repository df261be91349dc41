use std::time::Duration;

use axum::http::Method;
use chrono::TimeDelta;
use docstore::Database;
use futures_util::future::join_all;
use serde_json::json;
use wiremock::matchers::{header, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::google_double::{app, asked, but, google, info, me, said, users};
use crate::support::{App, NOW_MS};

testkit::stores! {
    async fn a_good_token_signs_in(db: Database) {
        let google = MockServer::start().await;
        Mock::given(path("/oauth2/v3/tokeninfo")).and(query_param("access_token", "ya29.good"))
            .respond_with(said(&info())).expect(1).mount(&google).await;
        Mock::given(path("/oauth2/v2/userinfo")).and(header("authorization", "Bearer ya29.good"))
            .respond_with(said(&json!({ "name": "Jo March", "picture": "https://example.com/jo.png" })))
            .expect(1).mount(&google).await;
        let app = app(&db, &google).await;
        let answer = me(&app, "ya29.good").await;
        assert_eq!(answer.status, 200);
        let users = users(&db).await;
        assert_eq!(users.len(), 1);
        let user = &users[0];
        let id = user.get_object_id("_id").unwrap().to_hex();
        let expected = json!({ "id": id, "email": "jo@example.com", "name": "Jo March", "role": "commenter" });
        assert_eq!(answer.json(), expected);
        assert_eq!(user.get_str("avatar_url").unwrap(), "https://example.com/jo.png");
        let account = bson::doc! { "provider": "google", "provider_user_id": "42", "email": "jo@example.com" };
        assert_eq!(user.get_array("auth_providers").unwrap(), &[account.into()]);
        assert_eq!(me(&app, "ya29.good").await.json(), expected);
    }

    async fn a_user_keeps_their_name_and_collects_accounts(db: Database) {
        let first = google(said(&info())).await;
        assert_eq!(me(&app(&db, &first).await, "one").await.json()["name"], "Jo March");
        let second = MockServer::start().await;
        Mock::given(path("/oauth2/v3/tokeninfo")).respond_with(said(&but("sub", "43"))).mount(&second).await;
        Mock::given(path("/oauth2/v2/userinfo"))
            .respond_with(said(&json!({ "name": "Josephine", "picture": null }))).mount(&second).await;
        let again = app(&db, &second).await;
        again.clock.advance(TimeDelta::seconds(5));
        assert_eq!(me(&again, "two").await.json()["name"], "Jo March");
        let users = users(&db).await;
        assert_eq!((users.len(), users[0].get_array("auth_providers").unwrap().len()), (1, 2));
        assert_eq!(users[0].get_datetime("createdDate").unwrap().timestamp_millis(), NOW_MS);
        assert_eq!(users[0].get_datetime("updatedDate").unwrap().timestamp_millis(), NOW_MS + 5000);
        // The same account again is not a third one.
        again.clock.advance(TimeDelta::seconds(301));
        assert_eq!(me(&again, "two").await.status, 200);
        let user = &self::users(&db).await[0];
        assert_eq!(user.get_array("auth_providers").unwrap().len(), 2);
    }

    async fn without_userinfo_the_name_is_the_first_part_of_the_address(db: Database) {
        let google = MockServer::start().await;
        Mock::given(path("/oauth2/v3/tokeninfo")).respond_with(said(&info())).mount(&google).await;
        Mock::given(path("/oauth2/v2/userinfo")).respond_with(ResponseTemplate::new(500)).mount(&google).await;
        let answer = me(&app(&db, &google).await, "good").await;
        assert_eq!((answer.status.as_u16(), &answer.json()["name"]), (200, &json!("jo")));
    }

    async fn that_google_does_not_answer_is_not_the_fault_of_the_token(db: Database) {
        let broken = [
            ResponseTemplate::new(500),
            ResponseTemplate::new(429),
            ResponseTemplate::new(302).insert_header("location", "https://example.com/"),
            ResponseTemplate::new(200).set_body_string("<html>"),
            said(&info()).set_delay(Duration::from_mins(10)),
        ];
        for token_info in broken {
            let google = google(token_info).await;
            let base = google.uri();
            let app = App::on_with(&db, |config| {
                config.google.base = base;
                config.google.audiences = vec!["ours".into()];
                config.google.deadline = Duration::from_millis(300);
            })
            .await;
            let answer = me(&app, "good").await;
            assert_eq!(answer.status, 503);
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
            // Soon after, Google is asked again.
            google.reset().await;
            Mock::given(path("/oauth2/v3/tokeninfo")).respond_with(said(&info())).mount(&google).await;
            app.clock.advance(TimeDelta::seconds(1));
            assert_eq!(me(&app, "good").await.status, 200);
        }
    }

    async fn public_reads_are_served_while_google_is_down(db: Database) {
        let google = google(ResponseTemplate::new(500)).await;
        let app = app(&db, &google).await;
        let with_token = async |path: &str| app.send(Method::GET, path, &[("authorization", "Bearer unknown")]).await;
        for path in ["/sections", "/sections/slug/blog", "/stories", "/projects", "/navlinks", "/stories/slug/nothing"] {
            let (named, anonymous) = (with_token(path).await, app.get(path).await);
            assert_eq!(named.status, anonymous.status, "{path}");
            if named.status == 200 {
                assert_eq!(named.json(), anonymous.json(), "{path}");
            }
        }
        // What only a known caller may see is not left out silently.
        for path in ["/me", "/stories?include_drafts=true", "/navlinks?include_unpublished=true", "/sections?include_unpublished=true"] {
            assert_eq!(with_token(path).await.status, 503, "{path}");
        }
    }

    async fn a_slow_answer_is_waited_for_and_asked_for_once(db: Database) {
        let google = google(said(&info()).set_delay(Duration::from_millis(200))).await;
        let app = app(&db, &google).await;
        let answers = join_all((0..50).map(|_| me(&app, "cold"))).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(asked(&google, "/oauth2/v3/tokeninfo").await, 1);
        assert_eq!(asked(&google, "/oauth2/v2/userinfo").await, 1);
    }

    async fn many_tokens_of_one_new_user_make_one_user(db: Database) {
        let google = google(said(&info())).await;
        let app = app(&db, &google).await;
        let tokens: Vec<_> = (0..50).map(|n| format!("token{n}")).collect();
        let answers = join_all(tokens.iter().map(|token| me(&app, token))).await;
        let first = answers[0].json();
        assert_eq!(first["email"], "jo@example.com");
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.json() == first));
        let users = users(&db).await;
        assert_eq!((users.len(), users[0].get_array("auth_providers").unwrap().len()), (1, 1));
    }

    async fn without_a_client_id_google_is_not_asked(db: Database) {
        let google = google(said(&info())).await;
        let base = google.uri();
        let app = App::on_with(&db, |config| config.google.base = base).await;
        assert_eq!(me(&app, "good").await.status, 401);
        assert_eq!(google.received_requests().await.unwrap().len(), 0);
        assert_eq!(app.get_as("author", "/me").await.status, 200);
    }
}
