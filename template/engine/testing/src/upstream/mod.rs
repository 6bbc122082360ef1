//! What does the service do if a service that it calls is slow, wrong, or gone?

mod message;

use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

pub use self::message::{Cut, UpstreamAnswer, UpstreamRequest};
use crate::patience::{PATIENCE, eventually};

/// Another service, which the service under test calls. It answers as the test says, well or badly. It speaks HTTP/1.1, and
/// listens on a port that the system chooses until this value is dropped.
///
/// ```no_run
/// # macro_rules! setup { () => { longpole_testing::Setup::of("my-service") } }
/// use std::time::Duration;
///
/// use longpole_testing::{Cut, Upstream, UpstreamAnswer};
/// use serde_json::json;
///
/// let upstream = Upstream::start(|request| match request.target.as_str() {
///     "/quote" => UpstreamAnswer::json(200, &json!({"text": "a quote"})),
///     "/late" => UpstreamAnswer::new(200, "too late").after(Duration::from_secs(60)),
///     "/torn" => UpstreamAnswer::new(200, "half of this").cut(Cut::InBody),
///     _ => UpstreamAnswer::new(404, ""),
/// });
/// let service = setup!().set("app.quote_url", &upstream.url("/torn")).start();
///
/// service.call("GET", "/quote", &[("x-request-id", "abc")], b"").problem(502);
/// assert_eq!(upstream.received()[0].header("x-request-id"), Some("abc"));
/// ```
///
/// It notes each request, so that a test can say what was sent, how often, and on which connection.
pub struct Upstream {
    /// Where it listens.
    pub addr: SocketAddr,
    desk: Arc<Desk>,
}

/// What all connections of one upstream share.
struct Desk {
    script: Box<dyn Fn(&UpstreamRequest) -> UpstreamAnswer + Send + Sync>,
    idle: Duration,
    notes: Mutex<Notes>,
    ended: Condvar,
}

#[derive(Default)]
struct Notes {
    received: Vec<UpstreamRequest>,
    connections: usize,
    open: Vec<TcpStream>,
    ended: bool,
}

impl Upstream {
    /// Starts a service that calls `script` for each request, on a thread of the request's connection. `script` may wait,
    /// for example for a channel of the test. If `script` panics, the connection is closed.
    pub fn start(script: impl Fn(&UpstreamRequest) -> UpstreamAnswer + Send + Sync + 'static) -> Self {
        Self::closing_after(PATIENCE, script)
    }

    /// Starts a service that closes a connection if no request came on it for this long after an answer.
    pub fn closing_after(
        idle: Duration,
        script: impl Fn(&UpstreamRequest) -> UpstreamAnswer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let desk =
            Desk { script: Box::new(script), idle, notes: Mutex::default(), ended: Condvar::default() };
        let desk = Arc::new(desk);
        let accepting = Arc::clone(&desk);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let desk = Arc::clone(&accepting);
                {
                    let mut notes = desk.notes();
                    if notes.ended {
                        return;
                    }
                    notes.connections += 1;
                    notes.open.extend(stream.try_clone());
                }
                thread::spawn(move || {
                    // An error here means that the client is gone, or that the script has panicked.
                    let outcome = catch_unwind(AssertUnwindSafe(|| desk.serve(&stream)));
                    if !matches!(outcome, Ok(Ok(Some(Cut::Reset)))) {
                        let _ = stream.shutdown(Shutdown::Both);
                    }
                });
            }
        });
        Self { addr, desk }
    }

    /// The URL of a path of this service. The path begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// The requests that have come so far, with and without an answer.
    pub fn received(&self) -> Vec<UpstreamRequest> {
        self.desk.notes().received.clone()
    }

    /// Waits until at least this many requests have come, and returns all of them.
    pub fn await_received(&self, count: usize) -> Vec<UpstreamRequest> {
        eventually(&format!("{count} requests at the upstream"), || {
            Some(self.received()).filter(|received| received.len() >= count)
        })
    }

    /// How many requests with this method have come so far.
    pub fn count(&self, method: &str) -> usize {
        self.desk.notes().received.iter().filter(|it| it.method == method).count()
    }

    /// How many connections have come so far.
    pub fn connections(&self) -> usize {
        self.desk.notes().connections
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let mut notes = self.desk.notes();
        notes.ended = true;
        for stream in notes.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(notes);
        self.desk.ended.notify_all();
        let _ = TcpStream::connect(self.addr); // wakes the thread that accepts
    }
}

impl Desk {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one connection. Says how the last answer was cut.
    fn serve(&self, stream: &TcpStream) -> std::io::Result<Option<Cut>> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        for nth in 1.. {
            // A new connection is not idle, however long its first request takes on a busy machine.
            stream.set_read_timeout(Some(if nth == 1 { PATIENCE } else { self.idle }))?;
            let Some(received) = UpstreamRequest::receive(&mut reader, nth)? else { return Ok(None) };
            let of_head = received.method == "HEAD";
            // It is noted before the script runs: while the script waits, the test can already see the request.
            self.notes().received.push(received.clone());
            let answer = (self.script)(&received);
            drop(self.ended.wait_timeout_while(self.notes(), answer.delay, |notes| !notes.ended));
            (&*stream).write_all(&answer.sent(of_head))?;
            if answer.cut == Some(Cut::Reset) {
                // The system sends RST when the last handle of the socket is dropped, and the list has a handle, too.
                SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
                let peer = stream.peer_addr()?;
                self.notes().open.retain(|open| open.peer_addr().is_ok_and(|it| it != peer));
            }
            if answer.cut.is_some() {
                return Ok(answer.cut);
            }
        }
        Ok(None)
    }
}
