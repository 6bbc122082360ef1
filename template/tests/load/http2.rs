//! HTTP/2: answers have windows of their own, so a client can leave one unread while the socket is free.

use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use tokio::time::sleep;

use crate::common::{Service, setup};

/// Takes no more of an answer than the protocol's first 64 KiB before it reads.
#[expect(clippy::disallowed_methods, reason = "a test's own")]
fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().http2_prior_knowledge().tls_certs_only([]);
    client
        .http2_initial_stream_window_size(65_535)
        .http2_initial_connection_window_size(1 << 20)
        .build()
        .unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test's own")]
async fn get(client: &Client, service: &Service, path: &str, id: &str) -> Response {
    let url = format!("http://{}{path}", service.public);
    let response = client.get(url).header("x-request-id", id).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// Reads it slowly. Returns how many bytes there were, and whether that was the end of it.
async fn read_slowly(mut response: Response, pause: Duration) -> (usize, bool) {
    let mut length = 0;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => length += chunk.len(),
            Ok(None) => return (length, true),
            Err(_) => return (length, false),
        }
        sleep(pause).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "keeps the machine busy: run it by itself, see ci/load"]
async fn an_answer_that_is_not_read_is_closed() {
    // The second is handed over whole, and its last byte does not fit: only what hyper still holds tells.
    for size in [1_000_000, 65_536] {
        let service = setup().set("server.write_timeout", "500ms").start();
        let client = client();
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
#[ignore = "keeps the machine busy: run it by itself, see ci/load"]
async fn one_that_is_read_slowly_is_not_nor_is_a_slow_handler() {
    let service = setup().set("server.write_timeout", "1s").start();
    let client = client();
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
#[ignore = "keeps the machine busy: run it by itself, see ci/load"]
async fn the_tail_of_an_answer_is_sent_at_shutdown() {
    let mut service = setup().start();
    let client = client();
    // One byte more than may be sent before the client reads.
    let response = get(&client, &service, "/drill/bytes/65536", "tail").await;
    service.request_line("tail"); // all of it is handed over

    service.signal("TERM");
    service.await_line("the end of accepting", |line| line["message"] == "shutdown: no new connections");
    sleep(Duration::from_millis(600)).await; // longer than a connection may linger without cause

    assert_eq!(read_slowly(response, Duration::ZERO).await, (65_536, true));
    assert_eq!(service.wait(), 0);
}
