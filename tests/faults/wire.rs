//! Connections without a pool and without retries, so that each request is sent exactly once.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::program::Server;

/// The token of the development administrator.
pub(crate) const ADMIN: &str = "dev-mock-admin";

/// The address of the clients that are served.
pub(crate) const CLIENT: [u8; 4] = [127, 0, 0, 1];

/// Returns the address of a server.
pub(crate) fn address(server: &Server) -> SocketAddr {
    server.base().trim_start_matches("http://").parse().expect("an address")
}

/// Returns a GET, with a token if there is one.
pub(crate) fn get(path: &str, token: Option<&str>) -> String {
    request("GET", path, token, "")
}

/// Returns a request of the administrator with a body of JSON.
pub(crate) fn write(method: &str, path: &str, body: &Value) -> String {
    request(method, path, Some(ADMIN), &body.to_string())
}

fn request(method: &str, path: &str, token: Option<&str>, body: &str) -> String {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let body_head = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{token}{body_head}\r\n{body}")
}

/// A response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Returns whether the server closes the connection.
    pub(crate) fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close\r\n")
    }

    /// Returns the body.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A connection that is kept alive.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects from an address of this machine, with a receive buffer of the given size or that of the system.
    pub(crate) async fn open(
        server: SocketAddr,
        client: [u8; 4],
        receive_buffer: Option<u32>,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((client, 0).into())?;
        if let Some(size) = receive_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        let stream = socket.connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Sends a request and waits for its response.
    pub(crate) async fn exchange(&mut self, request: &str) -> io::Result<Reply> {
        self.send(request).await?;
        self.receive().await
    }

    /// Waits for a response. Its body has a `Content-Length`, or there is none.
    pub(crate) async fn receive(&mut self) -> io::Result<Reply> {
        let head = loop {
            if let Some(at) = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let rest = self.received.split_off(at + 4);
                let head = std::mem::replace(&mut self.received, rest);
                break String::from_utf8_lossy(&head).to_ascii_lowercase();
            }
            self.read_more().await?;
        };
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, head.clone()))?;
        let length = head.split("\r\ncontent-length: ").nth(1);
        let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok()).unwrap_or(0);
        while self.received.len() < length {
            self.read_more().await?;
        }
        let rest = self.received.split_off(length);
        Ok(Reply { status, head, body: std::mem::replace(&mut self.received, rest) })
    }

    /// Waits until the server closes the connection.
    pub(crate) async fn closed(&mut self) {
        while self.read_more().await.is_ok() {
            self.received.clear();
        }
    }

    async fn read_more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
