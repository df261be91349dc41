//! The fuzz target of connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::connection::{ConnectionActivity, ConnectionService};
use super::connection_builder;
use crate::http::CachedService;

const IDLE: Duration = Duration::from_secs(75);

/// Sends bytes over a connection, closes its sending side, and returns what is received until it ends.
pub(crate) async fn exchange(service: CachedService, bytes: &[u8]) -> Vec<u8> {
    let (client, server) = duplex(64 * 1024);
    let service = service.with_peer(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    let activity = Arc::new(ConnectionActivity::new(IDLE, Arc::default()));
    let mut builder = connection_builder(IDLE);
    // The last response is sent although the client sends nothing more.
    builder.http1().half_close(true);
    let connection = builder.serve_connection(TokioIo::new(server), ConnectionService { service, activity });
    let (mut from_server, mut to_server) = tokio::io::split(client);
    let mut received = Vec::new();
    let send = async {
        // The server may close the connection at any byte.
        _ = to_server.write_all(bytes).await;
        _ = to_server.shutdown().await;
    };
    let receive = async {
        _ = from_server.read_to_end(&mut received).await;
    };
    _ = tokio::join!(connection, send, receive);
    received
}
