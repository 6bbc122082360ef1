//! The database goes away and comes back, while requests keep coming: what they get, what the probes say, and
//! that nothing is lost for good.
//!
//! Three times each; `OUTAGES` says how often instead.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};
use std::{env, thread};

use crate::common::{Service, Setup, WRITE, eventually, setup};
use longpole_testing::Server;

const CONNECTIONS: usize = 4;
const CLIENTS: usize = 8;
/// The default of `database.acquire_timeout`.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// After this all is well again.
const RECOVERY: Duration = Duration::from_secs(5);
/// What this machine may be busy with meanwhile.
const NOISE: Duration = Duration::from_secs(1);

struct Answer {
    status: u16,
    begun: Instant,
    took: Duration,
}

struct Outage {
    /// Between these two it goes.
    goes: Instant,
    gone: Instant,
    /// Between these two it comes back.
    comes: Instant,
    back: Instant,
}

#[test]
fn a_server_that_stops_and_starts() {
    let server = Mutex::new(Server::start());
    let service = start(setup().on(&server.lock().unwrap()));

    survives(&service, || server.lock().unwrap().stop(), || server.lock().unwrap().resume());
}

#[test]
fn connections_that_are_cut_without_a_word() {
    let (setup, network) = setup().database_proxy();
    let service = start(setup);

    survives(&service, || network.freeze(), || network.thaw());
}

#[test]
fn connections_that_are_closed_at_once() {
    let (setup, network) = setup().database_proxy();
    let service = start(setup);

    survives(&service, || network.disconnect(), || network.reconnect());
}

fn start(setup: Setup) -> Service {
    setup.set("database.max_connections", &CONNECTIONS.to_string()).start()
}

fn survives(service: &Service, goes: impl Fn() + Sync, comes: impl Fn() + Sync) {
    let outages = env::var("OUTAGES").map_or(3, |outages| outages.parse().unwrap());
    let answers = Mutex::new(Vec::new());
    let over = AtomicBool::new(false);
    let outages = thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    let begun = Instant::now();
                    let status = service.get("/drill/hold/5").status;
                    answers.lock().unwrap().push(Answer { status, begun, took: begun.elapsed() });
                }
            });
        }
        // However this ends, the clients must, too.
        let cycles =
            || (0..outages).map(|_| one_outage(service, &answers, &goes, &comes)).collect::<Vec<_>>();
        let outcome = scope.spawn(cycles).join();
        over.store(true, SeqCst);
        outcome.unwrap()
    });

    // Each request of the whole time, those that were under way when it went included.
    for Answer { status, begun, took } in answers.into_inner().unwrap() {
        assert!(took < ACQUIRE_TIMEOUT + NOISE, "{status} after {took:?}");
        assert!(matches!(status, 200 | 503), "{status}");
        for Outage { gone, comes, .. } in &outages {
            let away = begun >= *gone + NOISE && begun + took <= *comes;
            assert!(status == 503 || !away, "nobody could have answered");
        }
        let is_of = |outage: &Outage| begun + took >= outage.goes && begun < outage.back + RECOVERY;
        assert!(status == 200 || outages.iter().any(is_of), "all was well");
    }
    no_permit_is_lost(service);
}

fn one_outage(
    service: &Service,
    answers: &Mutex<Vec<Answer>>,
    goes: &impl Fn(),
    comes: &impl Fn(),
) -> Outage {
    let since = |begin: Instant, wanted: u16| {
        let answers = answers.lock().unwrap();
        answers.iter().filter(|answer| answer.begun >= begin && answer.status == wanted).count()
    };
    eventually("ready", || (service.ask("/readyz").status == 200).then_some(()));
    let well = Instant::now();
    eventually("good answers", || (since(well, 200) >= 2 * CLIENTS).then_some(()));

    let begins_to_go = Instant::now();
    goes();
    let gone = Instant::now();
    eventually("/readyz 503", || (service.ask("/readyz").status == 503).then_some(()));
    assert!(gone.elapsed() < Duration::from_secs(2) + NOISE, "/readyz after {:?}", gone.elapsed());
    assert_eq!(service.ask("/livez").status, 200);
    eventually("refusals", || (since(gone, 503) >= 2 * CLIENTS).then_some(()));

    let begins_to_come = Instant::now();
    comes();
    let back = Instant::now();
    eventually("a good answer", || (since(back, 200) > 0).then_some(()));
    assert!(back.elapsed() < RECOVERY, "good again after {:?}", back.elapsed());
    Outage { goes: begins_to_go, gone, comes: begins_to_come, back }
}

/// As many requests hold a connection at once as the pool may have.
fn no_permit_is_lost(service: &Service) {
    let labels = [("pool", WRITE), ("state", "in_use")];
    service.await_metric("db_pool_connections", &labels, |in_use| in_use == 0.0);
    let _holding: Vec<_> = (0..CONNECTIONS).map(|_| service.begin("/drill/hold/60000")).collect();
    service.await_metric("db_pool_connections", &labels, |in_use| in_use == CONNECTIONS as f64);
    let idle = service.metric("db_pool_connections", &[labels[0], ("state", "idle")]);
    assert_eq!(idle, 0.0);
}
