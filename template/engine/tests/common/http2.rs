//! Clients of HTTP/2, without TLS: one that behaves, and one that shows each frame.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::{Client, Response};
use tokio::time::sleep;

use super::{Service, client};

/// A client that takes no more of an answer than the protocol's first 64 KiB before it reads.
#[expect(clippy::disallowed_methods, reason = "a test's own")]
pub fn well_behaved() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().http2_prior_knowledge().tls_certs_only([]);
    client
        .http2_initial_stream_window_size(65_535)
        .http2_initial_connection_window_size(1 << 20)
        .build()
        .unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test's own")]
pub async fn get(client: &Client, service: &Service, path: &str, id: &str) -> Response {
    let url = format!("http://{}{path}", service.public);
    let response = client.get(url).header("x-request-id", id).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// Reads an answer slowly. Returns how many bytes came, and whether the answer came to its end.
pub async fn read_slowly(mut response: Response, pause: Duration) -> (usize, bool) {
    let mut length = 0;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => length += chunk.len(),
            Ok(None) => return (length, true),
            Err(_) => return (length, false),
        }
        sleep(pause).await;
    }
}

/// A connection whose frames are written and read one by one. It opens no window by itself.
pub struct Frames(TcpStream);

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

pub const DATA: u8 = 0;
const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

pub const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

impl Frames {
    pub fn open(service: &Service) -> Self {
        let mut frames = Self(client::open(service.public, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        frames.write(SETTINGS, 0, 0, &[]);
        frames.write(WINDOW_UPDATE, 0, 0, &(1u32 << 20).to_be_bytes());
        frames
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = &(payload.len() as u32).to_be_bytes()[1..];
        let frame = [length, &[kind, flags], &stream.to_be_bytes(), payload].concat();
        self.0.write_all(&frame).unwrap();
    }

    pub fn get(&mut self, stream: u32, path: &str) {
        let mut block = Vec::new();
        for (name, value) in [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "x")] {
            // The header is literal, not indexed and not compressed.
            block.extend(
                [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat(),
            );
        }
        self.write(HEADERS, END_HEADERS | END_STREAM, stream, &block);
    }

    /// The next frame. `None` if the connection has ended.
    pub fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let frame = Frame { kind: head[3], flags: head[4], stream, payload };
        if [SETTINGS, PING].contains(&frame.kind) && frame.flags & ACK == 0 {
            let payload: &[u8] = if frame.kind == PING { &frame.payload } else { &[] };
            self.write(frame.kind, ACK, 0, payload);
        }
        Some(frame)
    }
}
