//! A request that would be let in within `admission.max_wait` is not refused. A request that would not is refused at
//! once.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use super::alone;
use crate::common::client::{KeepAlive, Outcome};
use crate::common::http2::{get, well_behaved};
use crate::common::{Service, setup};

/// The status of an answer, how long it took, and how long after the begin it came.
type Answer = (u16, Duration, Duration);

/// Starts this many clients. Each of them asks again as soon as it has its answer, until it is told to stop.
fn closed_loops(
    service: &Service,
    clients: usize,
    path: impl Fn() -> &'static str + Sync,
    lasts: Duration,
) -> Vec<Answer> {
    let answers = Mutex::new(Vec::new());
    let over = AtomicBool::new(false);
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut connection = KeepAlive::open(service.public).unwrap();
                let mut mine = Vec::new();
                while !over.load(SeqCst) {
                    let sent = Instant::now();
                    match connection.get(path(), "") {
                        Outcome::Answer(answer) => {
                            mine.push((answer.status, sent.elapsed(), begun.elapsed()))
                        }
                        outcome => panic!("{outcome:?}"),
                    }
                }
                answers.lock().unwrap().extend(mine);
            });
        }
        thread::sleep(lasts); // the shape of the load
        over.store(true, SeqCst);
    });
    answers.into_inner().unwrap()
}

fn shed(service: &Service) -> f64 {
    service.metric("http_requests_shed_total", &[])
}

#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn as_many_clients_as_can_be_served_within_the_wait_are_all_served() {
    let _alone = alone();
    // There are two places, so requests usually wait in the queue, and some hundred of them leave it each second.
    let service = setup().set("admission.max_in_flight", "2").set("admission.max_wait", "2s").start();
    for clients in [1, 32, 256] {
        let answers = closed_loops(&service, clients, || "/drill/sleep/1", Duration::from_secs(3));
        assert!(answers.len() > clients, "{clients} clients: {} answers", answers.len());
        assert!(answers.iter().all(|(status, ..)| *status == 200), "{clients} clients");
        assert_eq!(shed(&service), 0.0, "{clients} clients");
        thread::sleep(Duration::from_millis(300)); // the shape of the load: a quiet time, then a burst
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "keeps the machine busy: run it by itself"]
async fn so_are_the_streams_of_http2() {
    let service = setup().set("admission.max_in_flight", "4").set("admission.max_wait", "5s").start();
    for _ in 0..3 {
        let clients: Vec<_> = (0..10).map(|_| well_behaved()).collect();
        let asked = clients.iter().flat_map(|client| (0..50).map(move |_| client));
        // `get` asserts 200.
        futures_util::future::join_all(asked.map(|client| get(client, &service, "/drill/sleep/1", "stream")))
            .await;
    }
    assert_eq!(shed(&service), 0.0);
}

#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn a_service_that_becomes_slow_while_the_queue_is_long_refuses_early_again() {
    const PLACES: usize = 4;
    const MAX_WAIT: Duration = Duration::from_millis(500);
    let _alone = alone();
    let service = setup().set("admission.max_in_flight", &PLACES.to_string()).start();
    let slow = AtomicBool::new(false);
    let path = || if slow.load(SeqCst) { "/drill/sleep/100" } else { "/drill/sleep/1" };
    let (before, answers) = thread::scope(|scope| {
        let answers = scope.spawn(|| closed_loops(&service, 128, path, Duration::from_secs(6)));
        thread::sleep(Duration::from_secs(2)); // the shape of the load
        let before = shed(&service);
        slow.store(true, SeqCst);
        (before, answers.join().unwrap())
    });
    assert_eq!(before, 0.0, "fast enough for all");

    // These came more than two waits after the change: 40 a second are served, and no client waits long for its
    // refusal.
    let later: Vec<_> =
        answers.iter().filter(|(.., at)| *at > Duration::from_secs(2) + 2 * MAX_WAIT).collect();
    let good = later.iter().filter(|(status, ..)| *status == 200).count();
    assert!(good as f64 >= 0.8 * 3.0 * 40.0, "{good} in three seconds");
    let mut refused: Vec<_> =
        later.iter().filter(|(status, ..)| *status == 503).map(|(_, took, _)| *took).collect();
    refused.sort();
    assert!(!refused.is_empty());
    let median = refused[refused.len() / 2];
    assert!(median < MAX_WAIT / 2, "refused after {median:?} at the median, of {}", refused.len());
}
