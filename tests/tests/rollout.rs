//! Two replicas behind nginx, restarted in turn under constant load: no request fails.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, MutexGuard};
use std::thread;

use longpole_tests::generate::{NEWEST, generate};
use longpole_tests::nginx::Nginx;
use longpole_tests::place;
use longpole_tests::process::{PATIENCE, poll};
use longpole_tests::service::{Running, ask, build, start};

const CLIENTS: usize = 8;
const RESTARTS: usize = 3; // of each replica
const REQUESTS: usize = 10_000; // at least, in each of the two ways

#[test]
fn no_request_fails_while_replicas_are_restarted_in_turn() {
    let program = build(&generate(NEWEST, "replica", &place("replica")).done());

    // This is nginx's default: a GET that got no answer is sent to the next replica.
    let replica = |addr: &str| start(&program, &[("APP__SERVER__ADDR", addr)]);
    let (failed, sent) = restarts(&replica, "GET", |_, _| {});
    assert!(failed.is_empty(), "{} of {sent}: {:?}", failed.len(), failed.first());
    println!("GET: {sent} requests, none failed");

    // A POST is not sent twice. So the replica is first taken out of nginx, and goes on to serve for the drain delay.
    let replica =
        |addr: &str| start(&program, &[("APP__SERVER__ADDR", addr), ("APP__SHUTDOWN__DRAIN_DELAY", "3s")]);
    let (failed, sent) = restarts(&replica, "POST", |nginx, others| nginx.send_to(others));
    assert!(failed.is_empty(), "{} of {sent}: {:?}", failed.len(), failed.first());
    println!("POST: {sent} requests, none failed");
}

/// Restarts both replicas in turn under load. `steer` tells nginx where to send requests. Returns the requests that
/// failed, and how many were sent.
fn restarts(
    replica: &dyn Fn(&str) -> Running,
    method: &str,
    steer: impl Fn(&Nginx, &[String]),
) -> (Vec<String>, usize) {
    let mut replicas = [replica("127.0.0.1:0"), replica("127.0.0.1:0")];
    let addrs = replicas.each_ref().map(|replica| replica.public.clone());
    let nginx = Nginx::start(&addrs);
    let (failed, sent, over) = (Mutex::new(Vec::new()), Mutex::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    if let Err(error) = one(method, &nginx.addr) {
                        failed.lock().unwrap().push(error);
                    }
                    *sent.lock().unwrap() += 1;
                }
            });
        }
        let ends = Ends(&over);
        for _ in 0..RESTARTS {
            for n in 0..2 {
                let admin = replicas[n].admin.clone();
                replicas[n].terminate();
                if method == "POST" {
                    poll("/readyz 503", PATIENCE, || {
                        (ask("GET", &format!("http://{admin}/readyz"), &[], "").status() == 503).then_some(())
                    });
                }
                steer(&nginx, &[addrs[1 - n].clone()]);
                assert_eq!(replicas[n].wait().code(), Some(0));
                replicas[n] = replica(&addrs[n]);
                steer(&nginx, &addrs);
            }
        }
        let enough = |sent: MutexGuard<'_, usize>| (*sent >= REQUESTS).then_some(());
        poll("so many requests", PATIENCE, || enough(sent.lock().unwrap()));
        drop(ends);
    });
    (failed.into_inner().unwrap(), sent.into_inner().unwrap())
}

/// Ends the clients when this is dropped, also if the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn one(method: &str, addr: &str) -> Result<(), String> {
    let (path, wanted) = if method == "POST" { ("/items", 201) } else { ("/hello", 200) };
    let headers = [("content-type", "application/json"), ("connection", "close")];
    let body = if method == "POST" { r#"{"name": "x"}"# } else { "" };
    let answer = longpole_tests::service::try_ask(method, &format!("http://{addr}{path}"), &headers, body)?;
    if answer.status() == wanted { Ok(()) } else { Err(format!("{answer:?}")) }
}
