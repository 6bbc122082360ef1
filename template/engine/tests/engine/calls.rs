//! Calls to other services that behave badly: which calls are sent again, which never are, and where a redirect leads.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Barrier;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use longpole::{CallError, Config, HttpClient, internals};

use crate::common::{Response, Service, Setup, client, setup};
use longpole_testing::{Cut, Upstream, UpstreamAnswer};

/// Calls once, so that the next call finds a connection that was used before.
fn warm(service: &Service, upstream: &Upstream) {
    assert_eq!(call(service, "GET", &upstream.url("/warm"), &[]).status, 200);
}

fn call(service: &Service, method: &str, url: &str, headers: &[(&str, &str)]) -> Response {
    let body: &[u8] = if matches!(method, "POST" | "PUT" | "PATCH") { b"body" } else { b"" };
    service.call(method, &format!("/drill/fetch?url={url}"), headers, body)
}

/// A service with one call at a time: a call that is sent again must have the place of the first try.
fn one_place() -> Setup {
    setup().set("http_client.max_in_flight", "1").set("http_client.max_per_host", "1")
}

/// A service that answers the first request of each connection, and ends the second one in this way.
fn closing(end: Cut) -> Upstream {
    Upstream::start(move |it| match it.nth {
        1 => UpstreamAnswer::new(200, "a whole answer"),
        _ => UpstreamAnswer::new(200, "another answer").cut(end),
    })
}

const SAFE: [(&str, &[(&str, &str)]); 7] = [
    ("GET", &[]),
    ("HEAD", &[]),
    ("OPTIONS", &[]),
    ("PUT", &[]),
    ("DELETE", &[]),
    ("POST", &[("idempotency-key", "a")]),
    ("PATCH", &[("idempotency-key", "b")]),
];

#[test]
fn a_call_that_meets_a_closing_connection_is_sent_once_more_if_it_may_be() {
    let service = one_place().set("http_client.idle_timeout", "60s").start();
    for end in [Cut::BeforeAnswer, Cut::Reset, Cut::InHead] {
        let upstream = closing(end);
        let host = upstream.addr.to_string();
        for (method, headers) in SAFE {
            warm(&service, &upstream);
            let (before, connections) = (upstream.received().len(), upstream.connections());

            let answer = call(&service, method, &upstream.url("/it"), headers);

            assert_eq!(answer.status, 200, "{method}, {end:?}");
            let received = upstream.received();
            let [first, second] = &received[before..] else { panic!("{method}, {end:?}: {received:?}") };
            assert_eq!((first.nth, second.nth), (2, 1), "{method}, {end:?}: on a new connection");
            assert_eq!(upstream.connections(), connections + 1);
            assert_eq!((&first.method, &first.body), (&second.method, &second.body));
            assert_eq!(first.headers, second.headers);
        }
        let calls = service.metric("http_client_request_seconds_count", &[("host", &host)]);
        assert_eq!(calls, 14.0, "what is sent twice is one call");
        assert_eq!(service.metric("http_client_retries_total", &[("host", &host)]), 7.0, "{end:?}");
    }
}

#[test]
fn a_call_that_must_not_be_sent_twice_is_not_and_its_line_names_the_cause() {
    let service = one_place().set("http_client.idle_timeout", "60s").start();
    for end in [Cut::BeforeAnswer, Cut::Reset, Cut::InHead] {
        let upstream = closing(end);
        for method in ["POST", "PATCH"] {
            warm(&service, &upstream);
            let id = format!("{method}-{end:?}");

            call(&service, method, &upstream.url("/it"), &[("x-request-id", &id)]).problem(502);

            assert_eq!(upstream.count(method), 1, "{method}, {end:?}");
            let line = service.await_line("the cause", |line| {
                line["request_id"] == *id && line["level"] == "WARN" && line["message"] != "request"
            });
            let message = line["message"].as_str().unwrap();
            assert!(message.contains("closed a connection that had been idle"), "{line}");
            assert!(message.contains("http_client.idle_timeout"), "{line}");
        }
    }
    assert_eq!(service.metric("http_client_retries_total", &[]), 0.0);
}

#[test]
fn nothing_is_sent_again_on_a_new_connection_after_a_part_of_the_answer_or_a_second_time() {
    let service = one_place().set("http_client.idle_timeout", "60s").start();
    for end in [Cut::BeforeAnswer, Cut::Reset, Cut::InHead] {
        let upstream = Upstream::start(move |it| match it.target.as_str() {
            "/warm" => UpstreamAnswer::new(200, ""),
            _ => UpstreamAnswer::new(200, "an answer").cut(end),
        });
        call(&service, "GET", &upstream.url("/it"), &[]).problem(502);
        assert_eq!(upstream.received().len(), 1, "{end:?}: a new connection is not one that was idle");

        warm(&service, &upstream);
        call(&service, "GET", &upstream.url("/it"), &[]).problem(502);
        let nth: Vec<_> = upstream.received().iter().map(|it| it.nth).collect();
        assert_eq!(nth, [1, 1, 2, 1], "{end:?}: twice and no more");
    }

    let upstream = closing(Cut::InBody);
    warm(&service, &upstream);
    call(&service, "GET", &upstream.url("/it"), &[]).problem(502);
    assert_eq!(upstream.received().len(), 2, "half an answer is one");
}

