//! The checks of the fuzz targets of bodies and query strings.

use std::fmt::Debug;

use axum::body::Body;
use axum::http::Uri;
use futures_util::stream;

use super::json::{self, JsonBody};
use super::{FromFields, MAX_SAFE_INTEGER, multipart, query};
use crate::domain::{PageRequest, Position};
use crate::http::cache::canonical_url;
use crate::http::error::{FieldError, LocPart};
use crate::http::{ApiError, Route, routes};

/// The maximum size of the response to an invalid request: for each of a hundred errors a name and a text.
const MAX_RESPONSE: usize = 64 * 1024;

/// Reads a body. An invalid one gets a response of limited size with the locations of its errors.
pub(crate) fn read_body<T: JsonBody>(body: &[u8]) -> Option<T> {
    match json::decode(body) {
        Ok(value) => Some(value),
        Err(ApiError::Validation(errors)) => {
            assert_response("body", errors, body.len());
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// Reads the query string of a GET route. Its canonical form is canonical, and is read alike.
pub(crate) fn read_list_query<T: FromFields + PartialEq + Debug>(path: &str, text: &str) -> Option<T> {
    if let Ok(uri) = format!("{path}?{text}").parse::<Uri>()
        && let Some(canonical) = canonical_url(&uri, routes())
    {
        assert_eq!(canonical_url(&canonical, routes()), None, "{canonical}");
        // A fragment is not sent.
        let sent = query::read::<T>(uri.query().unwrap_or_default());
        assert_eq!(query::read::<T>(canonical.query().unwrap_or_default()), sent, "{uri} became {canonical}");
    }
    read_query(text)
}

/// Reads a query string. Names of operators are refused, and an invalid one gets a response of limited size.
pub(crate) fn read_query<T: FromFields>(text: &str) -> Option<T> {
    match query::read::<T>(text) {
        Ok(parameters) => {
            let has_operator =
                url::form_urlencoded::parse(text.as_bytes()).any(|(name, _)| Route::is_operator(&name));
            assert!(!has_operator, "{text}");
            Some(parameters)
        }
        Err(errors) => {
            assert_response("query", errors, 0);
            None
        }
    }
}

/// Reads a body as an upload, in pieces of two sizes. Both give the same, and what is accepted is within its limits.
pub fn multipart_bodies(data: &[u8]) {
    const MAX_VIDEO: u64 = 4096;
    // Shorter than a head may be: a longer one is refused while it arrives in pieces.
    const MAX_BODY: usize = 8192;
    let (first, body) = data.split_first().unwrap_or((&0, &[]));
    let body = &body[..body.len().min(MAX_BODY)];
    let read = |size: usize| {
        let pieces: Vec<_> = body.chunks(size).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
        let body = Body::from_stream(stream::iter(pieces));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(multipart::read(body, "multipart/form-data; boundary=x", MAX_VIDEO))
    };
    let (cut, whole) = (read(usize::from(*first) + 1), read(usize::MAX));
    match (&cut, &whole) {
        (Ok(cut), Ok(whole)) => {
            assert!((1..=20).contains(&whole.files.len()), "{whole:?}");
            assert_eq!(cut.filter, whole.filter);
            let facts = |form: &multipart::UploadForm| {
                let facts =
                    form.files.iter().map(|file| (file.size, file.sha256, file.format, file.name.clone()));
                facts.collect::<Vec<_>>()
            };
            assert_eq!(facts(cut), facts(whole));
            for file in &whole.files {
                assert!(file.size > 0 && file.size <= body.len() as u64, "{file:?}");
                assert!(!file.format.is_video() || file.size <= MAX_VIDEO, "{file:?}");
                assert!(!file.name.contains(['/', '\\', '\0']), "{file:?}");
            }
        }
        (Err(cut), Err(whole)) => {
            let (cut, whole) = (cut.parts().status, whole.parts().status);
            assert!(cut.is_client_error() && whole.is_client_error(), "{cut} and {whole}");
        }
        _ => panic!("{cut:?} in pieces, {whole:?} as a whole"),
    }
}

/// Asserts the bounds of a page.
pub(crate) fn assert_page(page: &PageRequest) {
    assert!((1..=100).contains(&page.limit), "{page:?}");
    if let Position::Offset(offset) = page.position {
        assert!(offset <= MAX_SAFE_INTEGER.unsigned_abs(), "{page:?}");
    }
}

fn assert_response(part: &str, errors: Vec<FieldError>, length: usize) {
    assert!(!errors.is_empty());
    for FieldError { loc, msg, kind } in &errors {
        assert_eq!(loc.first(), Some(&LocPart::from(part)), "{loc:?}");
        assert!(!msg.is_empty() && !kind.is_empty(), "{loc:?}");
        let is_within = |part: &LocPart| match part {
            LocPart::Name(name) => name.chars().count() <= 64,
            LocPart::Index(index) => *index <= length,
        };
        assert!(loc.iter().all(is_within), "{loc:?} of {length} bytes");
    }
    let body = serde_json::to_vec(&ApiError::Validation(errors).body("/path", "id"))
        .expect("an error can be serialized");
    assert!(body.len() <= MAX_RESPONSE, "{} bytes", body.len());
}
