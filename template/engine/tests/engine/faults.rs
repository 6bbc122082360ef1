//! Panics, blocked workers and unknown hosts: do faults stay small, and can an operator see them?

use std::time::{Duration, Instant};

use crate::common::{client, eventually, request, send, setup};

#[test]
fn a_panic_is_a_500_with_its_id_and_the_service_goes_on() {
    let service = setup().start();

    let response = service.call("GET", "/drill/panic", &[("x-request-id", "oops")], b"");

    let problem = response.problem(500);
    assert_eq!(problem["request_id"], "oops");
    assert!(!problem.to_string().contains("drill"), "nothing internal: {problem}");
    assert_eq!(service.request_line("oops")["outcome"], "server_error");
    let panics: Vec<_> =
        service.log().into_iter().filter(|line| line["message"] == "panic: drill: panic").collect();
    assert_eq!(panics.len(), 1);
    assert_eq!(panics[0]["request_id"], "oops");
    assert!(panics[0]["location"].as_str().unwrap().contains("drill/event_loop.rs"));
    assert_eq!(service.get("/drill/sleep/0").status, 200);
    service.await_metric("http_requests_in_flight", &[], |open| open == 0.0);
}

#[test]
fn a_panic_off_the_event_loop_is_a_500_too() {
    let service = setup().start();

    service.get("/drill/offload-panic").problem(500);

    assert_eq!(service.get("/drill/offload/0").status, 200, "the thread came back");
}

#[test]
fn the_admin_listener_answers_while_every_worker_is_blocked() {
    let service = setup().set("server.worker_threads", "2").set("watchdog.dead_after", "2s").start();
    assert_eq!((service.ask("/livez").status, service.ask("/readyz").status), (200, 200));

    service.get("/drill/block-all/60000");
    service.await_line("the stall", |line| {
        line["message"].as_str().is_some_and(|message| message.starts_with("event loop stalled"))
    });

    let asked = |path| {
        let begun = Instant::now();
        let response = service.ask(path);
        assert!(begun.elapsed() < Duration::from_millis(250), "{path} took {:?}", begun.elapsed());
        response
    };
    assert_eq!(asked("/livez").status, 200, "a short stall is no reason to restart");
    assert_eq!(asked("/metrics").status, 200);
    let unready = eventually("/readyz 503", || Some(asked("/readyz")).filter(|r| r.status == 503)).text();
    assert!(unready.contains("event loop stalled"), "{unready}");
    let dead = eventually("/livez 503", || Some(asked("/livez")).filter(|r| r.status == 503)).text();
    let stalled: u64 = dead.split(' ').find_map(|word| word.parse().ok()).unwrap();
    assert!(stalled >= 2000, "{dead}");
    assert_eq!(asked("/metrics").status, 200);
}

#[test]
fn a_dead_loop_is_a_503_that_names_the_culprit() {
    let service = setup().set("server.worker_threads", "1").set("watchdog.dead_after", "500ms").start();
    assert_eq!(service.ask("/livez").status, 200);

    let _culprit = service.begin("/drill/block/60000");

    let dead = eventually("/livez 503", || Some(service.ask("/livez")).filter(|r| r.status == 503)).text();
    assert!(dead.contains("by GET /drill/block/{ms}"), "{dead}");
    let status = service.ask("/status.json").json();
    assert_eq!(status["stalls"][0]["culprit"], "GET /drill/block/{ms}");
    assert_eq!(status["docs"], "https://longpole.example/docs");
    assert_eq!(status["open"][0]["route"], "/drill/block/{ms}");
    assert_eq!(status["open"][0]["phase"], "cpu");
}

#[test]
fn a_background_task_that_blocks_is_named() {
    let service = setup().set("server.worker_threads", "2").start();

    service.get("/drill/block-background/400");

    service.await_line("the name", |line| line["culprit"] == "background task drill: blocks");
}

#[test]
fn a_task_that_blocks_after_its_request_is_named() {
    let service = setup().set("server.worker_threads", "2").start();

    let answer = service.call("GET", "/drill/spawn-block/400", &[("x-request-id", "abc")], b"");

    assert_eq!(answer.status, 200);
    service.await_line("the name", |line| {
        line["culprit"] == "GET /drill/spawn-block/{ms}" && line["request_id"] == "abc"
    });
}

#[test]
fn each_of_many_stalls_is_told_once() {
    const BLOCKED: usize = 30; // more than are remembered
    let service = setup().set("server.worker_threads", "32").start();

    let blocked: Vec<_> = (0..BLOCKED).map(|_| service.begin("/drill/block/1000")).collect();
    for mut stream in blocked {
        assert_eq!(client::read(&mut stream).unwrap().status, 200);
    }

    let is_warning = |line: &serde_json::Value| line["culprit"] == "GET /drill/block/{ms}";
    let warnings = service.log().into_iter().filter(is_warning).count();
    assert!((1..=BLOCKED).contains(&warnings), "{warnings} warnings");
    let stalls = || service.ask("/status.json").json()["stalls"].as_array().unwrap().len();
    eventually("old ones are forgotten", || (stalls() <= BLOCKED).then_some(()));
}

#[test]
fn without_certificates_the_service_starts_and_says_so() {
    let setup = setup().file("none.pem", "").variable("SSL_CERT_FILE", "none.pem");
    let service = setup.variable("SSL_CERT_DIR", "nowhere").start();

    service.await_line("the warning", |line| {
        line["message"].as_str().is_some_and(|message| message.starts_with("no certificates"))
    });
    assert_eq!(service.get("/drill/call/0").status, 200, "calls by http go on");
}

#[test]
fn the_status_page_lets_nothing_foreign_in() {
    let service = setup().start();

    let (one, two) = (service.ask("/"), service.ask("/"));

    assert_eq!((one.status, one.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = one.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'nonce-"), "{policy}");
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    let text = one.text();
    assert_eq!(text.matches(&format!("nonce=\"{nonce}\"")).count(), 2, "its own style and script");
    assert_ne!(text, two.text(), "a nonce for each answer");
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("innerHTML"));
}

#[test]
fn readiness_returns_when_the_stall_ends() {
    let service = setup().set("server.worker_threads", "2").start();

    service.get("/drill/block-all/1500");

    eventually("/readyz 503", || (service.ask("/readyz").status == 503).then_some(()));
    eventually("/readyz 200", || (service.ask("/readyz").status == 200).then_some(()));
}

#[test]
fn the_admin_listener_refuses_names_it_does_not_know() {
    let service = setup().set("admin.allowed_hosts", "ops.example").start();
    let ask = |host: &str| {
        let bytes = format!("GET /livez HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        send(service.admin, bytes.as_bytes()).status
    };

    for good in ["localhost", "LOCALHOST:1", "127.0.0.1", "10.1.2.3:8081", "[::1]:8081", "ops.example:80"] {
        assert_eq!(ask(good), 200, "{good}");
    }
    for bad in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""] {
        assert_eq!(ask(bad), 403, "{bad}");
    }
}

#[test]
fn the_public_listener_shows_nothing_of_the_admins() {
    let service = setup().start();
    for path in ["/metrics", "/livez", "/readyz", "/"] {
        assert_eq!(send(service.public, &request("GET", path, &[], b"")).status, 404, "{path}");
    }
}