#[test]
fn many_calls_that_meet_closing_connections_each_get_a_new_one() {
    let service = setup().set("http_client.idle_timeout", "60s").start();
    let all = Barrier::new(8);
    let upstream = Upstream::start(move |it| match (it.nth, it.target.as_str()) {
        (1, "/warm") => {
            all.wait(); // so that no call finds a free connection
            UpstreamAnswer::new(200, "")
        }
        (1, _) => UpstreamAnswer::new(200, ""),
        _ => UpstreamAnswer::new(200, "").cut(Cut::BeforeAnswer),
    });
    let together = |path: &str| {
        let path = format!("/drill/fetch?url={}", upstream.url(path));
        let calls: Vec<_> = (0..8).map(|_| service.begin(&path)).collect();
        calls.into_iter().map(|mut it| client::read(&mut it).unwrap().status).collect::<Vec<_>>()
    };
    assert_eq!(together("/warm"), [200; 8]);
    assert_eq!(upstream.connections(), 8);

    assert_eq!(together("/it"), [200; 8]);

    let received = upstream.received();
    let stale = received.iter().filter(|it| it.nth > 1).count();
    assert!(stale >= 1, "{received:?}");
    assert_eq!(received.len(), 8 + 8 + stale, "each of these once more, and no other");
    assert_eq!(service.metric("http_client_retries_total", &[]), stale as f64);
}

#[test]
fn what_is_sent_once_more_has_what_is_left_of_the_time() {
    let service = one_place()
        .set("http_client.idle_timeout", "60s")
        .set("http_client.timeout", "2s")
        .set("http_client.read_timeout", "1900ms")
        .start();
    let upstream = Upstream::start(|it| match (it.nth, it.target.as_str()) {
        (_, "/warm") => UpstreamAnswer::new(200, ""),
        (1, _) => UpstreamAnswer::new(200, "").after(Duration::from_secs(30)),
        _ => UpstreamAnswer::new(200, "").after(Duration::from_millis(1500)).cut(Cut::BeforeAnswer),
    });
    warm(&service, &upstream);
    let begun = Instant::now();

    call(&service, "GET", &upstream.url("/it"), &[]).problem(504);

    let taken = begun.elapsed();
    assert!((Duration::from_millis(1900)..Duration::from_millis(3000)).contains(&taken), "{taken:?}");
    assert_eq!(upstream.received().len(), 3);
}

#[test]
fn a_connection_that_was_idle_for_too_long_is_not_used_again() {
    for (idle_timeout, connections) in [("60s", 1), ("100ms", 2)] {
        let service = one_place().set("http_client.idle_timeout", idle_timeout).start();
        let upstream = Upstream::start(|_| UpstreamAnswer::new(200, ""));

        warm(&service, &upstream);
        std::thread::sleep(Duration::from_millis(200));
        warm(&service, &upstream);

        assert_eq!(upstream.connections(), connections, "{idle_timeout}");
    }
}

/// A job may call exactly as often as the other service closes its idle connections.
#[test]
fn a_service_that_closes_idle_connections_costs_no_answer() {
    let pause = Duration::from_millis(25);
    let service = one_place().set("http_client.idle_timeout", "60s").start();
    let upstream = Upstream::closing_after(pause, |_| UpstreamAnswer::new(200, ""));
    for _ in 0..60 {
        warm(&service, &upstream);
        std::thread::sleep(pause);
    }
}

fn http(change: impl FnOnce(&mut Config)) -> HttpClient {
    let mut config = Config::default();
    config.http_client.idle_timeout = Duration::from_secs(60);
    change(&mut config);
    internals::http_client(&config).unwrap()
}

/// A body that cannot be sent twice.
struct Part(Option<Bytes>);

impl http_body::Body for Part {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|part| Ok(http_body::Frame::data(part))))
    }
}

#[tokio::test]
async fn a_body_that_is_a_stream_is_not_sent_twice() {
    let upstream = closing(Cut::BeforeAnswer);
    let http = http(|_| ());
    let warm = http.send(http.get(upstream.url("/warm"))).await.unwrap();
    warm.bytes().await.unwrap();

    let put = http.request(reqwest::Method::PUT, upstream.url("/it"));
    let outcome = http.send(put.body(reqwest::Body::wrap(Part(Some("a part".into()))))).await;

    assert!(matches!(outcome, Err(CallError::Closed(_))), "{:?}", outcome.err());
    assert_eq!(upstream.count("PUT"), 1);
}

