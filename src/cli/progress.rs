use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use migrator::{Event, Observer};
use parking_lot::Mutex;

use super::output::print_error;
use crate::startup::Meter;

/// Shows the progress of a run on standard error: a bar per step on a terminal, otherwise at most one line per second.
pub(super) struct Display(Mutex<State>);

struct State {
    meter: Meter,
    /// `None` if standard error is no terminal.
    bar: Option<ProgressBar>,
    started: Instant,
}

impl Display {
    pub(super) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(ProgressBar::no_length);
        Self(Mutex::new(State { meter: Meter::default(), bar, started: Instant::now() }))
    }

    /// Removes the bar from the terminal.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.0.lock().bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Display {
    fn event(&self, event: &Event<'_>) {
        let mut state = self.0.lock();
        let now = Instant::now();
        let due = state.meter.record(event, now);
        match &state.bar {
            Some(bar) => show(bar, &state.meter, event),
            // The report covers a run that takes less than a second.
            None if due && now.duration_since(state.started) > Duration::from_secs(1) => {
                print_error(&state.meter.to_string());
            }
            None => {}
        }
    }
}

fn show(bar: &ProgressBar, meter: &Meter, event: &Event<'_>) {
    // Boundaries are too frequent to redraw, and change nothing that is shown.
    if matches!(event, Event::Boundary { .. }) {
        return;
    }
    if matches!(event, Event::StepStarted { .. } | Event::Started { .. } | Event::RollingBack { .. }) {
        bar.reset();
    }
    if let Some(total) = meter.total {
        bar.set_style(style("{msg} {wide_bar} {percent:>3} %  {per_sec}  {eta} left"));
        bar.set_length(total);
        bar.set_position(meter.done.min(total));
    } else {
        bar.set_style(style("{spinner} {msg}  {pos}  {per_sec}"));
        bar.set_position(meter.done);
    }
    bar.set_message(match (&meter.holder, &meter.migration, &meter.step) {
        (Some(_), _, _) => meter.to_string(),
        (None, Some(migration), Some(step)) => format!("{migration}: {step}"),
        (None, migration, _) => migration.clone().unwrap_or_default(),
    });
    bar.tick();
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constant and valid")
}

/// Shows how much of a known amount is done: a bar on a terminal, otherwise at most one line per second.
pub(super) struct Progress {
    what: &'static str,
    total: u64,
    done: u64,
    bar: Option<ProgressBar>,
    shown: Instant,
}

impl Progress {
    pub(super) fn new(what: &'static str, total: u64) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            bar.set_style(style("{msg} {wide_bar} {percent:>3} %  {eta} left"));
            bar.set_message(what);
            bar
        });
        Self { what, total, done: 0, bar, shown: Instant::now() }
    }

    pub(super) fn advance(&mut self, amount: u64) {
        self.done += amount;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        } else if self.shown.elapsed() > Duration::from_secs(1) {
            self.shown = Instant::now();
            print_error(&format!("{}: {} %", self.what, self.done.saturating_mul(100) / self.total.max(1)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
