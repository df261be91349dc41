//! Logging to standard error. Standard output is for results.

use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::LogFormat;

/// Sets up logging for the process. A second call has no effect.
pub fn init(format: LogFormat, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder =
        fmt().with_env_filter(filter).with_writer(|| LogWriter(io::stderr())).log_internal_errors(false);
    let outcome = match format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).with_target(false).try_init(),
        // All spans are in `spans`; the innermost once more in `span` would double each line.
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "logging is already set up");
    }
}

/// The number of lines since the last one that was written.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Writes lines of the log. A line that cannot be written, because the disk is full or the reader is gone, is counted and
/// nothing else: the log is no reason to stop serving. The count precedes the next line that can be written.
struct LogWriter<W>(W);

impl<W: Write> Write for LogWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let lost = LOST.load(Ordering::Relaxed);
        let report =
            if lost > 0 { format!("{lost} lines of the log could not be written\n") } else { String::new() };
        let written = self.0.write_all(report.as_bytes()).and_then(|()| self.0.write_all(line));
        match written {
            Ok(()) if lost > 0 => _ = LOST.fetch_sub(lost, Ordering::Relaxed),
            Ok(()) => {}
            Err(_) => _ = LOST.fetch_add(1, Ordering::Relaxed),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails at first.
    struct Failing(usize, Vec<u8>);

    impl Write for Failing {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            if self.0 > 0 {
                self.0 -= 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.1.write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let mut writer = LogWriter(Failing(2, Vec::new()));
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            writer.write_all(line.as_bytes()).unwrap();
        }
        let written = String::from_utf8(writer.0.1).unwrap();
        assert_eq!(written, "2 lines of the log could not be written\nthree\nfour\n");
    }
}
