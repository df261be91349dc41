//! The rows of the table, in its order.

use crate::bench::{Bench, Engine};
use crate::figure::{Measured, Target, Unit};
use crate::seed::Size;
use crate::{cached, elsewhere, large, resources, sequential};

/// A row before it is measured.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// `{}` stands for the number of stories in the large store.
    pub(crate) what: &'static str,
    pub(crate) target: Target,
    pub(crate) unit: Unit,
    pub(crate) measure: fn(&Bench) -> Result<Measured, String>,
}

const fn row(
    name: &'static str,
    what: &'static str,
    target: Target,
    unit: Unit,
    measure: fn(&Bench) -> Result<Measured, String>,
) -> Row {
    Row { name, what, target, unit, measure }
}

use Engine::{Embedded, Mongo, Standalone};
use Target::{AtLeast, AtMost};
use Unit::{Mebibytes, Milliseconds, OfRates, OfTimes, TimesOver};

pub(crate) const ROWS: &[Row] = &[
    row(
        "identity",
        "`GET /stories?limit=10`, rendered : bare axum handler, same bytes",
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
        "`GET /sections`, rendered : bare axum handler, same bytes",
        AtLeast(0.75),
        OfRates,
        cached::sections,
    ),
    row(
        "p99-writes",
        "p99 of rendered reads while 20 writes/s go on : p99 with none",
        AtMost(2.0),
        TimesOver,
        cached::beside_writes,
    ),
    row(
        "uncached",
        "list that is never kept, embedded store : the same on MongoDB",
        AtLeast(2.0),
        OfRates,
        cached::uncached,
    ),
    row(
        "rendering",
        "first read after a write, MongoDB : one `find` of the driver, decoded and serialised in a bare handler (p50)",
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
        "list at offset 0, not kept, embedded, {} stories : 1,000 (p50)",
        AtMost(1.5),
        TimesOver,
        |bench| large::first_page(bench, Embedded),
    ),
    row("first-page-mongo", "the same on MongoDB", AtMost(1.5), TimesOver, |bench| {
        large::first_page(bench, Mongo)
    }),
    row(
        "cursor",
        "list by cursor, deep, not kept, embedded, {} stories : 1,000 (p50)",
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
        "until a write is in the rendered list of another process, replica set, p99",
        AtMost(1000.0),
        Milliseconds,
        |bench| elsewhere::seen(bench, Mongo),
    ),
    row("elsewhere-standalone", "the same on a standalone server", AtMost(1000.0), Milliseconds, |bench| {
        elsewhere::seen(bench, Standalone)
    }),
    row("memory-idle", "resident memory, idle", AtMost(40.0), Mebibytes, resources::idle),
    row(
        "memory-load",
        "resident memory, after a minute of rendered reads",
        AtMost(120.0),
        Mebibytes,
        resources::after_load,
    ),
    row(
        "memory-million",
        "resident memory, with {} stories in the store, lists asked for",
        AtMost(200.0),
        Mebibytes,
        resources::with_many,
    ),
    row("start", "start to first 200, embedded, nothing pending", AtMost(50.0), Milliseconds, |bench| {
        resources::start(bench, Size::Few)
    }),
    row("start-million", "the same with {} stories", AtMost(150.0), Milliseconds, |bench| {
        resources::start(bench, Size::Million)
    }),
];
