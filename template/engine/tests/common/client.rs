//! Clients of HTTP/1.1 that are rude, narrow or in a hurry.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

pub use longpole_testing::open;
use longpole_testing::{PATIENCE, Response};
use socket2::{Domain, SockRef, Socket, Type};

/// Opens a connection and sends the bytes. `None` if nobody is there any more.
pub fn try_open(to: SocketAddr, bytes: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(to).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(bytes).ok()?;
    Some(stream)
}

/// Opens a connection, sends the bytes, and says that there are no more.
pub fn half_close(to: SocketAddr, bytes: &[u8]) -> TcpStream {
    let stream = open(to, bytes);
    let _ = stream.shutdown(Shutdown::Write); // the service may have closed already
    stream
}

/// Leaves without a goodbye, so that the service finds an error when it next looks at the connection.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Opens a connection that has room for a few kilobytes of an answer that nobody reads.
pub fn open_narrow(to: SocketAddr, bytes: &[u8]) -> TcpStream {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&to.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Reads an answer until the connection ends. `None` if there is no answer, or only a part of it.
pub fn read(stream: &mut TcpStream) -> Option<Response> {
    Response::read(stream)
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
    /// The connection was closed before a byte of the answer came: the service may never have seen the request.
    Closed,
    /// The connection was closed in the middle of the answer.
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
            if let Some(response) = Response::parse(&self.buffer[..length]) {
                return Outcome::Answer(response);
            }
        }
    }
}
