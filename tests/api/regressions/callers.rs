use axum::http::Method;
use chrono::TimeDelta;
use docstore::Database;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::google_double::{app, asked, but, google, me, said, users};
use crate::limits::{ALL_WRITES, WRITES, delete, from};
use crate::support::{App, NOW_MS};

testkit::stores! {
    async fn regression_03_tokens_that_are_not_for_us_are_refused(db: Database) {
        for (info, status) in [
            (but("aud", "elsewhere"), 401),
            (but("exp", (NOW_MS / 1000).to_string()), 401),
            (but("scope", "openid"), 403),
            (but("email_verified", "false"), 401),
            (but("email_verified", Value::Null), 401),
            (but("email", "jo at example.com"), 401),
            (but("email", "jo@mail.test"), 401),
            (but("email", Value::Null), 401),
        ] {
            let google = google(said(&info)).await;
            let app = app(&db, &google).await;
            let answer = me(&app, "hunter2").await;
            assert_eq!(answer.status, status, "{info}");
            assert!(!String::from_utf8_lossy(&answer.bytes).contains("hunter2"));
            assert_eq!(asked(&google, "/oauth2/v2/userinfo").await, 0, "{info}");
            // What is open to everybody stays so.
            let public = app.send(Method::GET, "/sections", &[("authorization", "Bearer hunter2")]).await;
            assert_eq!(public.status, 200);
        }
        let google = google(ResponseTemplate::new(400).set_body_json(json!({ "error": "invalid_token" }))).await;
        let app = app(&db, &google).await;
        assert_eq!(me(&app, "bad").await.status, 401);
        assert_eq!(me(&app, "bad").await.status, 401);
        assert_eq!(asked(&google, "/oauth2/v3/tokeninfo").await, 1, "a refusal is remembered for a while");
        assert_eq!(users(&db).await.len(), 0);
    }

    async fn regression_09_a_token_is_not_believed_beyond_its_end(db: Database) {
        let google = google(said(&but("exp", NOW_MS / 1000 + 60))).await;
        let app = app(&db, &google).await;
        assert_eq!(me(&app, "short").await.status, 200);
        app.clock.advance(TimeDelta::seconds(59));
        assert_eq!(me(&app, "short").await.status, 200);
        assert_eq!(asked(&google, "/oauth2/v3/tokeninfo").await, 1);
        app.clock.advance(TimeDelta::seconds(2));
        assert_eq!(me(&app, "short").await.status, 401);
    }

    async fn regression_08_a_client_cannot_avoid_a_limit_by_varying_the_address(db: Database) {
        let app = App::on(&db).await;
        for n in 0..ALL_WRITES {
            let answer = delete(&app, "192.0.2.1:1000", n, &[]).await;
            assert_eq!(answer.status, 401);
            let left = (WRITES - 1).min(ALL_WRITES - 1 - n);
            assert!(answer.header("ratelimit").contains(&format!(";r={left};")), "{n}: {}", answer.header("ratelimit"));
        }
        app.clock.advance(TimeDelta::seconds(20));
        let refused = delete(&app, "192.0.2.1:2000", ALL_WRITES, &[("origin", "https://ghostmonk.com")]).await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "40"));
        assert_eq!(refused.header("ratelimit"), "\"all-writes\";r=0;t=40");
        assert_eq!(refused.header("access-control-allow-origin"), "https://ghostmonk.com");
        let body = refused.json();
        assert_eq!(body["error"], "Rate limit exceeded: 300 per 1 minute");
        assert_eq!(body["detail"], body["error"]);
        // Others and reading are not concerned; later it is allowed again.
        assert_eq!(delete(&app, "192.0.2.2:1000", 0, &[]).await.status, 401);
        assert_eq!(from(&app, "192.0.2.1:1000", "PUT", "/stories/1", &[]).await.status, 429);
        assert_eq!(from(&app, "192.0.2.1:1000", "GET", "/stories", &[]).await.status, 200);
        app.clock.advance(TimeDelta::seconds(40));
        assert_eq!(delete(&app, "192.0.2.1:1000", 0, &[]).await.status, 401);
    }
}
