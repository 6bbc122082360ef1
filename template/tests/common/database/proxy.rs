//! A network between the service and its database that can fail without a word, and counts.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Forwards each connection to `to`.
pub struct Proxy {
    pub addr: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Milliseconds that each new connection waits first.
    delay: AtomicU64,
    frozen: Mutex<bool>,
    thawed: Condvar,
    turns: AtomicUsize,
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

    /// From now on connections are accepted and nothing is forwarded, in either direction.
    pub fn freeze(&self) {
        *self.state.frozen.lock().unwrap() = true;
    }

    pub fn thaw(&self) {
        *self.state.frozen.lock().unwrap() = false;
        self.state.thawed.notify_all();
    }

    /// How often the service began to speak after the database had spoken: the round trips.
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
    }
    // Whether the client was the last to speak on this connection.
    let asking = Arc::new(Mutex::new(false));
    let (from, into) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let (state, other) = (Arc::clone(state), Arc::clone(&asking));
    let back = Arc::clone(&state);
    let answers = thread::spawn(move || {
        forward(from, into, &back, || *other.lock().unwrap() = false);
    });
    forward(client.try_clone().unwrap(), server, &state, || {
        let mut asking = asking.lock().unwrap();
        if !*asking {
            state.turns.fetch_add(1, SeqCst);
        }
        *asking = true;
    });
    answers.join().unwrap();
}

fn forward(mut from: TcpStream, mut into: TcpStream, state: &State, spoken: impl Fn()) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        state.wait_while_frozen();
        spoken();
        if into.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    state.wait_while_frozen();
    let _ = into.shutdown(Shutdown::Write);
}

impl State {
    fn wait_while_frozen(&self) {
        let frozen = self.frozen.lock().unwrap();
        drop(self.thawed.wait_while(frozen, |frozen| *frozen).unwrap());
    }
}
