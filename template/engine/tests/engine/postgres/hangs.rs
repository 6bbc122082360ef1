//! Does a start end in time that hangs in a blocking call?

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, Setup, hold, make_pipe, resolved_by, setup};

/// A server that offers encryption and then says nothing: its client reads the certificates for it.
fn encrypting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 8];
            if client.read_exact(&mut request).is_ok() && client.write_all(b"S").is_ok() {
                kept.push(client);
            }
        }
    });
    addr
}

/// Its certificates are in a pipe into which nobody writes, so the thread that reads them hangs.
fn hanging() -> Setup {
    let url = format!("postgres://app@{}/app?sslmode=verify-full&sslrootcert=root.crt", encrypting());
    let setup = setup().set("database.url", &url).set("database.startup_timeout", "500ms");
    make_pipe(&setup.dir.path().join("root.crt"));
    setup
}

#[test]
fn a_start_that_hangs_in_a_blocking_call_is_given_up() {
    let setup = hanging().set("database.startup_timeout", "60s");
    let pipe = setup.dir.path().join("root.crt");
    let mut service = setup.start_admin();
    let _held = hold(&pipe);

    let begun = Instant::now();
    service.signal("TERM");

    assert_eq!(service.wait(), 0);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn an_end_does_not_wait_for_a_blocking_call_that_hangs() {
    for (arguments, code) in [(&[][..], 1), (&["check"], 0), (&["migrate"], 1)] {
        let ended = hanging().run(arguments);
        assert_eq!(
            ended.status.code(),
            Some(code),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }
}

/// A resolver that is asked and never answers. The system's own waits for it, on a thread that nobody can end.
#[test]
fn a_start_that_hangs_in_the_resolver_is_given_up() {
    let setup = setup().set("database.url", "postgres://app@database.example/app");
    let setup = resolved_by("127.0.0.9", setup);
    let (Some(setup), Ok(resolver)) = (setup, UdpSocket::bind("127.0.0.9:53")) else {
        // Not silently: the two tests above hang as a resolver does.
        println!("skipped: this user may not have a resolver of its own");
        return;
    };
    resolver.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut service = setup.start_admin();
    resolver.recv(&mut [0; 512]).expect("it is asked");

    let begun = Instant::now();
    service.signal("TERM");

    assert_eq!(service.wait(), 0);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}
