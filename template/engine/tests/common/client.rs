//! Raw HTTP/1.1: tests send bytes that no well-behaved client would.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, SockRef, Socket, Type};

use super::PATIENCE;

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts a problem of this status that is complete, and returns it.
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

/// The bytes of a request on a connection of its own.
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

pub fn open(to: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The service may close before it has read everything: it refused the head.
    let _ = stream.write_all(bytes);
    stream
}

/// The same; None if nobody is there any more.
pub fn try_open(to: SocketAddr, bytes: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(to).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(bytes).ok()?;
    Some(stream)
}

/// Sends the bytes, and says that there are no more.
pub fn half_close(to: SocketAddr, bytes: &[u8]) -> TcpStream {
    let stream = open(to, bytes);
    let _ = stream.shutdown(Shutdown::Write); // the service may have closed already
    stream
}

/// Leaves without a goodbye: the service's next look at the connection is an error.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Has room for a few kilobytes of an answer that nobody reads.
pub fn open_narrow(to: SocketAddr, bytes: &[u8]) -> TcpStream {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&to.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Sends the bytes and reads the answer to the connection's end.
pub fn send(to: SocketAddr, bytes: &[u8]) -> Response {
    read(&mut open(to, bytes)).unwrap_or_else(|| panic!("no answer to {:?}", String::from_utf8_lossy(bytes)))
}

/// Reads an answer to the connection's end; None if there is none, or only a part of one.
pub fn read(stream: &mut TcpStream) -> Option<Response> {
    let mut answer = Vec::new();
    // A connection reset behind a complete answer is not a loss.
    let _ = stream.read_to_end(&mut answer);
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let response = parse_head(&answer[..split])?;
    let body = answer.split_off(split + 4);
    let body = match (response.header("transfer-encoding"), response.header("content-length")) {
        (Some("chunked"), _) => unchunk(&body)?,
        (_, Some(length)) if body.len() != length.parse::<usize>().ok()? => return None,
        _ => body,
    };
    Some(Response { body, ..response })
}

/// A connection for many requests.
pub struct KeepAlive {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    Answer(Response),
    /// Closed before a byte of the answer: the service may never have seen the request.
    Closed,
    /// Closed in the middle of the answer.
    Torn,
}

impl KeepAlive {
    pub fn open(to: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; 256 * 1024] })
    }

    /// `headers` are whole lines, `x-request-id: abc\r\n`. The answer must have a length.
    pub fn get(&mut self, path: &str, headers: &str) -> Outcome {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        let mut length = 0;
        if self.stream.write_all(request.as_bytes()).is_err() {
            return Outcome::Closed;
        }
        loop {
            match self.stream.read(&mut self.buffer[length..]) {
                Ok(more @ 1..) => length += more,
                _ if length == 0 => return Outcome::Closed,
                _ => return Outcome::Torn,
            }
            let Some(split) = self.buffer[..length].windows(4).position(|window| window == b"\r\n\r\n")
            else {
                continue;
            };
            let response = parse_head(&self.buffer[..split]).unwrap();
            let body: usize = response.header("content-length").unwrap().parse().unwrap();
            if length == split + 4 + body {
                let body = self.buffer[split + 4..length].to_vec();
                return Outcome::Answer(Response { body, ..response });
            }
        }
    }
}

fn parse_head(head: &[u8]) -> Option<Response> {
    let head = String::from_utf8(head.to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Some(Response { status, headers, body: Vec::new() })
}

/// None if the last chunk is missing.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(rest.get(end + 2..end + 2 + size)?);
        rest = &rest[end + 2 + size + 2..];
    }
}
