//! The command line.

/// Spans of time as they are typed.
mod age;
/// Asking a running server whether it lives.
mod healthcheck;
/// `migrate …`.
mod migrate;
/// `seed demo`.
mod seed;
/// `trash purge`.
mod trash;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Dotenv, LogFormat};
use crate::http;
use crate::service;
use crate::startup::{Application, Failure};
use crate::telemetry;

/// The content backend of Field Notes.
#[derive(Debug, Parser)]
#[command(
    name = "field-notes",
    version,
    about,
    after_help = "Examples:
  field-notes                         serve, on the port of PORT
  field-notes migrate status --json   where migrations stand, for programs
  MONGO_URI=mongodb://localhost field-notes serve

Configured by the environment and by .env in the working directory; .env.example lists every variable."
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring the database to the right state, then serve (the default)
    #[command(after_help = "Examples:
  field-notes serve
  PORT=8080 DATA_DIR=/srv/field-notes field-notes serve")]
    Serve,
    /// Apply, take back or list migrations
    #[command(after_help = "Examples:
  field-notes migrate status
  field-notes migrate up
  field-notes migrate down --yes")]
    Migrate(migrate::Arguments),
    /// Look after what is deleted
    #[command(
        subcommand,
        after_help = "Examples:
  field-notes trash purge --older-than 30d --dry-run"
    )]
    Trash(trash::Verb),
    /// Add content to look at
    #[command(
        subcommand,
        after_help = "Examples:
  field-notes seed demo"
    )]
    Seed(seed::Verb),
    /// Print the description of the API that is served at /openapi.json
    #[command(after_help = "Examples:
  field-notes openapi > openapi.json")]
    Openapi,
    /// Ask the server on the configured port whether it lives; exit code 0 if so
    #[command(after_help = "Examples:
  field-notes healthcheck
  PORT=8080 field-notes healthcheck")]
    Healthcheck,
}

/// Why a command ended before its time: what is told, and the exit code.
#[derive(Debug)]
struct CliError {
    message: String,
    code: u8,
}

impl CliError {
    fn failed(error: &dyn std::error::Error) -> Self {
        Self { message: error.to_string(), code: 1 }
    }

    fn usage(message: impl Into<Box<dyn std::error::Error>>) -> Self {
        Self { message: message.into().to_string(), code: 2 }
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        Self { message: failure.to_string(), code: failure.exit }
    }
}

impl From<migrator::Error> for CliError {
    fn from(error: migrator::Error) -> Self {
        Self { message: error.to_string(), code: error.exit_code() }
    }
}

impl From<service::Error> for CliError {
    fn from(error: service::Error) -> Self {
        let mut message = error.to_string();
        let mut next = std::error::Error::source(&error);
        while let Some(cause) = next {
            message = format!("{message}: {cause}");
            next = cause.source();
        }
        Self { message, code: 1 }
    }
}

/// Runs the program.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime cannot be started: {error}");
            return ExitCode::from(1);
        }
    };
    let outcome = runtime.block_on(dispatch(arguments.command.unwrap_or(Command::Serve)));
    // What blocks must not keep an ended program alive.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(CliError { message, code }) => {
            for line in message.lines() {
                let shown = if line.starts_with(' ') { line.to_owned() } else { format!("error: {line}") };
                eprintln!("{shown}");
            }
            ExitCode::from(code)
        }
    }
}

/// The exit code of what was found, where a verb looks for something.
async fn dispatch(command: Command) -> Result<u8, CliError> {
    let dotenv = Dotenv::read(Path::new(".env")).map_err(CliError::usage)?;
    let lookup = |name: &str| dotenv.lookup(name);
    let configured = || Config::read(lookup).map_err(CliError::usage);
    match command {
        Command::Serve => {
            let config = configured()?;
            telemetry::init(config.log_format, &config.log_filter);
            let application = Application::bind(config).await?;
            application.run(shutdown_signal()).await?;
        }
        Command::Migrate(arguments) => {
            let config = || configured().inspect(|config| init_command_log(config, &dotenv));
            return migrate::run(arguments, config).await;
        }
        Command::Trash(verb) => {
            let config = configured()?;
            init_command_log(&config, &dotenv);
            trash::run(verb, config).await?;
        }
        Command::Seed(verb) => {
            let config = configured()?;
            init_command_log(&config, &dotenv);
            seed::run(verb, config).await?;
        }
        Command::Openapi => std::io::stdout()
            .write_all(http::openapi::text().as_bytes())
            .map_err(|error| CliError { message: format!("printing the document: {error}"), code: 1 })?,
        Command::Healthcheck => {
            healthcheck::ask(Config::read_listen(lookup).map_err(CliError::usage)?).await?;
        }
    }
    Ok(0)
}

/// What is asked for is printed; the log is for what goes wrong, unless more is wanted.
fn init_command_log(config: &Config, dotenv: &Dotenv) {
    let filter = dotenv.lookup("RUST_LOG").map_or("warn".to_owned(), |_| config.log_filter.clone());
    telemetry::init(LogFormat::Text, &filter);
}

/// SIGTERM, or Ctrl-C.
async fn shutdown_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => _ = signals.recv().await,
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be listened for");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(test)]
mod tests;
