//! The rows of the table, in order.

use crate::bench::Bench;
use crate::bench::StoreKind::{Embedded, Mongo, Standalone};
use crate::figure::{Bound, Measured, Unit};
use crate::seed::Size;
use crate::{cached, cross_process, engagement, large, media, memory_and_start, sequential, uploads};

/// The definition of a row.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The label in the table; `{}` stands for the number of stories in the large store.
    pub(crate) what: &'static str,
    pub(crate) target: Bound,
    pub(crate) unit: Unit,
    pub(crate) measure: fn(&Bench) -> Result<Measured, String>,
}

/// Declares rows: name, target, unit, label, measurement.
macro_rules! rows {
    ($($name:literal, $bound:ident($target:literal), $unit:ident, $what:literal, $measure:expr;)+) => {
        &[$(Row { name: $name, what: $what, target: Bound::$bound($target), unit: Unit::$unit, measure: $measure }),+]
    };
}

pub(crate) const ROWS: &[Row] = rows! {
    "identity", AtLeast(0.9), OfRates,
        "`GET /stories?limit=10`, cached : bare axum handler, same bytes", cached::identity;
    "br", AtLeast(0.8), OfRates, "the same with `Accept-Encoding: br` : bare axum handler, same bytes", cached::brotli;
    "304", AtLeast(0.75), OfRates,
        "the same with `If-None-Match`, 304 : bare axum handler, empty 304", cached::not_modified;
    "sections", AtLeast(0.75), OfRates, "`GET /sections`, cached : bare axum handler, same bytes", cached::sections;
    "p99-writes", AtMost(2.0), TimesOver,
        "p99 of cached reads during 20 writes/s : p99 without writes", cached::during_writes;
    "uncached", AtLeast(2.0), OfRates, "uncached list, embedded store : the same on MongoDB", cached::uncached;
    "rendering", AtLeast(0.7), OfTimes,
        "first read after a write, MongoDB : one `find` of the driver, decoded and serialized in a bare handler (p50)",
        sequential::rendering;
    "create", AtLeast(0.5), OfTimes,
        "`POST /stories`, MongoDB : one `insert_one` of the driver in a bare handler (p50)", sequential::create;
    "first-page", AtMost(1.5), TimesOver,
        "list at offset 0, uncached, embedded, {} stories : 1,000 (p50)", |bench| large::first_page(bench, Embedded);
    "first-page-mongo", AtMost(1.5), TimesOver, "the same on MongoDB", |bench| large::first_page(bench, Mongo);
    "cursor", AtMost(1.5), TimesOver,
        "list by deep cursor, uncached, embedded, {} stories : 1,000 (p50)", |bench| large::by_cursor(bench, Embedded);
    "cursor-mongo", AtMost(1.5), TimesOver, "the same on MongoDB", |bench| large::by_cursor(bench, Mongo);
    "after-write", AtMost(10.0), Milliseconds,
        "first page and `total` after a write, embedded, {} stories, p99", |bench| large::after_write(bench, Embedded);
    "after-write-mongo", AtMost(10.0), Milliseconds, "the same on MongoDB", |bench| large::after_write(bench, Mongo);
    "elsewhere", AtMost(1000.0), Milliseconds,
        "delay until another process serves a write in its list, replica set, p99",
        |bench| cross_process::visibility(bench, Mongo);
    "elsewhere-standalone", AtMost(1000.0), Milliseconds,
        "the same on a standalone server", |bench| cross_process::visibility(bench, Standalone);
    "upload", AtMost(1.3), TimesOver,
        "upload of a 12-megapixel JPEG : decoding, resizing and encoding it with as many threads (p50)", uploads::one;
    "upload-memory", AtMost(400.0), Mebibytes, "peak memory during 20 parallel uploads of 5 MiB", uploads::memory;
    "counts", AtMost(3.0), TimesOver,
        "`POST …/bulk/counts` for 50 targets with 100,000 reactions, embedded : one indexed `find` of 50 documents in a bare handler (p50)",
        |bench| engagement::counts(bench, Embedded);
    "counts-mongo", AtMost(3.0), TimesOver, "the same on MongoDB", |bench| engagement::counts(bench, Mongo);
    "comments", AtLeast(0.9), OfRates,
        "`GET …/comments` with 200 comments, cached : bare axum handler, same bytes", engagement::comments;
    "toggle", AtMost(2.5), TimesOver,
        "toggle of a reaction, MongoDB : one `update_one` upsert of the driver in a bare handler (p50)", engagement::toggle;
    "picture", AtLeast(0.9), OfRates,
        "`GET /uploads/…`, 200 kB from the disk, 32 connections : tower-http `ServeFile` of the same file", media::picture;
    "memory-video", AtMost(60.0), Mebibytes,
        "memory above idle while 64 clients receive a video of 100 MiB slowly", media::slow_clients;
    "memory-idle", AtMost(40.0), Mebibytes, "resident memory, idle", memory_and_start::idle;
    "memory-load", AtMost(120.0), Mebibytes,
        "resident memory after a minute of cached reads", memory_and_start::after_load;
    "memory-million", AtMost(200.0), Mebibytes,
        "resident memory with {} stories in the store, after list requests", memory_and_start::with_many;
    "start", AtMost(50.0), Milliseconds,
        "start to the first 200, embedded, no pending migrations", |bench| memory_and_start::start(bench, Size::Few);
    "start-million", AtMost(150.0), Milliseconds,
        "the same with {} stories", |bench| memory_and_start::start(bench, Size::Million);
};
