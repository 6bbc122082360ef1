//! A network between the service and another program that is far away, falls silent, breaks off, and counts.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Forwards each connection to `to`.
pub struct Proxy {
    pub addr: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// How many milliseconds each new connection waits before anything is forwarded.
    delay: AtomicU64,
    /// How many milliseconds each byte is under way, in each direction.
    latency: AtomicU64,
    frozen: Mutex<bool>,
    thawed: Condvar,
    turns: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub fn to(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, state) = (client.unwrap(), Arc::clone(&shared));
                thread::spawn(move || connect(&client, to, &state));
            }
        });
        Self { addr, state }
    }

    /// From now on each new connection waits before anything is forwarded.
    pub fn delay_connections(&self, delay: Duration) {
        self.state.delay.store(delay.as_millis() as u64, SeqCst);
    }

    /// From now on both sides are this far from each other: a question and its answer together take this time.
    pub fn round_trip(&self, takes: Duration) {
        self.state.latency.store(takes.as_millis() as u64 / 2, SeqCst);
    }

    /// From now on connections are accepted and nothing is forwarded, in either direction.
    pub fn freeze(&self) {
        *self.state.frozen.lock().unwrap() = true;
    }

    pub fn thaw(&self) {
        *self.state.frozen.lock().unwrap() = false;
        self.state.thawed.notify_all();
    }

    /// Closes all connections.
    pub fn cut(&self) {
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How often the service began to speak after the other side had spoken. This is the number of round trips.
    pub fn round_trips(&self) -> usize {
        self.state.turns.load(SeqCst)
    }
}

fn connect(client: &TcpStream, to: SocketAddr, state: &Arc<State>) {
    thread::sleep(Duration::from_millis(state.delay.load(SeqCst)));
    state.wait_while_frozen();
    let Ok(server) = TcpStream::connect(to) else {
        let _ = client.shutdown(Shutdown::Both);
        return;
    };
    for stream in [client, &server] {
        stream.set_nodelay(true).unwrap();
        state.open.lock().unwrap().push(stream.try_clone().unwrap());
    }
    // `asking` says whether the client was the last to speak on this connection.
    let asking = Arc::new(Mutex::new(false));
    let (from, into) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let (other, back) = (Arc::clone(&asking), Arc::clone(state));
    let answers = thread::spawn(move || {
        forward(from, into, &back, || *other.lock().unwrap() = false);
    });
    forward(client.try_clone().unwrap(), server, state, || {
        let mut asking = asking.lock().unwrap();
        if !*asking {
            state.turns.fetch_add(1, SeqCst);
        }
        *asking = true;
    });
    answers.join().unwrap();
}

/// Forwards in one direction. It goes on reading while the bytes that it has read before are still under way.
fn forward(mut from: TcpStream, mut into: TcpStream, state: &State, spoken: impl Fn()) {
    let (under_way, arriving) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::scope(|scope| {
        scope.spawn(move || {
            for (arrives, bytes) in arriving {
                thread::sleep(arrives.saturating_duration_since(Instant::now()));
                state.wait_while_frozen();
                if into.write_all(&bytes).is_err() {
                    break;
                }
            }
            state.wait_while_frozen();
            let _ = into.shutdown(Shutdown::Write);
        });
        let mut bytes = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            spoken();
            let latency = Duration::from_millis(state.latency.load(SeqCst));
            if under_way.send((Instant::now() + latency, bytes[..length].to_vec())).is_err() {
                break;
            }
        }
        drop(under_way);
    });
}

impl State {
    fn wait_while_frozen(&self) {
        let frozen = self.frozen.lock().unwrap();
        drop(self.thawed.wait_while(frozen, |frozen| *frozen).unwrap());
    }
}
