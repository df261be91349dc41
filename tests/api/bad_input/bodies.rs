use axum::body::Body;
use docstore::Database;
use futures_util::stream;
use serde_json::{Value, json};

use super::{content, ways};
use crate::support::App;

const DEPTH: usize = 10_000;
const TOO_MANY: usize = 2 << 20;

/// Bodies that are no JSON objects, with the location and type of the error.
fn wrong() -> Vec<(Vec<u8>, Value, &'static str)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let deep = |open: &str, close: &str| (open.repeat(DEPTH) + &close.repeat(DEPTH)).into_bytes();
    vec![
        (text(""), json!(["body"]), "missing"),
        (text(" \r\n\t"), json!(["body"]), "missing"),
        (text("null"), json!(["body"]), "missing"),
        (text("[]"), json!(["body"]), "model_attributes_type"),
        (text("[{\"title\": \"A\"}]"), json!(["body"]), "model_attributes_type"),
        (text("\"title\""), json!(["body"]), "model_attributes_type"),
        (text("5"), json!(["body"]), "model_attributes_type"),
        (text("true"), json!(["body"]), "model_attributes_type"),
        (text("{\"title\": }"), json!(["body", 10]), "json_invalid"),
        (text("{\"title\": \"A\",}"), json!(["body", 14]), "json_invalid"),
        (text("{\"title\": \"A\"} {}"), json!(["body", 15]), "json_invalid"),
        (text("{title: 1}"), json!(["body", 1]), "json_invalid"),
        (text("{'title': 1}"), json!(["body", 1]), "json_invalid"),
        (text("{\"title\": \"A\nB\"}"), json!(["body", 12]), "json_invalid"),
        (text("{\"sort_order\": NaN}"), json!(["body", 15]), "json_invalid"),
        (text("{\"sort_order\": Infinity}"), json!(["body", 15]), "json_invalid"),
        (text("{\"sort_order\": 0x10}"), json!(["body", 16]), "json_invalid"),
        (text("{\"sort_order\": 1e400}"), json!(["body", 19]), "json_invalid"),
        (text("\u{feff}"), json!(["body"]), "missing"),
        (text("\u{feff}\u{feff}{}"), json!(["body", 0]), "json_invalid"),
        (b"{\"title\": \"\xff\xfe\"}".to_vec(), json!(["body", 11]), "json_invalid"),
        (b"{\"title\": \"\xc0\xaf\"}".to_vec(), json!(["body", 11]), "json_invalid"),
        (b"{\"title\": \"\xed\xa0\x80\"}".to_vec(), json!(["body", 11]), "json_invalid"),
        (b"{\0\"title\": 1}".to_vec(), json!(["body", 1]), "json_invalid"),
        // Halves of pairs of surrogates: the first, the second, both in the wrong order.
        (text("{\"title\": \"\\ud800\"}"), json!(["body", 17]), "json_invalid"),
        (text("{\"title\": \"\\udc00\"}"), json!(["body", 16]), "json_invalid"),
        (text("{\"title\": \"\\udc00\\ud800\"}"), json!(["body", 16]), "json_invalid"),
        (deep("[", "]"), json!(["body", 127]), "json_invalid"),
        (deep("{\"a\":", "}"), json!(["body", 635]), "json_invalid"),
        (
            format!("{{\"title\": {}1{}}}", "[".repeat(DEPTH), "]".repeat(DEPTH)).into_bytes(),
            json!(["body", 136]),
            "json_invalid",
        ),
    ]
}

testkit::stores! {
    async fn what_is_no_object_is_422_with_its_place(db: Database) {
        let app = App::on(&db).await;
        let ways = ways(&app).await;
        let before = content(&db).await;
        for way in &ways {
            for (body, loc, kind) in wrong() {
                let shown = String::from_utf8_lossy(&body[..body.len().min(30)]).into_owned();
                let errors = way.send(&app, &[], body).await.errors();
                assert_eq!(errors, [(loc, kind.to_owned())], "{}: {shown}", way.name());
            }
        }
        assert_eq!(content(&db).await, before);
        // It was nothing but the bodies.
        for way in &ways {
            let marked = format!("\u{feff}{}", way.good);
            assert_eq!(way.send(&app, &[], marked).await.status, way.success, "a byte order mark: {}", way.name());
            assert_eq!(way.send(&app, &[], way.good.to_string()).await.status, way.success, "{}", way.name());
        }
    }

    async fn more_than_a_mebibyte_is_413(db: Database) {
        let app = App::on(&db).await;
        let ways = ways(&app).await;
        let before = content(&db).await;
        for way in &ways {
            let name = way.name();
            let long = way.with(way.title, json!("a".repeat(TOO_MANY))).to_string();
            let big = way.send(&app, &[], long.clone()).await;
            assert_eq!((big.status.as_u16(), big.header("content-type")), (413, "application/json"), "{name}");
            assert!(big.json()["detail"].as_str().unwrap().contains("1 MiB"), "{name}");
            // Rejected before it arrives if its length is announced; otherwise while it arrives in chunks.
            let announced = [("content-length", "1048577")];
            assert_eq!(way.send(&app, &announced, "{}").await.status, 413, "{name}");
            let pieces = long.into_bytes().chunks(64 << 10).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>();
            let pieces = Body::from_stream(stream::iter(pieces));
            assert_eq!(way.send(&app, &[], pieces).await.status, 413, "{name}");
        }
        assert_eq!(content(&db).await, before);
        // Up to there it is read, and judged.
        for way in &ways {
            let mut body = way.good.to_string().into_bytes();
            body.resize(1 << 20, b' ');
            assert_eq!(way.send(&app, &[], body).await.status, way.success, "{}", way.name());
        }
    }

    async fn a_body_that_breaks_off_is_400(db: Database) {
        let app = App::on(&db).await;
        let ways = ways(&app).await;
        let before = content(&db).await;
        for way in &ways {
            let broken = [Ok(way.good.to_string()), Err(std::io::Error::other("the client is gone"))];
            let answer = way.send(&app, &[], Body::from_stream(stream::iter(broken))).await;
            assert_eq!(answer.status, 400, "{}", way.name());
            assert!(!String::from_utf8_lossy(&answer.bytes).contains("the client is gone"), "{}", way.name());
        }
        assert_eq!(content(&db).await, before);
    }

    async fn other_types_and_encodings_than_plain_json_are_415(db: Database) {
        let app = App::on(&db).await;
        let ways = ways(&app).await;
        let before = content(&db).await;
        for way in &ways {
            for form in [
                "application/x-www-form-urlencoded",
                "Application/X-WWW-Form-URLencoded; charset=utf-8",
                "multipart/form-data; boundary=x",
                "text/plain", "text/plain;charset=UTF-8", "application/xml", "nonsense",
            ] {
                let answer = way.send(&app, &[("content-type", form)], way.good.to_string()).await;
                assert_eq!(answer.status, 415, "{}: {form}", way.name());
            }
        }
        for way in &ways {
            for encoding in ["gzip", "br", "deflate", "identity, gzip"] {
                let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
                let answer = way.send(&app, &headers, way.good.to_string()).await;
                assert_eq!((answer.status.as_u16(), answer.header("accept-encoding")), (415, "identity"), "{}", way.name());
            }
        }
        assert_eq!(content(&db).await, before);
        for way in &ways {
            for kind in ["application/json", "application/json; charset=utf-16", "application/merge-patch+json"] {
                let answer = way.send(&app, &[("content-type", kind)], way.good.to_string()).await;
                assert_eq!(answer.status, way.success, "{}: {kind}", way.name());
            }
        }
    }
}
