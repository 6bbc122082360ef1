//! HTTP/2: answers have windows of their own, so a client can leave one unread while the socket is free.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::common::http2::{get, read_slowly, well_behaved};
use crate::common::setup;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "keeps the machine busy: run it by itself"]
async fn an_answer_that_is_not_read_is_closed() {
    // The second answer is handed over as a whole, but its last byte does not fit. Only what hyper still holds tells
    // that.
    for size in [1_000_000, 65_536] {
        let service = setup().set("server.write_timeout", "500ms").start();
        let client = well_behaved();
        let unread = get(&client, &service, &format!("/drill/bytes/{size}"), "unread").await;
        let begun = Instant::now();

        service.await_metric("http_connection_errors_total", &[("kind", "write_timeout")], |closed| {
            closed == 1.0
        });

        assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
        let (length, whole) = read_slowly(unread, Duration::ZERO).await;
        assert!(!whole, "{length} bytes");
        service.await_metric("http_requests_admitted", &[], |admitted| admitted == 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "keeps the machine busy: run it by itself"]
async fn one_that_is_read_slowly_is_not_nor_is_a_slow_handler() {
    let service = setup().set("server.write_timeout", "1s").start();
    let client = well_behaved();
    let waiting = get(&client, &service, "/drill/stream/1500", "quiet"); // longer than the timeout without a byte
    let slow = async {
        let response = get(&client, &service, "/drill/bytes/300000", "slow").await;
        read_slowly(response, Duration::from_millis(200)).await
    };

    let (quiet, slow) = tokio::join!(waiting, slow);

    assert_eq!(slow, (300_000, true));
    assert_eq!(read_slowly(quiet, Duration::ZERO).await, (15, true));
    sleep(Duration::from_millis(1500)).await; // idle for longer than the timeout
    assert_eq!(service.metric("http_connection_errors_total", &[]), 0.0);
    assert_eq!(service.metric("http_connections", &[]), 1.0, "an idle connection has the header timeout");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "keeps the machine busy: run it by itself"]
async fn the_tail_of_an_answer_is_sent_at_shutdown() {
    let mut service = setup().start();
    let client = well_behaved();
    // One byte more than may be sent before the client reads.
    let response = get(&client, &service, "/drill/bytes/65536", "tail").await;
    service.request_line("tail"); // all of it is handed over

    service.signal("TERM");
    service.await_line("the end of accepting", |line| line["message"] == "shutdown: no new connections");
    sleep(Duration::from_millis(600)).await; // longer than a connection may linger without cause

    assert_eq!(read_slowly(response, Duration::ZERO).await, (65_536, true));
    assert_eq!(service.wait(), 0);
}
