//! What does the service do if the network to another program is slow, silent, or cut?

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// A network between the service and another program: its database, or another service. It forwards TCP connections, and a
/// test makes it slow, silent or cut.
///
/// ```no_run
/// # macro_rules! setup { () => { longpole_testing::Setup::of("my-service") } }
/// use std::time::Duration;
///
/// use longpole_testing::{Proxy, Upstream, UpstreamAnswer};
///
/// let upstream = Upstream::start(|_| UpstreamAnswer::new(200, "42"));
/// let network = Proxy::to(upstream.addr);
/// let service = setup!().set("app.quote_url", &network.url("/quote")).start();
///
/// network.round_trip(Duration::from_millis(100)); // from now on, the other service is far away
/// assert_eq!(service.get("/quote").status, 200);
/// network.freeze(); // from now on, no byte goes through, and no connection is closed
/// assert_eq!(service.get("/quote").status, 504);
/// network.thaw();
/// network.disconnect(); // from now on, every connection is closed at once
/// assert_eq!(service.get("/quote").status, 502);
/// ```
///
/// If a test uses PostgreSQL, `Setup::database_proxy` puts a proxy between the service and its database. All connections
/// are closed when this value is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub addr: SocketAddr,
    line: Arc<Line>,
}

/// What all connections of one proxy share.
#[derive(Debug, Default)]
struct Line {
    now: Mutex<Weather>,
    changed: Condvar,
}

/// What happens to the connections at present.
#[derive(Debug, Default)]
struct Weather {
    /// Each new connection waits for this long before anything is forwarded.
    delay: Duration,
    /// Each byte is under way for this long, in each direction.
    latency: Duration,
    frozen: bool,
    disconnected: bool,
    ended: bool,
    round_trips: usize,
    open: Vec<TcpStream>,
}

impl Proxy {
    /// Listens on a port that the system chooses, and forwards each connection to this address. Nobody has to listen there:
    /// if the address refuses a connection, the proxy closes its connection, too.
    pub fn to(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let line = Arc::new(Line::default());
        let shared = Arc::clone(&line);
        thread::spawn(move || {
            // An error is of one connection, or of a process that has no file descriptor left for a moment.
            for client in listener.incoming().flatten() {
                let line = Arc::clone(&shared);
                if line.now().ended {
                    return;
                }
                // An error here means that one of the two sides is gone.
                thread::spawn(move || line.connect(&client, to));
            }
        });
        Self { addr, line }
    }

    /// The URL of a path at this proxy, if an HTTP service is behind it. The path begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// From now on, each new connection waits for this long before anything is forwarded.
    pub fn delay_connections(&self, delay: Duration) {
        self.line.now().delay = delay;
    }

    /// From now on, both sides are far from each other: a question and its answer are under way for this long together.
    pub fn round_trip(&self, takes: Duration) {
        self.line.now().latency = takes / 2;
    }

    /// From now on, connections are accepted and nothing is forwarded, in either direction. No connection is closed.
    pub fn freeze(&self) {
        self.line.now().frozen = true;
    }

    /// Ends [`freeze`](Self::freeze): what was held back is forwarded now.
    pub fn thaw(&self) {
        self.line.now().frozen = false;
        self.line.changed.notify_all();
    }

    /// Closes all connections. New connections are forwarded as before.
    pub fn cut(&self) {
        self.line.now().cut();
    }

    /// Closes all connections. From now on, each new connection is closed at once, too.
    pub fn disconnect(&self) {
        let mut now = self.line.now();
        now.disconnected = true;
        now.cut();
    }

    /// Ends [`disconnect`](Self::disconnect): new connections are forwarded again.
    pub fn reconnect(&self) {
        self.line.now().disconnected = false;
    }

    /// How often the service began to speak after the other side had spoken. This is the number of round trips.
    pub fn round_trips(&self) -> usize {
        self.line.now().round_trips
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut now = self.line.now();
        now.ended = true;
        now.disconnected = true;
        now.cut();
        drop(now);
        self.line.changed.notify_all();
        let _ = TcpStream::connect(self.addr); // wakes the thread that accepts
    }
}

impl Weather {
    fn cut(&mut self) {
        for stream in self.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Line {
    fn now(&self) -> MutexGuard<'_, Weather> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while_frozen(&self) {
        let still = |now: &mut Weather| now.frozen && !now.ended;
        drop(self.changed.wait_while(self.now(), still).unwrap_or_else(PoisonError::into_inner));
    }

    /// Forwards one connection until it ends.
    fn connect(self: &Arc<Self>, client: &TcpStream, to: SocketAddr) -> std::io::Result<()> {
        let delay = self.now().delay;
        thread::sleep(delay);
        self.wait_while_frozen();
        let Ok(server) = TcpStream::connect(to) else { return client.shutdown(Shutdown::Both) };
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let kept = [client.try_clone()?, server.try_clone()?];
        // This is one step: otherwise a `disconnect` could come between the look and the entry, and would miss it.
        let mut now = self.now();
        if now.disconnected {
            return client.shutdown(Shutdown::Both);
        }
        now.open.extend(kept);
        drop(now);
        // `asking` says whether the client was the last to speak on this connection.
        let asking = Arc::new(Mutex::new(false));
        let (from, into) = (server.try_clone()?, client.try_clone()?);
        let (other, back) = (Arc::clone(&asking), Arc::clone(self));
        let answers = thread::spawn(move || {
            back.forward(from, into, || *other.lock().unwrap() = false);
        });
        self.forward(client.try_clone()?, server, || {
            let mut asking = asking.lock().unwrap();
            if !*asking {
                self.now().round_trips += 1;
            }
            *asking = true;
        });
        answers.join().unwrap();
        Ok(())
    }

    /// Forwards in one direction. It goes on reading while the bytes that it has read before are still under way.
    fn forward(&self, mut from: TcpStream, mut into: TcpStream, spoken: impl Fn()) {
        let (under_way, arriving) = mpsc::channel::<(Instant, Vec<u8>)>();
        thread::scope(|scope| {
            scope.spawn(move || {
                for (arrives, bytes) in arriving {
                    thread::sleep(arrives.saturating_duration_since(Instant::now()));
                    self.wait_while_frozen();
                    if into.write_all(&bytes).is_err() {
                        break;
                    }
                }
                self.wait_while_frozen();
                let _ = into.shutdown(Shutdown::Write);
            });
            let mut bytes = [0; 16 * 1024];
            while let Ok(length @ 1..) = from.read(&mut bytes) {
                spoken();
                let latency = self.now().latency;
                if under_way.send((Instant::now() + latency, bytes[..length].to_vec())).is_err() {
                    break;
                }
            }
            drop(under_way);
        });
    }
}
