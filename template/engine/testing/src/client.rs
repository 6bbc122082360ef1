//! How does a test speak HTTP? It sends plain bytes, so that it can also send what no correct client would send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::patience::PATIENCE;

/// A complete answer.
#[derive(Debug)]
pub struct Response {
    /// The status code, such as 200.
    pub status: u16,
    /// Each header's name, in lower case, and its value.
    pub headers: Vec<(String, String)>,
    /// The body, without the sizes of its chunks.
    pub body: Vec<u8>,
}

impl Response {
    /// Reads an answer until the connection ends. Returns `None` if no complete answer came.
    pub fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut answer = Vec::new();
        // If the connection is reset after a complete answer, nothing is lost.
        let _ = stream.read_to_end(&mut answer);
        Self::parse(&answer)
    }

    /// Parses an answer. Returns `None` if the bytes are not a complete answer.
    pub fn parse(answer: &[u8]) -> Option<Self> {
        let split = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&answer[..split]);
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let head = Self { status, headers, body: Vec::new() };
        let body = &answer[split + 4..];
        let body = match (head.header("transfer-encoding"), head.header("content-length")) {
            (Some("chunked"), _) => unchunk(body)?,
            (_, Some(length)) if body.len() != length.parse::<usize>().ok()? => return None,
            _ => body.to_owned(),
        };
        Some(Self { body, ..head })
    }

    /// The value of a header. Give the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that the answer is a problem (RFC 9457) with this status and with every key of a problem. Returns the problem.
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        for key in ["type", "title", "detail"] {
            assert!(problem[key].is_string(), "{key} is missing: {problem}");
        }
        problem
    }
}

/// Returns the bytes of a request, after which the connection is closed.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT") {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// Opens a connection and sends the bytes. To get the answer, read the stream that is returned.
pub fn open(to: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // If the service refuses the head, it may close the connection before it has read everything.
    let _ = stream.write_all(bytes);
    stream
}

/// Opens a connection, sends the bytes, and reads the answer until the connection ends.
pub fn send(to: SocketAddr, bytes: &[u8]) -> Response {
    let answer = Response::read(&mut open(to, bytes));
    answer.unwrap_or_else(|| panic!("no answer to {:?}", String::from_utf8_lossy(bytes)))
}

/// Takes the sizes of the chunks away. Returns `None` if the last chunk is missing.
pub(crate) fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 2 + size + 2..)?;
    }
}
