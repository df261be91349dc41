//! The performance of the program on the wire, beside what could be had at best on the same machine in the same run.
//!
//! Run by `make bench`, never by the test suite. The subject is the real program, on a real store, over real sockets,
//! loaded by `wrk` or asked by a sequential client. Each ceiling is a bare handler of axum in a process of its own, with
//! the same allocator, the same runtime and the same server. Both take turns, round by round, so that what else the
//! machine does falls on both; the figures are ratios of one round. `docs/performance/README.md` tells more.

/// One operation of the driver behind a bare handler.
mod bare;
/// What all rows share.
mod bench;
/// Rows by `wrk`.
mod cached;
/// What a subject is compared with.
mod ceiling;
/// The sequential client.
mod client;
/// Rows about a second process.
mod elsewhere;
/// Rows of the table, measured.
mod figure;
/// What has to go at the end.
mod kept;
/// Rows about large stores.
mod large;
/// Processors, and what is told of the machine.
mod machine;
/// The plot.
mod plot;
/// The program that is measured.
mod program;
/// Table, plot and raw figures, written.
mod report;
/// Rows about memory and starts.
mod resources;
/// The rows.
mod rows;
/// Content.
mod seed;
/// Rows by the sequential client.
mod sequential;
/// What sizes a run.
mod settings;
/// Loads.
mod wrk;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use bench::Bench;
use figure::{Figure, Measured};
use machine::Cores;
use rows::{ROWS, Row};
use settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = match std::env::var(ceiling::ORDERS) {
        Ok(orders) => ceiling::serve(&orders).map(|()| true),
        Err(_) => run(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Measures every row that is asked for; false if one could not be measured.
fn run() -> Result<bool, String> {
    let settings = Settings::read()?;
    let unknown: Vec<_> =
        settings.only.iter().filter(|name| !ROWS.iter().any(|row| row.name == **name)).collect();
    if !unknown.is_empty() {
        let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        return Err(format!("BENCH_ONLY names {unknown:?}; there are {}", names.join(", ")));
    }
    if !wrk::is_there() {
        return Err(
            "wrk is not installed: `apt-get install wrk` on Debian, `brew install wrk` on macOS".to_owned()
        );
    }
    if !settings.program.is_file() {
        return Err(format!("there is no program at {}: `make bench` builds it", settings.program.display()));
    }
    let cores = Cores::find();
    cores.become_client();
    let bench = Bench::new(settings, cores, kept::folder()?)?;
    end_on_signals(&bench);
    let setup = report::setup(&bench);
    for (name, value) in &setup {
        println!("{name}: {value}");
    }
    let began = Instant::now();
    let wanted = |row: &&Row| {
        let only = &bench.settings.only;
        only.is_empty() || only.iter().any(|name| name == row.name)
    };
    let figures: Vec<Figure> = ROWS.iter().filter(wanted).map(|row| figure(&bench, row, began)).collect();
    println!("\nafter {:.0} s", began.elapsed().as_secs_f64());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = testkit::record::target_folder().join("bench-wire");
    report::keep(&folder, &setup, &figures)?;
    if bench.settings.is_whole() {
        report::publish(root, &setup, &figures)?;
        println!("written: docs/performance, and the table in README.md");
    } else {
        println!("a part of the rows, or smaller: nothing is published; see bench-wire in the build folder");
    }
    Ok(figures.iter().all(|figure| figure.outcome.is_ok()))
}

/// Measures a row. Whatever goes wrong there, the others go on.
fn figure(bench: &Bench, row: &Row, began: Instant) -> Figure {
    let what = row.what.replace("{}", &report::thousands(bench.settings.stories));
    println!("\n{}", row.name);
    let at = Instant::now();
    let outcome = if began.elapsed() > bench.settings.limit {
        Err("the time was up; BENCH_MINUTES gives more".to_owned())
    } else {
        let measured = catch_unwind(AssertUnwindSafe(|| (row.measure)(bench)));
        measured.unwrap_or_else(|panic| Err(format!("panicked: {}", text_of(&*panic))))
    };
    let outcome: Result<Measured, String> = outcome;
    let figure = Figure { name: row.name, what, target: row.target, unit: row.unit, outcome };
    println!("{}   ({:.0} s)", figure.row(), at.elapsed().as_secs_f64());
    figure
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without text")
}

/// On Ctrl-C or SIGTERM whatever was started is ended before this process is.
fn end_on_signals(bench: &Bench) {
    use tokio::signal::unix::{SignalKind, signal};
    bench.runtime.spawn(async {
        let Ok(mut terminated) = signal(SignalKind::terminate()) else { return };
        tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        kept::clear();
        std::process::exit(130);
    });
}
