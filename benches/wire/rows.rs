//! The rows of the table, in order.

use crate::bench::{Bench, StoreKind};
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

const fn row(
    name: &'static str,
    what: &'static str,
    target: Bound,
    unit: Unit,
    measure: fn(&Bench) -> Result<Measured, String>,
) -> Row {
    Row { name, what, target, unit, measure }
}

use Bound::{AtLeast, AtMost};
use StoreKind::{Embedded, Mongo, Standalone};
use Unit::{Mebibytes, Milliseconds, OfRates, OfTimes, TimesOver};

pub(crate) const ROWS: &[Row] = &[
    row(
        "identity",
        "`GET /stories?limit=10`, cached : bare axum handler, same bytes",
        AtLeast(0.9),
        OfRates,
        cached::identity,
    ),
    row(
        "br",
        "the same with `Accept-Encoding: br` : bare axum handler, same bytes",
        AtLeast(0.8),
        OfRates,
        cached::brotli,
    ),
    row(
        "304",
        "the same with `If-None-Match`, 304 : bare axum handler, empty 304",
        AtLeast(0.75),
        OfRates,
        cached::not_modified,
    ),
    row(
        "sections",
        "`GET /sections`, cached : bare axum handler, same bytes",
        AtLeast(0.75),
        OfRates,
        cached::sections,
    ),
    row(
        "p99-writes",
        "p99 of cached reads during 20 writes/s : p99 without writes",
        AtMost(2.0),
        TimesOver,
        cached::during_writes,
    ),
    row(
        "uncached",
        "uncached list, embedded store : the same on MongoDB",
        AtLeast(2.0),
        OfRates,
        cached::uncached,
    ),
    row(
        "rendering",
        "first read after a write, MongoDB : one `find` of the driver, decoded and serialized in a bare handler (p50)",
        AtLeast(0.7),
        OfTimes,
        sequential::rendering,
    ),
    row(
        "create",
        "`POST /stories`, MongoDB : one `insert_one` of the driver in a bare handler (p50)",
        AtLeast(0.5),
        OfTimes,
        sequential::create,
    ),
    row(
        "first-page",
        "list at offset 0, uncached, embedded, {} stories : 1,000 (p50)",
        AtMost(1.5),
        TimesOver,
        |bench| large::first_page(bench, Embedded),
    ),
    row("first-page-mongo", "the same on MongoDB", AtMost(1.5), TimesOver, |bench| {
        large::first_page(bench, Mongo)
    }),
    row(
        "cursor",
        "list by deep cursor, uncached, embedded, {} stories : 1,000 (p50)",
        AtMost(1.5),
        TimesOver,
        |bench| large::by_cursor(bench, Embedded),
    ),
    row("cursor-mongo", "the same on MongoDB", AtMost(1.5), TimesOver, |bench| {
        large::by_cursor(bench, Mongo)
    }),
    row(
        "after-write",
        "first page and `total` after a write, embedded, {} stories, p99",
        AtMost(10.0),
        Milliseconds,
        |bench| large::after_write(bench, Embedded),
    ),
    row("after-write-mongo", "the same on MongoDB", AtMost(10.0), Milliseconds, |bench| {
        large::after_write(bench, Mongo)
    }),
    row(
        "elsewhere",
        "delay until another process serves a write in its list, replica set, p99",
        AtMost(1000.0),
        Milliseconds,
        |bench| cross_process::visibility(bench, Mongo),
    ),
    row("elsewhere-standalone", "the same on a standalone server", AtMost(1000.0), Milliseconds, |bench| {
        cross_process::visibility(bench, Standalone)
    }),
    row(
        "upload",
        "upload of a 12-megapixel JPEG : decoding, resizing and encoding it with as many threads (p50)",
        AtMost(1.3),
        TimesOver,
        uploads::one,
    ),
    row(
        "upload-memory",
        "peak memory during 20 parallel uploads of 5 MiB",
        AtMost(400.0),
        Mebibytes,
        uploads::memory,
    ),
    row(
        "counts",
        "`POST …/bulk/counts` for 50 targets with 100,000 reactions, embedded : one indexed `find` of 50 documents in a bare handler (p50)",
        AtMost(3.0),
        TimesOver,
        |bench| engagement::counts(bench, Embedded),
    ),
    row("counts-mongo", "the same on MongoDB", AtMost(3.0), TimesOver, |bench| {
        engagement::counts(bench, Mongo)
    }),
    row(
        "comments",
        "`GET …/comments` with 200 comments, cached : bare axum handler, same bytes",
        AtLeast(0.9),
        OfRates,
        engagement::comments,
    ),
    row(
        "toggle",
        "toggle of a reaction, MongoDB : one `update_one` upsert of the driver in a bare handler (p50)",
        AtMost(2.5),
        TimesOver,
        engagement::toggle,
    ),
    row(
        "picture",
        "`GET /uploads/…`, 200 kB from the disk, 32 connections : tower-http `ServeFile` of the same file",
        AtLeast(0.9),
        OfRates,
        media::picture,
    ),
    row(
        "memory-video",
        "memory above idle while 64 clients receive a video of 100 MiB slowly",
        AtMost(60.0),
        Mebibytes,
        media::slow_clients,
    ),
    row("memory-idle", "resident memory, idle", AtMost(40.0), Mebibytes, memory_and_start::idle),
    row(
        "memory-load",
        "resident memory after a minute of cached reads",
        AtMost(120.0),
        Mebibytes,
        memory_and_start::after_load,
    ),
    row(
        "memory-million",
        "resident memory with {} stories in the store, after list requests",
        AtMost(200.0),
        Mebibytes,
        memory_and_start::with_many,
    ),
    row(
        "start",
        "start to the first 200, embedded, no pending migrations",
        AtMost(50.0),
        Milliseconds,
        |bench| memory_and_start::start(bench, Size::Few),
    ),
    row("start-million", "the same with {} stories", AtMost(150.0), Milliseconds, |bench| {
        memory_and_start::start(bench, Size::Million)
    }),
];
