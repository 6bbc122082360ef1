//! Every metric moves in a test. A metric that nothing sets would mislead operators.

use std::time::Instant;

use longpole::internals::{COUNTERS, GAUGES, HISTOGRAMS};

use crate::common::{Service, client, eventually, send, setup};

const BUSY: &[(&str, &str)] =
    &[("server.worker_threads", "2"), ("offload.threads", "1"), ("offload.max_queue", "1")];

pub fn busy() -> Service {
    let setup = BUSY.iter().fold(setup(), |setup, (key, value)| setup.set(key, value));
    #[cfg(feature = "_database")]
    let setup = setup.set("database.acquire_timeout", "300ms").set("database.max_connections", "1");
    setup.start()
}

#[test]
fn requests_move_their_histogram_by_route_method_and_status() {
    let service = busy();
    let labels = [("route", "/drill/sleep/{ms}"), ("method", "GET"), ("status", "200")];

    service.get("/drill/sleep/30");
    service.get("/drill/sleep/60");

    let bucket = |le| {
        let labels = [&labels[..], &[("le", le)]].concat();
        service.metric("http_request_duration_seconds_bucket", &labels)
    };
    assert_eq!(service.metric("http_request_duration_seconds_count", &labels), 2.0);
    assert!(service.metric("http_request_duration_seconds_sum", &labels) >= 0.09);
    assert_eq!((bucket("0.025"), bucket("+Inf")), (0.0, 2.0));
}

#[test]
fn gauges_of_requests_and_connections_rise_and_return() {
    let service = busy();

    let waiting = service.begin("/drill/never");
    service.await_in_flight(1.0);
    assert_eq!(service.metric("http_connections", &[]), 1.0);
    drop(waiting);

    service.await_metric("http_requests_in_flight", &[], |open| open == 0.0);
    service.await_metric("http_connections", &[], |open| open == 0.0);
}

#[test]
fn the_offload_pool_tells_waiting_from_running_and_refuses_above_its_queue() {
    let service = busy();

    let mut running = service.begin("/drill/offload/300");
    service.await_in_flight(1.0);
    let mut queued = service.begin("/drill/offload/1");
    service.await_metric("offload_queue_length", &[], |length| length == 1.0);
    let refused = service.get("/drill/offload/1");
    refused.problem(503);

    assert_eq!(client::read(&mut running).unwrap().status, 200);
    assert_eq!(client::read(&mut queued).unwrap().status, 200);
    assert_eq!(service.metric("offload_rejected_total", &[]), 1.0);
    assert_eq!(service.metric("offload_queue_length", &[]), 0.0);
    assert_eq!(service.metric("offload_run_seconds_count", &[]), 2.0);
    assert!(service.metric("offload_run_seconds_sum", &[]) >= 0.3);
    assert!(service.metric("offload_wait_seconds_sum", &[]) > 0.0);
}

#[test]
fn the_runtime_the_process_and_the_build_are_described() {
    let begun = Instant::now();
    let service = busy();
    let version = [("name", "longpole"), ("version", env!("CARGO_PKG_VERSION"))];

    assert_eq!(service.metric("build_info", &version), 1.0);
    assert_eq!(service.metric("tokio_workers", &[]), 2.0);
    assert!(service.metric("tokio_alive_tasks", &[]) >= 1.0);
    assert!(service.metric("background_tasks", &[]) >= 1.0);
    assert!(service.metric("process_resident_memory_bytes", &[]) > 1e6);
    let cpu = service.metric("process_cpu_seconds_total", &[]); // it has whole seconds only
    eventually("a second of CPU", || {
        service.get("/drill/spin/500");
        (service.metric("process_cpu_seconds_total", &[]) > cpu).then_some(())
    });
    let busy = || service.metric("tokio_worker_busy_seconds_total", &[]);
    let before = busy();
    for _ in 0..3 {
        busy(); // another scrape changes nothing
    }
    service.get("/drill/spin/300");
    // A worker adds its busy time when it parks. Other requests of the test take some of the time as well.
    let grown = eventually("busy time", || Some(busy() - before).filter(|grown| *grown >= 0.29));
    assert!(grown < 2.0 * begun.elapsed().as_secs_f64(), "no more than both workers had: {grown}");
    let text = service.ask("/metrics").text();
    assert_eq!(text.matches("# TYPE tokio_worker_busy_seconds_total counter\n").count(), 1, "{text}");
}

#[test]
fn a_blocked_loop_shows_as_delay_and_as_queue() {
    let service = busy();
    let long = |service: &Service| {
        service.metric("event_loop_delay_seconds_count", &[])
            - service.metric("event_loop_delay_seconds_bucket", &[("le", "0.5")])
    };
    assert_eq!(long(&service), 0.0);

    service.get("/drill/block-all/1500");
    service.await_metric("tokio_global_queue_depth", &[], |depth| depth >= 1.0);

    service.await_line("the stall's end", |line| line["message"] == "event loop goes on");
    assert_eq!(long(&service), 1.0);
    service.await_line("the warning", |line| {
        line["message"].as_str().unwrap().starts_with("event loop stalled")
    });
}

#[test]
fn log_lines_are_counted() {
    let service = busy();
    let before = service.metric("log_lines_total", &[]);

    service.get("/drill/log/20000");

    assert!(service.metric("log_lines_total", &[]) >= before + 20_000.0);
    service.await_metric("log_queue_bytes", &[], |bytes| bytes == 0.0);
    let metric = |name| service.metric(name, &[]);
    let emitted = metric("log_lines_total");
    assert_eq!(metric("log_lines_written_total") + metric("log_lines_dropped_total"), emitted);
    assert_eq!(service.log().len() as f64, metric("log_lines_written_total"));
}

#[test]
fn every_metric_that_is_named_is_there_and_described() {
    let service = busy();
    service.get("/drill/offload/0");
    service.get("/drill/call/0");
    service.get("/drill/hold/0"); // exists if there is a database
    service.get("/drill/spin/0");
    send(service.public, b"this is not http\r\n\r\n");
    service.await_metric("http_connection_errors_total", &[], |errors| errors == 1.0);
    service.ask("/metrics"); // the busy ratio is that since the last scrape

    let text = service.ask("/metrics").text();
    let histograms = HISTOGRAMS.iter().map(|(name, ..)| *name);
    let named =
        histograms.chain(COUNTERS.iter().map(|(name, _)| *name)).chain(GAUGES.iter().map(|(name, _)| *name));
    for name in named {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name} is not there");
    }
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
    assert!(text.contains("drill_spin_seconds_bucket{"), "whatever an owner adds");
    assert!(!text.contains("quantile="), "summaries cannot be added up over replicas");
}
