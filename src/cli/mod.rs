//! The command line.

#![expect(clippy::doc_markdown, reason = "clap prints doc comments of arguments as help, without Markdown")]

/// Parses ages such as `30d`.
mod age;
/// The open store that a command works on.
mod context;
/// `doctor`.
mod doctor;
/// `healthcheck`.
mod healthcheck;
/// `media …`.
mod media;
/// `migrate …`.
mod migrate;
/// Printed results, JSON and exit codes.
mod output;
/// Progress of a run, on standard error.
mod progress;
/// `seed …`.
mod seed;
/// `trash …`.
mod trash;
/// `user …`.
mod user;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::task::Poll;
use std::thread;

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Level;

use crate::config::{Config, Dotenv, LogFormat};
use crate::http;
use crate::startup::Application;
use crate::telemetry;
use output::CliError;

/// The exit code of a process that stops at once because of a signal.
const INTERRUPTED: u8 = 130;

/// The version, and the commit that it was built from if the build knew it.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    option_env!("GIT_REVISION").map_or_else(|| version.to_owned(), |commit| format!("{version} ({commit})"))
});

/// The content backend of Field Notes.
///
/// Examples:
///   field-notes                         serve on PORT
///   field-notes migrate status --json   print the state of migrations as JSON
///   MONGO_URI=mongodb://localhost field-notes serve
///
/// Configured by environment variables and by .env in the working directory; .env.example lists them.
#[derive(Debug, Parser)]
#[command(name = "field-notes", version = VERSION.as_str(), verbatim_doc_comment)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Migrate the database, then serve (default)
    ///
    /// Examples:
    ///   field-notes serve
    ///   PORT=8080 DATA_DIR=/srv/field-notes field-notes serve
    #[command(verbatim_doc_comment)]
    Serve,
    Migrate(migrate::MigrateArgs),
    /// Manage deleted content
    ///
    /// Examples:
    ///   field-notes trash purge --older-than 30d --dry-run
    #[command(subcommand, verbatim_doc_comment)]
    Trash(trash::Verb),
    /// Export or erase what a user added to content
    ///
    /// Examples:
    ///   field-notes user export ada@example.com
    #[command(subcommand, verbatim_doc_comment)]
    User(user::Verb),
    /// Manage the files of pictures and videos
    ///
    /// Examples:
    ///   field-notes media gc --older-than 30d
    #[command(subcommand, verbatim_doc_comment)]
    Media(media::Verb),
    Doctor(doctor::DoctorArgs),
    /// Add sample content
    ///
    /// Examples:
    ///   field-notes seed demo
    #[command(subcommand, verbatim_doc_comment)]
    Seed(seed::Verb),
    /// Print the API description that is served at /openapi.json
    ///
    /// Examples:
    ///   field-notes openapi > openapi.json
    #[command(verbatim_doc_comment)]
    Openapi,
    /// Exit with 0 if a server answers on the configured port
    ///
    /// Examples:
    ///   field-notes healthcheck
    ///   field-notes healthcheck --ready
    ///   PORT=8080 field-notes healthcheck
    #[command(verbatim_doc_comment)]
    Healthcheck {
        /// Ask for readiness instead of liveness
        #[arg(long)]
        ready: bool,
    },
}

/// Runs the program.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let dotenv = match Dotenv::read(Path::new(".env")) {
        Ok(dotenv) => dotenv,
        Err(error) => {
            let error = CliError::usage(error);
            error.print();
            return ExitCode::from(error.code);
        }
    };
    // Set in any case, because Tokio panics on an invalid variable.
    let threads = Config::read_worker_threads(|name| dotenv.lookup(name));
    let threads = threads.or_else(|| thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let runtime = match Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            CliError::failed(format!("failed to start the runtime: {error}")).print();
            return ExitCode::from(1);
        }
    };
    let outcome = runtime.block_on(dispatch(arguments.command.unwrap_or(Command::Serve), &dotenv));
    // Does not wait for blocking tasks.
    runtime.shutdown_background();
    ExitCode::from(outcome.unwrap_or_else(|error| {
        error.print();
        error.code
    }))
}

