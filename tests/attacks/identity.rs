use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use docstore::Database;
use serde_json::{Value, json};
use wiremock::matchers::{path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::counting::Counting;
use crate::google_double::{app, asked, but, google, info, me, said, users};
use crate::site::{comparable, item};
use crate::support::{App, NOW_MS};
use crate::writing::ANONYMOUS;

const TOKEN_INFO: &str = "/oauth2/v3/tokeninfo";

/// Returns a token of three parts, as an issuer would sign it.
fn jwt(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    format!(
        "{}.{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes()),
        encode(signature)
    )
}

testkit::stores! {
    async fn t13_claims_of_a_token_are_never_believed(db: Database) {
        // There is no key and no signature here: the issuer alone says what a token is worth.
        let google = google(ResponseTemplate::new(400).set_body_json(json!({ "error": "invalid_token" }))).await;
        let app = app(&db, &google).await;
        let now = NOW_MS / 1000;
        let claims = json!({
            "iss": "https://accounts.google.com", "aud": "ours", "sub": "42", "email": "admin@example.com", "email_verified": true,
            "role": "admin", "scope": "openid https://www.googleapis.com/auth/userinfo.email", "iat": now, "exp": now + 3600,
        });
        let with = |name: &str, value: Value| { let mut claims = claims.clone(); claims[name] = value; claims };
        let mut tokens = Vec::new();
        for header in [
            json!({ "alg": "none" }), json!({ "alg": "None", "typ": "JWT" }), json!({ "alg": "HS256", "typ": "JWT" }), json!({ "alg": "RS256", "kid": "../../dev/null" }),
            json!({ "alg": "RS256", "jku": "https://evil.example/jwks" }), json!({ "alg": "RS256", "x5u": "https://evil.example/x5u" }),
            json!({ "alg": "RS256", "jwk": { "kty": "RSA", "n": "AQAB", "e": "AQAB" } }), json!({ "alg": "ES256", "kid": "x' OR 1=1" }),
        ] {
            tokens.push(jwt(&header, &claims, b""));
            tokens.push(jwt(&header, &claims, b"signature"));
        }
        for changed in [
            with("aud", json!(["ours", "theirs"])), with("exp", json!("never")), with("exp", json!((now + 3600).to_string())), with("nbf", json!("x")),
            with("iat", json!(now + 86_400)), with("exp", Value::Null), with("iss", json!("https://evil.example")),
        ] {
            tokens.push(jwt(&json!({ "alg": "RS256" }), &changed, b"signature"));
        }
        for (n, token) in tokens.iter().enumerate() {
            assert_eq!(me(&app, token).await.status, 401, "{token}");
            assert_eq!(asked(&google, TOKEN_INFO).await, n + 1, "{token}");
        }
        // What no issuer could have made is not sent to one.
        for token in ["a b", "x".repeat(5_000).as_str()] {
            assert_eq!(me(&app, token).await.status, 401);
        }
        assert_eq!(asked(&google, TOKEN_INFO).await, tokens.len());
        assert_eq!(users(&db).await.len(), 0);
    }

    async fn t13_malformed_answers_about_a_token_admit_no_one(db: Database) {
        for (name, value) in [
            ("aud", json!(["ours"])), ("aud", json!({ "$ne": null })), ("exp", json!("never")), ("exp", json!(true)), ("exp", json!(1e300)), ("exp", json!("")),
            ("exp", Value::Null), ("email", json!(["jo@example.com"])), ("email", json!({})), ("email_verified", json!(["true"])), ("scope", json!([])), ("sub", json!(42)),
        ] {
            let google = google(said(&but(name, value.clone()))).await;
            let status = me(&app(&db, &google).await, "token").await.status.as_u16();
            assert!(matches!(status, 401 | 403 | 503), "{name} {value}: {status}");
        }
        assert_eq!(users(&db).await.len(), 0);
    }

    async fn t15_valid_tokens_of_others_may_not_write(db: Database) {
        let story = item("stories", "t", true).to_string();
        let bearer = [("authorization", "Bearer token")];
        for (info, status) in [(but("aud", "elsewhere"), 401), (info(), 403)] {
            let google = google(said(&info)).await;
            let app = app(&db, &google).await;
            let answer = app.write(ANONYMOUS, axum::http::Method::POST, "/stories", &bearer, story.clone()).await;
            assert_eq!(answer.status, status, "{info}");
            assert_eq!(app.anonymous("/stories").await.json()["total"], 0);
        }
    }

    async fn t16_unverified_addresses_open_no_account(db: Database) {
        // The address is the administrator's, and the account is that of a known user.
        let first = google(said(&info())).await;
        let known = me(&app(&db, &first).await, "token").await.json();
        for verified in [json!("false"), json!(false), Value::Null, json!(0), json!(1), json!("yes"), json!("")] {
            for (email, account) in [("admin@example.com", "666"), ("jo@example.com", "42"), ("admin@example.com", "42")] {
                let mut info = but("email", email);
                info["sub"] = json!(account);
                info["email_verified"] = verified.clone();
                let google = google(said(&info)).await;
                assert_eq!(me(&app(&db, &google).await, "token").await.status, 401, "{email} {account} {verified}");
            }
        }
        // A verified account stays one user, whatever its address.
        let renamed = google(said(&but("email", "renamed@example.com"))).await;
        let again = me(&app(&db, &renamed).await, "token").await.json();
        assert_eq!((&again["id"], &again["role"], users(&db).await.len()), (&known["id"], &json!("commenter"), 1));
    }

    async fn t17_revoked_and_demoted_callers_are_refused(db: Database) {
        // Google accepts the token once and refuses it from then on.
        let google = MockServer::start().await;
        Mock::given(path(TOKEN_INFO)).respond_with(said(&but("exp", NOW_MS / 1000 + 86_400))).up_to_n_times(1).mount(&google).await;
        Mock::given(path(TOKEN_INFO)).respond_with(ResponseTemplate::new(400)).mount(&google).await;
        let served = app(&db, &google).await;
        assert_eq!(me(&served, "revoked").await.status, 200);
        served.clock.advance(TimeDelta::seconds(299));
        assert_eq!(me(&served, "revoked").await.status, 200, "verified within five minutes");
        served.clock.advance(TimeDelta::seconds(2));
        assert_eq!(me(&served, "revoked").await.status, 401);
        // A role is that of the configuration, at each request, whatever the store says of the user.
        let author = App::on(&db).await;
        let created = author.create("author", "/stories", &item("stories", "t", true)).await;
        let promote = docstore::Update::new().set("role", "admin");
        db.collection("users").update_many(&docstore::Filter::All, &promote).await.unwrap();
        assert_eq!(author.read("author", "/trash?type=stories").await.status, 403);
        let promoted = App::on_with(&db, |config| config.author_emails = vec!["dev-commenter@dev.example.com".to_owned()]).await;
        assert_eq!(promoted.post("commenter", "/stories", &item("stories", "u", true)).await.status, 201);
        assert_eq!(author.read("commenter", "/me").await.json()["role"], "commenter");
        assert_eq!(author.post("commenter", "/stories", &item("stories", "u", true)).await.status, 403);
        let disabled = App::on_with(&db, |config| config.allow_dev_auth = false).await;
        let own = crate::site::path("stories", &created);
        for who in ["admin", "author", "commenter"] {
            assert_eq!(disabled.put(who, &own, &item("stories", "v", true)).await.status, 401, "{who}");
        }
    }

    async fn t27_wrong_tokens_cannot_be_told_apart(db: Database) {
        let google = MockServer::start().await;
        let known = |token: &'static str, info: Value| {
            let mock = Mock::given(path(TOKEN_INFO)).and(query_param("access_token", token)).respond_with(said(&info));
            let google = &google;
            async move { mock.mount(google).await }
        };
        known("good", info()).await;
        known("elsewhere", but("aud", "elsewhere")).await;
        known("expired", but("exp", NOW_MS / 1000)).await;
        known("unverified", but("email_verified", "false")).await;
        Mock::given(path(TOKEN_INFO)).respond_with(ResponseTemplate::new(400)).mount(&google).await;
        let (counted, counts) = Counting::around(&db);
        let app = app(&counted, &google).await;
        assert_eq!(me(&app, "good").await.status, 200);
        counts.take_kinds();
        let writes = counts.writes();
        // Once unknown, once known to be wrong: the same response and no work of the store.
        let mut bodies = Vec::new();
        for token in ["elsewhere", "expired", "unverified", "unknown", "goo", "goodx", "dev-mock-admim", "dev-mock-admin2", "dev-mock-owner"] {
            for request in ["first", "second"] {
                let before = asked(&google, TOKEN_INFO).await;
                let answer = me(&app, token).await;
                assert_eq!(answer.status, 401, "{token}");
                bodies.push(comparable(&answer));
                assert_eq!((counts.take_kinds().len(), counts.writes()), (0, writes), "{token}");
                let sent = asked(&google, TOKEN_INFO).await - before;
                assert_eq!(sent, usize::from(request == "first"), "{token} {request}");
            }
        }
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
    }
}
