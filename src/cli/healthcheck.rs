use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::output::CliError;

const DEADLINE: Duration = Duration::from_secs(3);

/// Requests `/livez`, or `/readyz` if `ready`, over a plain socket: one request does not justify an HTTP client in the binary.
pub(super) async fn run(listen: SocketAddr, ready: bool) -> Result<(), CliError> {
    let path = if ready { "/readyz" } else { "/livez" };
    let host = match listen.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    let address = SocketAddr::new(host, listen.port());
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        io::Result::Ok(status)
    };
    let failure = match tokio::time::timeout(DEADLINE, exchange).await {
        Ok(Ok(status)) if status == *b"HTTP/1.1 200" => return Ok(()),
        Ok(Ok(_)) => "it did not answer 200".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it did not answer in time".to_owned(),
    };
    Err(CliError::failed(format!("no healthy server at {address}{path}: {failure}")))
}
