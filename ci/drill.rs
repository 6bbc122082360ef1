//! Makes each link of a service the long pole, one link after another. The service must have been built with the cargo
//! feature `drill`. This uses only the standard library, so that `rustc` alone compiles it.
//!
//!     drill ADDR SECONDS [PHASE...]     runs all phases if no phase is named
//!
//! The exit code is 1 if a request gets no answer at all.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use std::{env, thread};

/// How long an answer may take. Higher: a service that hangs is noticed later. Lower: a slow machine fails.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a slow client waits; a tenth of it passes between two requests that get in the way. Higher: each drill
/// needs more time to show something. Lower: the bottleneck is too short to be seen.
const SLOW: Duration = Duration::from_millis(600);

/// How a client behaves.
#[derive(Clone, Copy)]
enum Client {
    Get(&'static str),
    /// Asks, waits for a while, and then reads.
    ReadsSlowly(&'static str),
    /// Sends the head, waits for a while, and then sends the body.
    SendsSlowly(&'static str),
}
use Client::{Get, ReadsSlowly, SendsSlowly};

/// The phase, the clients that have to wait and how many there are, and the request that gets in their way.
const DRILLS: [(&str, Client, usize, Option<&str>); 14] = [
    ("admission", Get("/drill/spin/0"), 8, Some("/drill/hold-places/600")),
    ("request_body", SendsSlowly("/drill/read"), 4, None),
    ("db_wait", Get("/drill/query/0"), 8, Some("/drill/hold-all/600")),
    ("db_connect", Get("/drill/connect/300"), 4, None),
    ("db_query", Get("/drill/query/300"), 1, None),
    ("http_wait", Get("/drill/call/100"), 12, None),
    ("http_upstream", Get("/drill/call/300"), 1, None),
    ("offload_wait", Get("/drill/offload/100"), 12, None),
    ("offload_run", Get("/drill/offload/300"), 1, None),
    ("loop_delay", Get("/drill/sleep/1"), 8, Some("/drill/block-all/600")),
    ("cpu", Get("/drill/spin/200"), 1, None),
    ("response_body", ReadsSlowly("/drill/bytes/20000000"), 4, None),
    ("other", Get("/drill/sleep/300"), 4, None),
    ("mail", Get("/drill/named/300"), 4, None), // this phase has a name of the owner's
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let parsed = args
        .split_at_checked(2)
        .and_then(|(first, phases)| Some((first[0].parse().ok()?, first[1].parse().ok()?, phases)));
    let Some((addr, seconds, phases)) = parsed else {
        eprintln!("usage: drill ADDR SECONDS [PHASE...]");
        return ExitCode::from(2);
    };
    if let Some(unknown) = phases.iter().find(|phase| !DRILLS.iter().any(|(name, ..)| name == phase)) {
        let names: Vec<_> = DRILLS.iter().map(|(name, ..)| *name).collect();
        eprintln!("there is no phase {unknown}; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    for drill in DRILLS.iter().filter(|(name, ..)| phases.is_empty() || phases.iter().any(|one| one == name))
    {
        println!("{}", drill.0);
        if let Err(error) = run(addr, Duration::from_secs(seconds), drill) {
            eprintln!("{}: {error}", drill.0);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn run(
    addr: SocketAddr,
    time: Duration,
    drill: &(&str, Client, usize, Option<&'static str>),
) -> io::Result<()> {
    let (_, client, clients, in_the_way) = *drill;
    let end = Instant::now() + time;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        if let Some(path) = in_the_way {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    let _ = ask(addr, Get(path));
                    thread::sleep(SLOW / 10);
                }
            });
        }
        let clients: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(move || {
                    while Instant::now() < end {
                        ask(addr, client)?;
                    }
                    Ok(())
                })
            })
            .collect();
        let outcome = clients.into_iter().try_for_each(|client| client.join().expect("a client panicked"));
        over.store(true, Relaxed);
        outcome
    })
}

fn ask(addr: SocketAddr, client: Client) -> io::Result<()> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    match client {
        Get(path) | ReadsSlowly(path) => {
            write!(stream, "GET {path} HTTP/1.1\r\nhost: drill\r\nconnection: close\r\n\r\n")?;
        }
        SendsSlowly(path) => {
            write!(
                stream,
                "POST {path} HTTP/1.1\r\nhost: drill\r\nconnection: close\r\ncontent-length: 5\r\n\r\n"
            )?;
            thread::sleep(SLOW);
            stream.write_all(b"hello")?;
        }
    }
    let mut answer = vec![0; 1000];
    let length = stream.read(&mut answer)?;
    if !answer[..length].starts_with(b"HTTP/1.1 ") {
        return Err(io::Error::other("that is no answer"));
    }
    if let ReadsSlowly(_) = client {
        thread::sleep(SLOW);
    }
    io::copy(&mut stream, &mut io::sink()).map(drop)
}
