use axum::body::Body;
use axum::http::Method;
use docstore::Database;
use field_notes::http::{Policy, routes};

use crate::site::{Site, fields, unlimited};
use crate::support::App;
use crate::visibility::content;
use crate::writing::ANONYMOUS;

/// Sends requests with all methods for a path that is no route.
pub(crate) async fn assert_no_route(app: &App, path: &str) {
    for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let answer = app.write("admin", method.clone(), path, &[], "{}").await;
        assert!(matches!(answer.status.as_u16(), 400 | 404), "{method} {path}: {}", answer.status);
    }
}

testkit::stores! {
    async fn t11_spellings_of_a_path_open_no_protected_route(db: Database) {
        let app = unlimited(&db).await;
        let site = Site::create(&app).await;
        let before = content(&db).await;
        let mut tried = 0;
        for route in routes().iter().filter(|route| route.policy != Policy::Everyone) {
            let path = site.path(route).replace("/trash", "/trash?type=stories").replace("?type=stories/", "/");
            let (plain, query) = path.split_once('?').map_or((&*path, ""), |(plain, query)| (plain, query));
            let first = &plain[..2];
            let spellings = [
                plain.to_owned(), format!("{plain}/"), format!("{plain}//"), format!("/{plain}"), format!("/.{plain}"), format!("/x/..{plain}"),
                format!("/%2e{plain}"), format!("/x/%2e%2e{plain}"), format!("{plain}/."), format!("{plain}/%2e"), format!("{plain}%2F"),
                format!("{plain};x=1"), format!("{plain}%00"), format!("{plain}%20"), format!("{plain}.json"), plain.replace('/', "//"),
                plain.replace('/', "%2F").replacen("%2F", "/", 1), plain.replace('/', "\\"), plain.to_uppercase(),
                plain.replacen(first, &format!("/%{:02x}", first.as_bytes()[1]), 1),
            ];
            for spelling in spellings.iter().filter(|spelling| spelling.parse::<axum::http::Uri>().is_ok() && spelling.starts_with('/')) {
                let target = if query.is_empty() { spelling.clone() } else { format!("{spelling}?{query}") };
                for headers in [
                    vec![], vec![("x-http-method-override", "GET")], vec![("x-original-url", "/health")], vec![("x-rewrite-url", "/health")],
                    vec![("x-forwarded-prefix", "/health")], vec![("x-forwarded-for", "127.0.0.1")], vec![("authorization", "Bearer")],
                ] {
                    tried += 1;
                    let answer = app.write(ANONYMOUS, route.method.clone(), &target, &headers, fields(route)).await;
                    let refused = matches!(answer.status.as_u16(), 307 | 400 | 401 | 404 | 405);
                    assert!(refused, "{} {target} {headers:?}: {}", route.method.as_str(), answer.status);
                }
                if route.method == Method::GET {
                    let head = app.write(ANONYMOUS, Method::HEAD, &target, &[], Body::empty()).await;
                    assert!(matches!(head.status.as_u16(), 307 | 400 | 401 | 404 | 405), "HEAD {target}: {}", head.status);
                } else {
                    // What changes something is done by no other method.
                    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PATCH] {
                        app.write(ANONYMOUS, method, &target, &[("x-http-method-override", route.method.as_str())], fields(route)).await;
                    }
                }
            }
        }
        assert!(tried > 1_000, "{tried}");
        assert_eq!(content(&db).await, before);
    }

    async fn t21_nothing_fetches_an_address_that_a_client_names(db: Database) {
        let app = unlimited(&db).await;
        for path in ["/webhooks", "/hooks", "/proxy", "/fetch", "/import", "/oembed", "/preview", "/proxy/http://169.254.169.254/"] {
            assert_no_route(&app, path).await;
        }
        // Addresses in content are stored, and nothing connects to them.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/x.png", listener.local_addr().unwrap());
        let project = serde_json::json!({
            "title": "t", "summary": "s", "content": format!("<p>a</p><img src=\"{address}\">"), "image_url": address,
            "github_url": address, "live_url": address, "is_published": true,
        });
        let created = app.create("author", "/projects", &project).await;
        assert_eq!(created["image_url"], address);
        let link = serde_json::json!({ "label": "x", "url": address });
        app.create("author", "/navlinks", &link).await;
        for list in ["/projects", "/navlinks", "/projects/slug/t"] {
            assert_eq!(app.anonymous(list).await.status, 200);
        }
        // A connection would be in the queue of the socket, which a second connection would follow.
        let ours = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_, first) = listener.accept().await.unwrap();
        assert_eq!(first, ours.local_addr().unwrap());
    }

    async fn t31_no_path_reaches_a_file(db: Database) {
        let app = unlimited(&db).await;
        for path in [
            "/docs/../../etc/passwd", "/docs/..%2f..%2fetc%2fpasswd", "/docs/%2e%2e/%2e%2e/etc/passwd", "/docs/..%5c..%5cetc%5cpasswd", "/docs//etc/passwd",
            "/docs/%2fetc%2fpasswd", "/docs/script.js%00.html", "/docs/script.js/..", "/docs/C:%5Cboot.ini", "/docs/%c0%ae%c0%ae/etc/passwd", "/docs/page.html",
            "/static/app.js", "/admin", "/admin/index.html", "/.env", "/.git/config", "/data/field-notes.db", "/field-notes.db", "/Cargo.toml", "/robots.txt",
            "/..%2f.env", "/%2e%2e/.env", "/server-status", "/wp-login.php", "/graphql", "/debug/pprof",
        ] {
            assert_no_route(&app, path).await;
        }
        // What is served beside the API has a type that a browser does not guess, and loads nothing from elsewhere.
        for path in ["/docs", "/docs/script.js", "/docs/style.css", "/openapi.json"] {
            let answer = app.anonymous(path).await;
            assert_eq!((answer.status.as_u16(), answer.header("x-content-type-options")), (200, "nosniff"), "{path}");
            let policy = answer.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("http"), "{path}: {policy}");
        }
    }

    async fn t33_operational_routes_reveal_no_secret(db: Database) {
        let secrets = ["owner-of-this@example.com", "second-author@example.com", "proxy-secret.internal", "client-id-of-google", "10.11.12.0"];
        let app = App::on_with(&db, |config| {
            config.admin_email = secrets[0].into();
            config.author_emails = vec![secrets[1].into()];
            config.google.base = format!("http://{}", secrets[2]);
            config.google.audiences = vec![secrets[3].into()];
            config.middleware.trusted_proxies = vec![format!("{}/24", secrets[4]).parse().unwrap()];
        })
        .await;
        app.read("author", "/me").await;
        let location = db.engine().location();
        for path in ["/", "/health", "/livez", "/readyz", "/readyz?verbose=true", "/warmup", "/openapi.json", "/docs", "/docs/script.js", "/nothing"] {
            let answer = app.anonymous(path).await;
            let all = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.decoded()));
            for secret in secrets.into_iter().chain([&*location, "mongodb://", ".db", "ADMIN_EMAIL=", "dev-author@"]) {
                assert!(!all.contains(secret), "{path}: {secret}");
            }
            assert_eq!((answer.header("server"), answer.header("x-powered-by")), ("", ""), "{path}");
        }
        for path in ["/metrics", "/debug", "/env", "/config", "/actuator/env", "/info", "/status", "/stats"] {
            assert_no_route(&app, path).await;
        }
    }
}
