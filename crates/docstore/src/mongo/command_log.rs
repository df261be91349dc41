use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use tracing::{Level, enabled};

/// The target of the log lines, as in `RUST_LOG=mongodb::command=debug`.
const TARGET: &str = "mongodb::command";
/// Maximum length of a logged command, in characters.
const LONGEST: usize = 1000;

/// Returns a handler that logs every command, if the log takes its lines. The driver leaves credentials out.
pub(crate) fn command_log() -> Option<EventHandler<CommandEvent>> {
    let logs = enabled!(target: TARGET, Level::DEBUG);
    #[cfg(debug_assertions)]
    if super::shapes::are_recorded() {
        return Some(EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = &event {
                super::shapes::record(started);
            }
            if logs {
                log(event);
            }
        }));
    }
    logs.then(|| EventHandler::callback(log))
}

fn log(event: CommandEvent) {
    match event {
        CommandEvent::Started(started) => {
            let command: String = started.command.to_string().chars().take(LONGEST).collect();
            tracing::debug!(
                target: TARGET, request = started.request_id, database = started.db, command, "{} started", started.command_name
            );
        }
        CommandEvent::Succeeded(done) => {
            tracing::debug!(target: TARGET, request = done.request_id, duration = ?done.duration, "{} succeeded", done.command_name);
        }
        CommandEvent::Failed(failed) => tracing::debug!(
            target: TARGET, request = failed.request_id, duration = ?failed.duration, error = %failed.failure, "{} failed",
            failed.command_name
        ),
        _ => {}
    }
}
