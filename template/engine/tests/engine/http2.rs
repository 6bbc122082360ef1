//! Over HTTP/2 many requests share a connection. If a client does not take one answer, the other answers must not
//! suffer.

#![expect(clippy::disallowed_methods, reason = "a test's own tasks and calls")]

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::common::http2::{self, Frames, get, read_slowly, well_behaved};
use crate::common::setup;

/// Much longer than the bound on writes.
const STREAM: (&str, usize) = ("/drill/stream/500", 15);

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_read_is_reset_alone() {
    let service = setup().set("server.write_timeout", "500ms").start();
    let client = well_behaved();
    let unread = get(&client, &service, "/drill/bytes/1000000", "unread").await;
    let mut neighbours = JoinSet::new();
    for n in 0..49 {
        let response = get(&client, &service, STREAM.0, &format!("neighbour-{n}")).await;
        neighbours.spawn(read_slowly(response, Duration::ZERO));
    }

    service.await_metric("http_connection_errors_total", &[("kind", "write_timeout")], |n| n == 1.0);

    assert_eq!(service.request_line("unread")["outcome"], "client_gone");
    for read in neighbours.join_all().await {
        assert_eq!(read, (STREAM.1, true));
    }
    assert!(!read_slowly(unread, Duration::ZERO).await.1);
    get(&client, &service, "/drill/sleep/0", "later").await;
    assert_eq!(service.metric("http_connections", &[]), 1.0, "it is the same connection");
    assert_eq!(service.metric("http_connection_errors_total", &[]), 1.0);
    assert_eq!(service.metric("http_requests_admitted", &[]), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_cannot_be_reset_the_others_finish_before_the_connection_is_closed() {
    let service = setup().set("server.write_timeout", "500ms").start();
    let client = well_behaved();
    // hyper has the whole answer, and its last byte has no room: nothing can reset this answer.
    let unread = get(&client, &service, "/drill/bytes/65536", "unread").await;
    let neighbour = get(&client, &service, STREAM.0, "neighbour").await;

    assert_eq!(read_slowly(neighbour, Duration::ZERO).await, (STREAM.1, true));

    service.await_metric("http_connection_errors_total", &[("kind", "write_timeout")], |n| n == 1.0);
    service.await_metric("http_connections", &[], |open| open == 0.0);
    assert!(!read_slowly(unread, Duration::ZERO).await.1);
    get(&client, &service, "/drill/sleep/0", "later").await;
}

#[test]
fn the_client_learns_which_answer_it_has_lost() {
    const CANCEL: &[u8] = &[0, 0, 0, 8];
    let service = setup().set("server.write_timeout", "300ms").start();
    let mut frames = Frames::open(&service);
    frames.get(1, "/drill/bytes/1000000");
    frames.get(3, "/drill/bytes/65536"); // one byte more than may be sent
    frames.get(5, STREAM.0);

    let mut seen = Vec::new();
    while let Some(frame) = frames.next() {
        match (frame.kind, frame.stream) {
            (http2::RST_STREAM, 1) => {
                assert_eq!(frame.payload, CANCEL);
                seen.push("reset");
            }
            (http2::RST_STREAM, stream) => panic!("stream {stream} was reset"),
            // The first GOAWAY announces a second one.
            (http2::GOAWAY, _) if !seen.contains(&"goaway") => seen.push("goaway"),
            (http2::DATA, 5) if frame.flags & http2::END_STREAM != 0 => seen.push("the neighbour's end"),
            _ => {}
        }
    }

    // The two answers that are not read may be found in any order.
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen.contains(&"reset") && seen.contains(&"goaway"), "{seen:?}");
    assert_eq!(seen[2], "the neighbour's end");
    service.await_metric("http_connection_errors_total", &[("kind", "write_timeout")], |n| n == 2.0);
}

/// Reads until GOAWAY. False if the connection ends without it.
fn is_told_to_go(frames: &mut Frames) -> bool {
    std::iter::from_fn(|| frames.next()).any(|frame| frame.kind == http2::GOAWAY)
}

#[test]
fn an_idle_connection_is_told_before_it_is_closed() {
    let service = setup().set("server.header_timeout", "400ms").start();
    let mut frames = Frames::open(&service);
    frames.get(1, "/drill/sleep/0");

    assert!(is_told_to_go(&mut frames));

    while frames.next().is_some() {}
    service.await_metric("http_connections", &[], |open| open == 0.0);
    assert_eq!(service.metric("http_connection_errors_total", &[]), 0.0);
}

#[test]
fn during_the_drain_delay_new_and_old_connections_are_told() {
    let setup = setup().set("shutdown.drain_delay", "20s").set("shutdown.grace", "40s");
    let service = setup.set("platform.termination_grace", "60s").start();
    let mut old = Frames::open(&service);
    old.get(1, "/drill/stream/1000");
    service.await_in_flight(1.0);
    service.signal("TERM");
    service.await_line("the drain", |line| line["message"] == "shutdown: draining");

    let mut new = Frames::open(&service);
    new.get(1, "/drill/stream/1000");

    for frames in [&mut old, &mut new] {
        assert!(is_told_to_go(frames));
        let ends = |frame: http2::Frame| frame.stream == 1 && frame.flags & http2::END_STREAM != 0;
        assert!(std::iter::from_fn(|| frames.next()).any(ends), "its request finishes");
    }
    assert!(service.log().iter().all(|line| line["message"] != "shutdown: no new connections"));
}

#[test]
fn a_body_fills_no_more_than_a_part_of_its_connections_window() {
    const BEGINNING: u32 = 65_535; // what the protocol begins with
    let service = setup().start();
    let mut frames = Frames::open(&service);
    let (mut stream, mut connection) = (BEGINNING, BEGINNING);
    while connection == BEGINNING || stream == BEGINNING {
        let frame = frames.next().unwrap();
        let number = |at: usize| u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap());
        match (frame.kind, frame.stream) {
            (http2::WINDOW_UPDATE, 0) => connection += number(0),
            (http2::SETTINGS, _) => {
                const INITIAL_WINDOW_SIZE: &[u8] = &[0, 4];
                let at = frame.payload.chunks(6).position(|setting| setting.starts_with(INITIAL_WINDOW_SIZE));
                stream = at.map_or(stream, |at| number(6 * at + 2));
            }
            _ => {}
        }
    }
    assert!(8 * stream <= connection, "{stream} of {connection}");
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_nobody_reads_leave_room_for_others() {
    const LONG: Duration = Duration::from_secs(8);
    let service = setup().set("server.body_limit", "8MiB").start();
    let client = well_behaved();
    let upload = |path: &str, size: usize| {
        client.post(format!("http://{}{path}", service.public)).body(vec![b'x'; size])
    };
    let mut unread = JoinSet::new();
    for _ in 0..8 {
        let sending = upload(&format!("/drill/unread/{}", LONG.as_millis()), 4_000_000);
        unread.spawn(send(sending));
    }
    service.await_in_flight(8.0);
    sleep(Duration::from_millis(300)).await; // until their windows are full

    let answered = timeout(LONG / 2, send(upload("/drill/read", 200_000))).await;

    assert_eq!(answered.expect("it is not held up"), Some(200));
    unread.abort_all();
}

pub async fn send(request: reqwest::RequestBuilder) -> Option<u16> {
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    response.bytes().await.ok().map(|_| status)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shutdown_cuts_off_leaves_its_line_too() {
    let mut service = setup().set("shutdown.grace", "300ms").start();
    let client = well_behaved();
    let mut sending = JoinSet::new();
    for n in 0..100 {
        let url = format!("http://{}/drill/never", service.public);
        sending.spawn(send(client.get(url).header("x-request-id", format!("n-{n}"))));
    }
    service.await_in_flight(100.0);

    service.signal("TERM");

    assert_eq!(service.wait(), 3);
    let log = service.log();
    let cut = log.iter().filter(|line| line["message"] == "request" && line["outcome"] == "aborted");
    assert_eq!(cut.count(), 100);
    assert_eq!(sending.join_all().await.iter().flatten().count(), 0);
}
