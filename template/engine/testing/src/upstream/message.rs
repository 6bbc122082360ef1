//! What did the service under test send, and what does it get?

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::client::unchunk;
use crate::patience::PATIENCE;

/// A request that came to an [`Upstream`](crate::Upstream).
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    /// The method, such as `GET`.
    pub method: String,
    /// The target in the request line: the path with its query, or a whole URL if the request was sent to a proxy.
    pub target: String,
    /// Each header's name, in lower case, and its value.
    pub headers: Vec<(String, String)>,
    /// The body, without the sizes of its chunks.
    pub body: Vec<u8>,
    /// The number of the request on its connection, from 1 on. A higher number means that the connection was used before.
    pub nth: usize,
}

impl UpstreamRequest {
    /// The value of a header. Give the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Reads a request. `None` if the client closed the connection, or was idle for too long.
    pub(super) fn receive(reader: &mut BufReader<&TcpStream>, nth: usize) -> std::io::Result<Option<Self>> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(None);
            }
        }
        reader.get_ref().set_read_timeout(Some(PATIENCE))?;
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let mut received = Self { method, target, headers, body: Vec::new(), nth };
        if received.header("transfer-encoding") == Some("chunked") {
            while !received.body.ends_with(b"0\r\n\r\n") {
                if reader.read_until(b'\n', &mut received.body)? == 0 {
                    return Ok(None);
                }
            }
            received.body = unchunk(&received.body).unwrap_or_default();
        } else if let Some(length) = received.header("content-length") {
            received.body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut received.body)?;
        }
        Ok(Some(received))
    }
}

/// What an [`Upstream`](crate::Upstream) does with a request: it answers, late or at once, and maybe cuts the answer.
#[derive(Clone, Debug)]
pub struct UpstreamAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    pub(super) delay: Duration,
    pub(super) cut: Option<Cut>,
}

/// Where an [`UpstreamAnswer`] ends too early, because its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The connection is closed instead of an answer, with FIN: the other side closes it as usual.
    BeforeAnswer,
    /// The connection is closed instead of an answer, with RST: the other side has crashed.
    Reset,
    /// The connection is closed in the middle of the head.
    InHead,
    /// The connection is closed in the middle of the body.
    InBody,
    /// The answer is whole, and then the connection is closed, although the answer has not said so.
    AfterAnswer,
}

impl UpstreamAnswer {
    /// An answer with this status and body. It comes at once and whole, and the connection stays open.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), delay: Duration::ZERO, cut: None }
    }

    /// An answer with this status, whose body is JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string()).header("content-type", "application/json")
    }

    /// Adds a header. The header `content-length` is there already.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The answer comes after this time. With [`Duration::MAX`] it never comes, and the connection stays open.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The connection is closed here.
    #[must_use]
    pub fn cut(mut self, cut: Cut) -> Self {
        self.cut = Some(cut);
        self
    }

    /// The bytes that are sent before the connection is cut. The answer to `HEAD` has no body.
    pub(super) fn sent(&self, of_head: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} As the test says\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", self.body.len());
        let mut bytes = head.into_bytes();
        let head = bytes.len();
        if !of_head {
            bytes.extend(&self.body);
        }
        bytes.truncate(match self.cut {
            None | Some(Cut::AfterAnswer) => bytes.len(),
            Some(Cut::BeforeAnswer | Cut::Reset) => 0,
            Some(Cut::InHead) => head / 2,
            Some(Cut::InBody) => head + (bytes.len() - head) / 2,
        });
        bytes
    }
}
