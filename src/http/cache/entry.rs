use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use axum::http::{self, HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;

use super::encoding::{AcceptedEncodings, ContentEncoding};
use super::status::{CACHE_STATUS, CacheStatus};
use crate::http::middleware::{SAFETY, request_id};
use crate::http::respond::vary;
use crate::service::{ChangeTracker, ReadSet};

/// The caller decides what is shown, what is accepted decides the coding, and the type of an error.
pub(crate) const VARY: &[&str] = &["Authorization", "Accept", "Accept-Encoding"];

/// The same, and what browsers are told, which depends on where they come from.
const VARY_ALL: &[&str] = &["Authorization", "Accept", "Accept-Encoding", "Origin"];

const ASK_FIRST: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");

/// What an answer was made of, and when.
pub(crate) struct Validity {
    pub(crate) reads: ReadSet,
    pub(crate) made: Instant,
    pub(crate) freshness: ChangeTracker,
}

/// A rendered response: everything but what each request has of its own.
pub(crate) struct CacheEntry {
    origin: Validity,
    /// The tags of all forms, whether they are there or not, by the place of their coding; made when they are wanted.
    tags: OnceLock<[HeaderValue; 4]>,
    plain: Variant,
    /// By the place of their coding.
    coded: [Option<Variant>; 3],
    /// Which codings are being rendered, by bit.
    asked: AtomicU8,
}

/// A body in one coding, and the headers of a 200 with it. Those that are set for each request are there already, so that
/// a copy does not grow.
#[derive(Clone)]
struct Variant {
    body: Bytes,
    head: HeaderMap,
}

/// What a client can be given.
pub(crate) enum EncodingChoice {
    /// The body in this coding; another, which should be rendered, would be better.
    Now(ContentEncoding, Option<ContentEncoding>),
    /// Nothing before it is rendered in this coding.
    Later(ContentEncoding),
    /// Nothing at all.
    Nothing,
}

impl CacheEntry {
    /// Of a 200. `head` has what the handler said; `cache_control` is what others are told about keeping it.
    pub(crate) fn new(
        mut head: HeaderMap,
        body: Bytes,
        cache_control: HeaderValue,
        origin: Validity,
    ) -> Self {
        // An item has a tag of its state, which those who change it name.
        let tag = head.remove(header::ETAG).unwrap_or_else(|| tag_of(&body));
        head.remove(header::CONTENT_LENGTH);
        head.insert(header::CACHE_CONTROL, cache_control);
        head.insert(CACHE_STATUS, CacheStatus::Hit.header());
        head.insert(header::ETAG, tag);
        vary::add(&mut head, VARY_ALL);
        for (name, value) in SAFETY {
            head.entry(name).or_insert(value);
        }
        head.insert(request_id::NAME, HeaderValue::from_static("-"));
        // Room that was only needed to put it together is not kept.
        let plain = Variant { body, head: head.clone() };
        Self { origin, tags: OnceLock::new(), plain, coded: [None, None, None], asked: AtomicU8::new(0) }
    }

    /// Whether it may be served without saying more.
    pub(crate) fn is_fresh(&self) -> bool {
        self.origin.freshness.holds(&self.origin.reads, self.origin.made)
    }

    /// Whether the store gives no sign of life.
    pub(crate) fn store_is_away(&self) -> bool {
        self.origin.freshness.store_is_away()
    }

    /// Waits until the store is away, and then so long that it could have answered if it were not.
    pub(crate) async fn gives_up(&self, patience: Duration) {
        self.origin.freshness.until_away().await;
        tokio::time::sleep(patience).await;
    }

    /// Its bytes, roughly: bodies, headers, and what it takes to keep them.
    pub(crate) fn weight(&self) -> usize {
        const HEADERS: usize = 2500;
        let coded = self.coded.iter().flatten();
        HEADERS + coded.chain([&self.plain]).map(|form| form.body.len() + HEADERS).sum::<usize>()
    }

    fn form(&self, coding: ContentEncoding) -> Option<&Variant> {
        match coding {
            ContentEncoding::Identity => Some(&self.plain),
            ContentEncoding::Brotli | ContentEncoding::Zstd | ContentEncoding::Gzip => {
                self.coded[coding.index()].as_ref()
            }
        }
    }

    /// Whether a coding is there.
    pub(crate) fn has(&self, coding: ContentEncoding) -> bool {
        self.form(coding).is_some()
    }

    /// What a client that accepts this can be given.
    pub(crate) fn choose(&self, accepted: AcceptedEncodings) -> EncodingChoice {
        let Some(wanted) = accepted.best_for(self.plain.body.len()) else { return EncodingChoice::Nothing };
        let is_there = |coding: ContentEncoding| self.has(coding);
        if is_there(wanted) {
            return EncodingChoice::Now(wanted, None);
        }
        match accepted.best(is_there) {
            Some(other) => EncodingChoice::Now(other, Some(wanted)),
            None => EncodingChoice::Later(wanted),
        }
    }

    /// Whether a coding is to be rendered now: the first who asks hears yes.
    pub(crate) fn claim(&self, coding: ContentEncoding) -> bool {
        let bit = 1 << coding.index();
        self.asked.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// It is not rendered after all; the next who asks hears yes.
    pub(crate) fn unclaim(&self, coding: ContentEncoding) {
        self.asked.fetch_and(!(1 << coding.index()), Ordering::Relaxed);
    }

    /// The same with one coding more. Blocks.
    pub(crate) fn with(&self, coding: ContentEncoding) -> std::io::Result<Self> {
        let Validity { reads, made, freshness } = &self.origin;
        let mut coded = self.coded.clone();
        if let Some(form) = coded.get_mut(coding.index()) {
            let mut head = self.plain.head.clone();
            head.insert(header::ETAG, self.tags()[coding.index()].clone());
            if let Some(name) = coding.header() {
                head.insert(header::CONTENT_ENCODING, name);
            }
            // Without the room that it grew in.
            *form = Some(Variant { body: coding.apply(&self.plain.body)?, head: head.clone() });
        }
        Ok(Self {
            origin: Validity { reads: reads.clone(), made: *made, freshness: freshness.clone() },
            tags: self.tags.clone(),
            plain: self.plain.clone(),
            coded,
            // Two that are rendered at the same time do not both come to be kept; the other is rendered again.
            asked: AtomicU8::new(0),
        })
    }

    /// The answer in a coding that is there.
    pub(crate) fn answer(
        &self,
        method: &Method,
        asked: &HeaderMap,
        coding: ContentEncoding,
        source: CacheStatus,
    ) -> http::Response<Bytes> {
        if let Some(tag) = self.held(asked) {
            let mut head = self.plain.head.clone();
            head.remove(header::CONTENT_TYPE);
            head.insert(header::ETAG, tag.clone());
            return assemble(StatusCode::NOT_MODIFIED, head, Bytes::new(), source);
        }
        // Nobody is given a coding that is not there.
        let Variant { body, head } = self.form(coding).unwrap_or(&self.plain);
        let mut head = head.clone();
        let body = if method == Method::HEAD {
            head.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            Bytes::new()
        } else {
            body.clone()
        };
        assemble(StatusCode::OK, head, body, source)
    }

    fn tags(&self) -> &[HeaderValue; 4] {
        self.tags.get_or_init(|| {
            let tag = self.plain.head.get(header::ETAG).cloned().unwrap_or(HeaderValue::from_static("\"\""));
            ContentEncoding::ALL.map(|coding| tag_in(&tag, coding))
        })
    }

    /// The tag that a client holds, if it is of a form of this that it takes: a cache that asks for somebody has others, too.
    fn held(&self, asked: &HeaderMap) -> Option<&HeaderValue> {
        if !asked.contains_key(header::IF_NONE_MATCH) {
            return None;
        }
        let (accepted, all) = (AcceptedEncodings::of(asked), self.tags());
        asked.get_all(header::IF_NONE_MATCH).iter().find_map(|header| {
            let mut tags = header.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            tags.find_map(|held| {
                let held = held.strip_prefix(b"W/").unwrap_or(held);
                if held == b"*" {
                    return Some(&all[ContentEncoding::Identity.index()]);
                }
                let mut forms = ContentEncoding::ALL.into_iter().filter(|coding| accepted.takes(*coding));
                forms.find_map(|coding| Some(&all[coding.index()]).filter(|tag| held == tag.as_bytes()))
            })
        })
    }
}

fn assemble(status: StatusCode, head: HeaderMap, body: Bytes, source: CacheStatus) -> http::Response<Bytes> {
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = head;
    // A hit says so already.
    if source != CacheStatus::Hit {
        response.headers_mut().insert(CACHE_STATUS, source.header());
    }
    // Of what may not hold, nobody else is to make something that does.
    if matches!(source, CacheStatus::Away | CacheStatus::Unanswered) {
        response.headers_mut().insert(header::CACHE_CONTROL, ASK_FIRST);
    }
    response
}

/// A strong tag: 128 bits of the body's hash. Not a secret, so speed is what matters.
fn tag_of(body: &[u8]) -> HeaderValue {
    let text = format!("\"{:032x}\"", xxhash_rust::xxh3::xxh3_128(body));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The tag of the same in a coding: other bytes need another tag.
fn tag_in(tag: &HeaderValue, coding: ContentEncoding) -> HeaderValue {
    let inner = tag.to_str().ok().and_then(|tag| tag.strip_suffix('"'));
    let (Some(inner), Some(_)) = (inner, coding.header()) else { return tag.clone() };
    HeaderValue::from_str(&format!("{inner}-{}\"", coding.name())).unwrap_or_else(|_| tag.clone())
}

/// The state that a tag names, whatever the coding: without the quotes.
pub(crate) fn state_of(tag: &str) -> &str {
    let coded =
        ContentEncoding::ALL.iter().find_map(|coding| tag.strip_suffix(coding.name())?.strip_suffix('-'));
    coded.unwrap_or(tag)
}
