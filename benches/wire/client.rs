use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Read timeout of a response.
const READ_TIMEOUT: Duration = Duration::from_secs(45);

/// A client with one keep-alive connection and one request at a time. It does as little as possible, so that its own
/// cost is small compared with what it measures; subject and ceiling use the same client.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// A response with its timing.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// From the first byte sent to the last byte read.
    pub(crate) took: Duration,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the response, or an error if its status differs.
    pub(crate) fn expect(self, status: u16, what: &str) -> Result<Self, String> {
        if self.status == status {
            return Ok(self);
        }
        let excerpt: String = String::from_utf8_lossy(&self.body).chars().take(200).collect();
        Err(format!("{what} returned {} instead of {status}: {excerpt}", self.status))
    }

    pub(crate) fn json(&self) -> Result<serde_json::Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("a response is not JSON: {error}"))
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, String> {
        let connected = TcpStream::connect(address).and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(READ_TIMEOUT))?;
            Ok(stream)
        });
        let stream = connected.map_err(|error| format!("failed to connect to {address}: {error}"))?;
        Ok(Self { stream: BufReader::with_capacity(128 * 1024, stream) })
    }

    /// Sends a GET without a token.
    pub(crate) fn get(&mut self, path: &str, headers: &str) -> Result<Answer, String> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes(), path)
    }

    /// Sends a write as the development administrator.
    pub(crate) fn write(
        &mut self,
        method: &str,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<Answer, String> {
        let body = body.to_string();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer dev-mock-admin\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send((head + &body).as_bytes(), path)
    }

    /// Sends a body of any type as the development administrator.
    pub(crate) fn post(
        &mut self,
        path: &str,
        content_type: &str,
        headers: &str,
        body: &[u8],
    ) -> Result<Answer, String> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer dev-mock-admin\r\n\
             Content-Type: {content_type}\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(&[head.as_bytes(), body].concat(), path)
    }

    fn send(&mut self, request: &[u8], path: &str) -> Result<Answer, String> {
        let began = Instant::now();
        self.exchange(request, began).map_err(|error| format!("{path}: {error}"))
    }

    fn exchange(&mut self, request: &[u8], began: Instant) -> std::io::Result<Answer> {
        self.stream.get_mut().write_all(request)?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other("no status line"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new(), took: Duration::ZERO };
        if answer.header("transfer-encoding").is_some() {
            return Err(std::io::Error::other("chunked responses are not supported"));
        }
        // A 304 may have the length of the body that it omits.
        if !matches!(status, 204 | 304) {
            let length = answer.header("content-length").and_then(|length| length.parse().ok());
            answer.body.resize(length.unwrap_or(0), 0);
            self.stream.read_exact(&mut answer.body)?;
        }
        answer.took = began.elapsed();
        Ok(answer)
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::Error::other("the server closed the connection"));
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

/// Returns the path of the next page from the `Link` header.
pub(crate) fn next_page(answer: &Answer) -> Option<String> {
    let link = answer.header("link")?;
    link.split(", ").find_map(|link| {
        let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
        let path = target.find("://").map_or(Some(target), |at| {
            let after = &target[at + 3..];
            after.find('/').map(|slash| &after[slash..])
        });
        rest.contains("rel=\"next\"").then_some(path?.to_owned())
    })
}
