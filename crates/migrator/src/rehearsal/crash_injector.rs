use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;
use parking_lot::Mutex;

use crate::{Event, Observer};

/// Counts the places between two writes, and ends the run at one of them.
///
/// It unwinds the run from within: everything that the run holds is dropped there, a transaction that is open is
/// aborted, and nothing is tidied up. To the store it is as if the process had died.
#[derive(Default)]
pub(super) struct CrashInjector(Mutex<Boundaries>);

#[derive(Default)]
struct Boundaries {
    seen: usize,
    crash_at: Option<usize>,
}

/// What a crash unwinds with.
struct Crash;

impl CrashInjector {
    /// Begins to count anew; crashes at the place with this number, from 0, if there is one.
    pub(super) fn set(&self, crash_at: Option<usize>) {
        *self.0.lock() = Boundaries { seen: 0, crash_at };
    }

    /// How many places there were.
    pub(super) fn seen(&self) -> usize {
        self.0.lock().seen
    }
}

impl Observer for CrashInjector {
    fn event(&self, event: &Event<'_>) {
        let Event::Boundary { .. } = event else { return };
        let crash = {
            let mut places = self.0.lock();
            places.seen += 1;
            places.crash_at == Some(places.seen - 1)
        };
        if crash {
            resume_unwind(Box::new(Crash));
        }
    }
}

/// Runs to the end, or to the crash: `None`.
pub(super) async fn catch<T>(run: impl Future<Output = T>) -> Option<T> {
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(out) => Some(out),
        Err(panic) if panic.is::<Crash>() => None,
        Err(panic) => resume_unwind(panic),
    }
}