#[test]
fn a_redirect_is_an_answer_and_nobody_follows_it() {
    let service = setup().set("http_client.max_per_host", "2").start();
    let elsewhere = Upstream::start(|_| UpstreamAnswer::new(200, "").after(Duration::from_millis(300)));
    let to = elsewhere.url("/there");
    let upstream = Upstream::start(move |it| match it.target.strip_prefix('/').unwrap().split_once('/') {
        Some((status, "here")) => UpstreamAnswer::new(status.parse().unwrap(), "").header("location", "/it"),
        Some((status, "tls")) => {
            UpstreamAnswer::new(status.parse().unwrap(), "").header("location", "https://other/")
        }
        Some((status, _)) => UpstreamAnswer::new(status.parse().unwrap(), "moved")
            .header("location", &to)
            .header("refresh", &to),
        None => UpstreamAnswer::new(200, "followed"),
    });
    let secret = [("authorization", "Bearer hunter2")];
    let mut asked = 0;
    for status in [301, 302, 303, 307, 308] {
        for (method, place) in [("GET", "there"), ("POST", "there"), ("GET", "here"), ("GET", "tls")] {
            let answer = call(&service, method, &upstream.url(&format!("/{status}/{place}")), &secret);

            assert_eq!(answer.status, status, "{method} {place}");
            assert!(answer.header("location").is_some(), "the owner can follow it: {answer:?}");
            asked += 1;
        }
    }
    assert_eq!(upstream.received().len(), asked, "nor on the same host");
    assert_eq!(elsewhere.connections(), 0);

    let path = format!("/drill/fetch?url={}", upstream.url("/302/there"));
    let calls: Vec<_> = (0..4).map(|_| service.begin(&path)).collect();
    for mut it in calls {
        assert_eq!(client::read(&mut it).unwrap().status, 302);
    }
    assert_eq!(elsewhere.connections(), 0, "what is bound for one host does not run on another");
    let host = upstream.addr.to_string();
    let labels = [("host", host.as_str()), ("status", "302")];
    assert_eq!(service.metric("http_client_request_seconds_count", &labels), 8.0);
}

#[test]
fn a_proxy_of_the_environment_is_used_and_said_and_the_host_of_the_url_is_counted() {
    let proxy = Upstream::start(|_| UpstreamAnswer::new(200, "by the proxy"));
    let direct = Upstream::start(|_| UpstreamAnswer::new(200, "direct"));
    let service = setup()
        .variable("http_proxy", &format!("http://user:hunter2@{}", proxy.addr))
        .variable("NO_PROXY", "127.0.0.1")
        .start();

    let answer = call(&service, "GET", "http://elsewhere.invalid/it", &[]);

    assert_eq!(answer.text(), "by the proxy");
    let [received] = &proxy.received()[..] else { panic!("{:?}", proxy.received()) };
    assert_eq!(received.target, "http://elsewhere.invalid/it");
    let host = [("host", "elsewhere.invalid")];
    assert_eq!(service.metric("http_client_request_seconds_count", &host), 1.0);
    let line = service.await_line("the proxy", |line| line["variables"].is_string());
    assert!(line.to_string().contains("http_proxy") && !line.to_string().contains("hunter2"), "{line}");
    assert_eq!(call(&service, "GET", &direct.url("/it"), &[]).text(), "direct");
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_host_that_makes_up_statuses_makes_up_few_series() {
    let service = setup().start();
    let upstream = Upstream::start(|it| UpstreamAnswer::new(it.target[1..].parse().unwrap(), ""));
    for status in 200..300 {
        let _ = call(&service, "GET", &upstream.url(&format!("/{status}")), &[]);
    }
    let host = upstream.addr.to_string();
    let count = |status| {
        let labels = [("host", host.as_str()), ("status", status)];
        service.metric("http_client_request_seconds_count", &labels)
    };
    assert_eq!((count("200"), count("231"), count("232")), (1.0, 1.0, 0.0));
    assert_eq!(count("_OTHER"), 68.0);
}

#[tokio::test]
async fn a_client_of_the_owners_sends_within_the_same_bounds() {
    let upstream = closing(Cut::BeforeAnswer);
    let mut config = Config::default();
    (config.http_client.max_in_flight, config.http_client.max_per_host) = (1, 1);
    let ours = internals::http_client(&config).unwrap();
    #[expect(clippy::disallowed_methods, reason = "this is a client of an owner's")]
    let client = reqwest::Client::builder().user_agent("the owner's").build().unwrap();
    let owners = ours.with_client(client);

    let first = owners.send(owners.get(upstream.url("/first"))).await.unwrap();
    let waits =
        tokio::time::timeout(Duration::from_millis(300), ours.send(ours.get(upstream.url("/ours")))).await;
    assert!(waits.is_err(), "the owner's call holds the only place");
    assert_eq!(first.bytes().await.unwrap(), "a whole answer");
    let closed = owners.send(owners.get(upstream.url("/second"))).await;

    assert!(matches!(closed, Err(CallError::Failed(_))), "{:?}", closed.err());
    let received = upstream.received();
    let agents: Vec<_> = received.iter().map(|it| (it.target.as_str(), it.header("user-agent"))).collect();
    assert_eq!(
        agents,
        [("/first", Some("the owner's")), ("/second", Some("the owner's"))],
        "and none is sent twice"
    );
}
