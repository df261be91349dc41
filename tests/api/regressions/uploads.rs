use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::Method;
use docstore::Database;
use futures_util::stream;
use serde_json::json;

use crate::uploads::{Site, TYPE, part, refusal};

testkit::stores! {
    async fn regression_10_uploads_are_judged_while_they_arrive(db: Database) {
        let site = Site::on(&db).await;
        let read = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&read);
        let head = part("files", "a.jpg", b"<html>");
        let endless = stream::unfold(0, move |n| {
            counted.store(n, Ordering::Relaxed);
            let piece = if n == 0 { head.clone() } else { vec![b' '; 4096] };
            std::future::ready(Some((Ok::<_, std::io::Error>(piece), n + 1)))
        });
        let body = Body::from_stream(endless);
        let answer = site.app.write("author", Method::POST, "/uploads", &[("content-type", TYPE)], body).await;
        assert_eq!(refusal(&answer), (415, json!("UPLOAD_INVALID_FORMAT")));
        assert!(read.load(Ordering::Relaxed) < 5, "{} pieces were read", read.load(Ordering::Relaxed));
    }
}
