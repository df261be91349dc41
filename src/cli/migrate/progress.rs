use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use migrator::{Event, Observer};
use parking_lot::Mutex;

use crate::startup::{Meter, Reading};

/// Shows on standard error how far a run is: a bar for each step on a terminal, else a line a second at most.
pub(super) struct Display(Mutex<State>);

struct State {
    meter: Meter,
    /// `None` where nobody looks at a bar.
    bar: Option<ProgressBar>,
    began: Instant,
}

impl Display {
    pub(super) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(ProgressBar::no_length);
        Self(Mutex::new(State { meter: Meter::default(), bar, began: Instant::now() }))
    }

    /// Removes the bar, so that what follows stands where it stood.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.state().bar {
            bar.finish_and_clear();
        }
    }

    fn state(&self) -> parking_lot::MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl Observer for Display {
    fn event(&self, event: &Event<'_>) {
        let mut state = self.state();
        let now = Instant::now();
        let due = state.meter.take(event, now);
        let reading = state.meter.reading();
        match &state.bar {
            Some(bar) => show(bar, reading, event),
            // What is over within a second is told by the report.
            None if due && now.duration_since(state.began) > Duration::from_secs(1) => eprintln!("{reading}"),
            None => {}
        }
    }
}

fn show(bar: &ProgressBar, reading: &Reading, event: &Event<'_>) {
    // Between any two writes there is nothing new to show.
    if matches!(event, Event::Boundary { .. }) {
        return;
    }
    if matches!(event, Event::StepStarted { .. } | Event::Started { .. } | Event::RollingBack { .. }) {
        bar.reset();
    }
    if let Some(total) = reading.total {
        bar.set_style(style("{msg} {wide_bar} {percent:>3} %  {per_sec}  {eta} left"));
        bar.set_length(total);
        bar.set_position(reading.done.min(total));
    } else {
        bar.set_style(style("{spinner} {msg}  {pos}  {per_sec}"));
        bar.set_position(reading.done);
    }
    let what = match (&reading.holder, &reading.migration, &reading.step) {
        (Some(_), _, _) => reading.to_string(),
        (None, Some(migration), Some(step)) => format!("{migration}: {step}"),
        (None, migration, _) => migration.clone().unwrap_or_default(),
    };
    bar.set_message(what);
    bar.tick();
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
