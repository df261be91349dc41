//! The `field-notes` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    field_notes::cli::run()
}
