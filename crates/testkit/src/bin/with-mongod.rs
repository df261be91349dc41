//! `with-mongod -- <command …>` runs a command with a real MongoDB server and reports at the end how many tests ran on it.

use std::env;
use std::process::{ExitCode, ExitStatus};

use bson::doc;
use mongodb::Client;
use testkit::locate::{self, BINARY, RUN, UNAVAILABLE, URI};
use testkit::{Engine, Mongod, record, sharding};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: with-mongod -- <command …>";

/// The server of a run: started by this program, or given by the environment.
struct Server {
    uri: String,
    process: Option<Mongod>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1).peekable();
    arguments.next_if(|argument| argument == "--");
    let Some(program) = arguments.next() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if let Err(error) = record::clear() {
        eprintln!("with-mongod: failed to clear the records of the last run: {error}");
    }
    // Only the random part of an object id, because database names are short.
    let run = bson::oid::ObjectId::new().to_hex()[8..18].to_owned();
    let mut command = Command::new(program);
    command.args(arguments).env(RUN, &run);
    match record::create_commands_file() {
        Ok(file) => _ = command.env(record::COMMANDS, file),
        Err(error) => eprintln!("with-mongod: failed to create the record of commands: {error}"),
    }
    let server = match start().await {
        Ok(server) => {
            command.env(URI, &server.uri);
            Ok(server)
        }
        Err(reason) => {
            command.env(UNAVAILABLE, &reason);
            Err(reason)
        }
    };
    if let Ok(binary) = locate::binary() {
        command.env(BINARY, binary);
    }
    let status = run_to_end(command).await;
    let code = report(status, server, &run).await;
    ExitCode::from(code)
}

async fn start() -> Result<Server, String> {
    if let Ok(uri) = env::var(URI) {
        if let Err(error) = testkit::drop_leftovers(&uri, None).await {
            // The rest of the driver's text lists the state of each host.
            let text = error.kind.to_string();
            return Err(format!(
                "the server in {URI} does not respond: {}",
                text.split('{').next().unwrap_or_default().trim()
            ));
        }
        return Ok(Server { uri, process: None });
    }
    let binary = locate::binary()?;
    let process = Mongod::replica_set(&binary).await.map_err(|error| error.to_string())?;
    Ok(Server { uri: process.uri(), process: Some(process) })
}

/// Runs the command. SIGINT and SIGTERM kill it, so that the server is stopped in any case.
async fn run_to_end(mut command: Command) -> Result<ExitStatus, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(text)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(text)?;
    let mut child = command.kill_on_drop(true).spawn().map_err(text)?;
    tokio::select! {
        status = child.wait() => return status.map_err(text),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    child.kill().await.map_err(text)?;
    Err("interrupted".into())
}

async fn report(status: Result<ExitStatus, String>, server: Result<Server, String>, run: &str) -> u8 {
    let mut code = match &status {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        Err(reason) => {
            eprintln!("with-mongod: {reason}");
            130
        }
    };
    println!();
    match &server {
        Ok(server) => println!("MongoDB server: {}", describe(&server.uri).await),
        Err(_) => println!("MongoDB server: none"),
    }
    println!("tests run on the embedded store: {}", record::count(Engine::Embedded));
    println!("tests run on the real mongod: {}", record::count(Engine::Mongo));
    for line in record::notes() {
        println!("{line}");
    }
    let (refused, shapes) = sharding::check(&record::commands());
    println!("commands that a sharded cluster would refuse: {} of {shapes} shapes", refused.len());
    for line in &refused {
        println!("  {line}");
    }
    if !refused.is_empty() && code == 0 {
        code = 1;
    }
    match server {
        Ok(Server { process: Some(server), .. }) => drop(server),
        Ok(Server { uri, process: None }) => {
            if let Err(error) = testkit::drop_leftovers(&uri, Some(run)).await {
                eprintln!("with-mongod: failed to drop the test databases: {}", error.kind);
            }
        }
        Err(reason) => {
            println!("MongoDB half: NOT RUN: {reason}");
            if locate::is_ci() && code == 0 {
                code = 1;
            }
        }
    }
    code
}

async fn describe(uri: &str) -> String {
    let info = async {
        let client = Client::with_uri_str(uri).await?;
        client.database("admin").run_command(doc! { "buildInfo": 1 }).await
    };
    match info.await {
        Ok(info) => {
            let text = |key| info.get_str(key).unwrap_or("unknown").to_owned();
            format!("{}, git {}", text("version"), text("gitVersion"))
        }
        Err(error) => format!("did not respond at the end: {}", error.kind),
    }
}
