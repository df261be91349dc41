use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;

use crate::{Event, Observer};

/// Counts the boundaries between two writes, and crashes the run at one of them.
///
/// The crash unwinds the run: everything that it holds is dropped, an open transaction is aborted, and nothing is
/// cleaned up. To the store it looks as if the process had died.
pub(super) struct CrashInjector {
    seen: AtomicUsize,
    crash_at: AtomicUsize,
}

/// The panic payload of a crash.
struct Crash;

impl CrashInjector {
    pub(super) const fn new() -> Self {
        Self { seen: AtomicUsize::new(0), crash_at: AtomicUsize::new(usize::MAX) }
    }

    /// Counts from 0 again, and crashes at the boundary with this number, if any.
    pub(super) fn set(&self, crash_at: Option<usize>) {
        self.seen.store(0, Ordering::SeqCst);
        self.crash_at.store(crash_at.unwrap_or(usize::MAX), Ordering::SeqCst);
    }

    /// Returns the number of boundaries so far.
    pub(super) fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    /// Runs to the end, or to the crash: `None`.
    pub(super) async fn catch<T>(run: impl Future<Output = T>) -> Option<T> {
        match AssertUnwindSafe(run).catch_unwind().await {
            Ok(out) => Some(out),
            Err(panic) if panic.is::<Crash>() => None,
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Observer for CrashInjector {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Boundary { .. })
            && self.seen.fetch_add(1, Ordering::SeqCst) == self.crash_at.load(Ordering::SeqCst)
        {
            resume_unwind(Box::new(Crash));
        }
    }
}
