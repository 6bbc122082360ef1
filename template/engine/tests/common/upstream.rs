//! Another service, which answers as a test says, well or badly. It has real sockets, on threads of their own.
//!
//! It notes what it receives, so that a test can say what was sent, how often, and on which connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::PATIENCE;

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    /// The target in the request line: a path, or a whole URL if the request was sent to a proxy.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The number of the request on its connection, from 1 on. A higher number means that the connection was used
    /// before.
    pub nth: usize,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    delay: Duration,
    end: End,
}

/// How far the answer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The answer is whole, and the connection stays open.
    Whole,
    /// The answer is whole, and the connection is closed, although the answer has not said so.
    Close,
    /// The connection is closed instead of an answer, with FIN.
    Nothing,
    /// The connection is closed instead of an answer, with RST.
    Reset,
    /// The connection is closed in the middle of the head.
    HalfHead,
    /// The connection is closed in the middle of the body.
    HalfBody,
}

impl Answer {
    pub fn new(status: u16, body: &str) -> Self {
        let headers = Vec::new();
        Self { status, headers, body: body.into(), delay: Duration::ZERO, end: End::Whole }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The service waits for this long before it answers.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    pub fn ending(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

/// A service that listens until it is dropped.
pub struct Upstream {
    pub addr: SocketAddr,
    state: Arc<State>,
}

struct State {
    script: Box<dyn Fn(&Received) -> Answer + Send + Sync>,
    idle: Duration,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl Upstream {
    /// A service whose connections stay open for as long as a test may take.
    pub fn start(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::closing_after(PATIENCE, script)
    }

    /// A service that closes a connection if nothing came on it for this long after an answer.
    pub fn closing_after(
        idle: Duration,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(State {
            script: Box::new(script),
            idle,
            received: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&accepting);
                if state.ended.load(SeqCst) {
                    return;
                }
                state.connections.fetch_add(1, SeqCst);
                state.open.lock().unwrap().push(stream.try_clone().unwrap());
                // An error here means that the client is gone.
                thread::spawn(move || {
                    if !matches!(state.serve(&stream), Ok(End::Reset)) {
                        let _ = stream.shutdown(Shutdown::Both);
                    }
                });
            }
        });
        Self { addr, state }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// The requests that have come so far, with and without an answer.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// How many requests with this method have come so far.
    pub fn count(&self, method: &str) -> usize {
        self.received().iter().filter(|it| it.method == method).count()
    }

    pub fn connections(&self) -> usize {
        self.state.connections.load(SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.state.ended.store(true, SeqCst);
        let _ = TcpStream::connect(self.addr); // wakes the thread that accepts
        for stream in self.state.open.lock().unwrap().iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    /// Serves one connection. Says how the last answer ended.
    fn serve(&self, stream: &TcpStream) -> std::io::Result<End> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        for nth in 1.. {
            // A new connection is not idle, however long its first request takes on a busy machine.
            stream.set_read_timeout(Some(if nth == 1 { PATIENCE } else { self.idle }))?;
            let Some(received) = receive(&mut reader, nth)? else { return Ok(End::Whole) };
            let answer = (self.script)(&received);
            let of_head = received.method == "HEAD";
            self.received.lock().unwrap().push(received);
            thread::sleep(answer.delay);
            let bytes = answer.bytes(of_head);
            let body = if of_head { 0 } else { answer.body.len() };
            let head = bytes.len() - body;
            let sent = match answer.end {
                End::Whole | End::Close => bytes.len(),
                End::Nothing | End::Reset => 0,
                End::HalfHead => head / 2,
                End::HalfBody => head + body / 2,
            };
            (&*stream).write_all(&bytes[..sent])?;
            if answer.end == End::Reset {
                // The system sends RST when the last handle of the socket is dropped, and the list has a handle, too.
                SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
                let peer = stream.peer_addr()?;
                self.open.lock().unwrap().retain(|open| open.peer_addr().is_ok_and(|it| it != peer));
            }
            if answer.end != End::Whole {
                return Ok(answer.end);
            }
        }
        Ok(End::Whole)
    }
}

impl Answer {
    fn bytes(&self, of_head: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} As the test says\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", self.body.len());
        let mut bytes = head.into_bytes();
        if !of_head {
            bytes.extend(&self.body);
        }
        bytes
    }
}

/// Reads a request. `None` if the client closed the connection, or was idle for too long.
fn receive(reader: &mut BufReader<&TcpStream>, nth: usize) -> std::io::Result<Option<Received>> {
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
    let mut received = Received { method, target, headers, body: Vec::new(), nth };
    if received.header("transfer-encoding") == Some("chunked") {
        while !received.body.ends_with(b"0\r\n\r\n") {
            reader.read_until(b'\n', &mut received.body)?;
        }
    } else if let Some(length) = received.header("content-length") {
        received.body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut received.body)?;
    }
    Ok(Some(received))
}
