//! The real program, as its users meet it: processes, sockets, files, exit codes.

/// Wrong configuration and stores that cannot be used: exit codes and what is said.
mod bad_input;
/// Rendered responses, between processes and while the store is away.
mod cache;
/// Several processes on one store.
mod concurrent_start;
/// Many connections, slow ones, and all that can be said on one.
mod connections;
/// A migration that fails: what is recorded, said and served.
mod failure;
/// From an empty folder to the first answer.
mod first_run;
/// Every command of the guide to migrations, as it stands there.
mod guide;
/// Migrations that are told to end, that are killed, and that wait.
mod interrupted;
/// Backups, resets, rehearsals on the command line.
mod maintenance;
/// `migrate status`, `up` and `down` on the command line.
mod migrate;
/// Starting, asking and ending the program.
mod program;
/// The commands of the README, as they stand there.
mod readme;
/// Where the original was weak, and what only a process shows.
mod regressions;
/// What `migrate new` and `migrate merge` write.
mod scaffold;
/// `seed demo`.
mod seed;
/// A database made by the original.
mod takeover;
/// `trash purge` on the command line.
mod trash;
/// The verbs of `migrate` on the command line.
mod verbs;
