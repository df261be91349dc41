//! Tests of the real program: processes, sockets, files, exit codes.

/// Invalid configuration and unusable stores: exit codes and messages.
mod bad_input;
/// The response cache between processes, and while the store is down.
mod cache;
/// Several processes that start at once on one store.
mod concurrent_start;
/// Connections: many, slow, pipelined, HTTP/2.
mod connections;
/// The Compose files and the image.
mod containers;
/// `make deploy-prod` and `make rollback-prod`.
mod deploy;
/// Ways in which a start fails, and the checks that report them before.
mod failed_starts;
/// A failing migration: ledger, messages, readiness.
mod failure;
/// The first start in an empty folder.
mod first_run;
/// The commands of the migration guide.
mod guide;
/// Clients that send too much, too slowly or something odd.
mod hostile;
/// Stopped, killed and waiting runs.
mod interrupted;
/// `migrate backup`, `restore`, `reset`, `diff`, `test`, `rehearse`, `preflight`.
mod maintenance;
/// The commands for the files of pictures and videos.
mod media;
/// `migrate status`, `up` and `down`, and `MIGRATE_ON_START`.
mod migrate;
/// The commands of the page about moving from the original.
mod moving;
/// Starts, requests and stops the program.
mod program;
/// The commands of the README, as they stand there.
mod readme;
/// Regressions of the original that need a process.
mod regressions;
/// Writes that clients repeat because the outcome is unknown.
mod retries;
/// Commands that destroy data while a server is running.
mod running_server;
/// `migrate new`, `merge` and `diff`.
mod scaffold;
/// `seed demo`.
mod seed;
/// A sharded cluster, as its clients see it.
#[cfg(debug_assertions)]
mod sharded;
/// Shutdown, signals and the log.
mod shutdown;
/// Lost, restored, emptied and unwritable store files.
mod store_faults;
/// A database of the original.
mod takeover;
/// `trash purge`.
mod trash;
/// Uploads: storages that fail, clients that send too much or stop, a bucket of the original.
mod uploads;
/// `user export` and `user erase`.
mod user;
/// All verbs of `migrate`: exit codes and output.
mod verbs;
/// The worker that processes videos.
mod videos;
