//! The real binary: first runs, configuration, exit codes, signals, and what survives them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

/// Bad input, and what it gets.
mod bad_input;
/// The command line beside and without a server.
mod command_line;
/// From an empty folder to `GET /sections`, and to the end.
mod life;
/// Several processes on one store.
mod many;
/// Running the binary.
mod support;
/// A database made by the original.
mod take_over;
