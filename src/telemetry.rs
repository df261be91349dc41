//! Logging to standard error. Standard output is for results.

use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::LogFormat;

/// Sets up logging for the process. A second call has no effect.
///
/// `default` is the level of all that the filter does not name.
pub fn init(format: LogFormat, default: Level, filter: &str) {
    let modules = modules_without_level(filter);
    let filter = with_default(default, filter);
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(default.as_str()));
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
    for module in modules {
        tracing::warn!(
            "{module} in RUST_LOG is no level (off, error, warn, info, debug, trace) and no part of this program; it is taken as \
             the name of a module"
        );
    }
}

/// The modules of this program whose names may stand in a filter without a level.
const MODULES: [&str; 5] = ["field_notes", "docstore", "migrator", "migrations", "mongodb"];

/// Returns the filter with a level for everything that it does not name, which would be silenced otherwise.
fn with_default(default: Level, filter: &str) -> String {
    let has_default = directives(filter).any(|directive| directive.parse::<LevelFilter>().is_ok());
    if has_default { filter.to_owned() } else { format!("{default},{filter}") }
}

/// Returns the words of a filter that are neither a level nor a module of this program, such as misspelled levels.
fn modules_without_level(filter: &str) -> Vec<String> {
    let is_word = |directive: &&str| {
        directive.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-:".contains(&byte))
    };
    let is_known = |directive: &str| {
        directive.parse::<LevelFilter>().is_ok()
            || MODULES.iter().any(|module| directive.split("::").next() == Some(*module))
    };
    directives(filter).filter(is_word).filter(|directive| !is_known(directive)).map(str::to_owned).collect()
}

fn directives(filter: &str) -> impl Iterator<Item = &str> {
    filter.split(',').map(str::trim).filter(|directive| !directive.is_empty())
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
    fn filter_without_a_level_of_its_own_silences_nothing_else() {
        for (filter, expected) in [
            ("mongodb::command=debug", "INFO,mongodb::command=debug"),
            ("nonsense", "INFO,nonsense"),
            ("warn,field_notes=debug", "warn,field_notes=debug"),
            ("field_notes=debug, OFF", "field_notes=debug, OFF"),
            ("debug", "debug"),
        ] {
            assert_eq!(with_default(Level::INFO, filter), expected);
            EnvFilter::try_new(expected).unwrap();
        }
    }

    #[test]
    fn words_of_a_filter_that_are_no_level_are_named() {
        assert_eq!(
            modules_without_level("inof,field_notes,trace,mongodb::command=debug,hyper=off"),
            ["inof"]
        );
        assert_eq!(modules_without_level("nonsense, [span{a=1}]=debug"), ["nonsense"]);
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