/// Starts, and serves until a signal.
async fn serve(config: Result<Config, CliError>, dotenv: &Dotenv) -> Result<(), CliError> {
    let config = config?;
    telemetry::init(config.log_format, Level::INFO, &config.log_filter);
    dotenv.warn_about_unknown_names();
    let mut signals = Signals::install();
    let shutdown = async move {
        signals.recv().await;
        tokio::spawn(async move {
            signals.recv().await;
            tracing::warn!("stopping at once: a second signal was sent");
            std::process::exit(INTERRUPTED.into());
        });
    };
    Application::bind(config).await?.run(shutdown).await?;
    Ok(())
}

/// Logs the failure of a server and returns its exit code, if the log consists of JSON objects: their readers cannot parse the
/// text that is printed otherwise.
fn log_failure(error: CliError, format: LogFormat) -> Result<u8, CliError> {
    if format == LogFormat::Text {
        return Err(error);
    }
    // An invalid configuration fails before this is done.
    telemetry::init(format, Level::INFO, "info");
    if !tracing::enabled!(Level::ERROR) {
        return Err(error);
    }
    tracing::error!(exit_code = error.code, error = error.message, "the server failed");
    Ok(error.code)
}

/// Runs a command and returns its exit code.
async fn dispatch(command: Command, dotenv: &Dotenv) -> Result<u8, CliError> {
    let lookup = |name: &str| dotenv.lookup(name);
    let read_config = || Config::read(lookup).map_err(CliError::usage);
    // Commands log warnings only, unless RUST_LOG says otherwise: their result is what they print.
    let command_config = || {
        read_config().inspect(|config| {
            let filter = lookup("RUST_LOG").map_or("warn", |_| config.log_filter.as_str());
            telemetry::init(LogFormat::Text, Level::WARN, filter);
            dotenv.warn_about_unknown_names();
        })
    };
    match command {
        Command::Serve => {
            let format = Config::read_log_format(lookup);
            return serve(read_config(), dotenv)
                .await
                .map(|()| 0)
                .or_else(|error| log_failure(error, format));
        }
        Command::Migrate(arguments) => return migrate::run(arguments, command_config).await,
        Command::Trash(verb) => return Ok(trash::run(verb, command_config()?).await?.print(false)),
        Command::User(verb) => return Ok(user::run(verb, command_config()?).await?.print(false)),
        Command::Media(verb) => return Ok(media::run(verb, command_config()?).await?.print(false)),
        Command::Doctor(arguments) => {
            return Ok(doctor::run(arguments, command_config()?).await?.print(false));
        }
        Command::Seed(verb) => return Ok(Box::pin(seed::run(verb, command_config()?)).await?.print(false)),
        Command::Openapi => std::io::stdout()
            .write_all(http::openapi_document().as_bytes())
            .map_err(|error| CliError::failed(format!("failed to print the document: {error}")))?,
        Command::Healthcheck { ready } => {
            healthcheck::run(Config::read_listen(lookup).map_err(CliError::usage)?, ready).await?;
        }
    }
    Ok(0)
}

/// The signals that ask the program to stop: SIGTERM, SIGINT (Ctrl-C), and SIGHUP of a terminal that is closed.
struct Signals([Option<Signal>; 3]);

impl Signals {
    /// Installs the handlers. From now on a signal has no other effect.
    fn install() -> Self {
        Self([SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(|kind| {
            signal(kind)
                .inspect_err(|error| tracing::warn!(%error, ?kind, "failed to install a handler"))
                .ok()
        }))
    }

    /// Waits for the next signal.
    async fn recv(&mut self) {
        let any = std::future::poll_fn(|context| {
            let is_ready = |signal: &mut Signal| matches!(signal.poll_recv(context), Poll::Ready(Some(())));
            if self.0.iter_mut().flatten().any(is_ready) { Poll::Ready(()) } else { Poll::Pending }
        });
        any.await;
    }
}

#[cfg(test)]
mod tests;
