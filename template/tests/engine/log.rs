//! The log under trouble: what is lost is counted, and the service goes on.

use std::fs;
use std::net::TcpListener;

use crate::common::setup;

#[test]
fn a_full_disk_costs_lines_not_requests_and_each_is_counted() {
    let service = setup().disk(1024).start();

    for _ in 0..5 {
        assert_eq!(service.get("/drill/log/4000").status, 200);
    }
    service.await_metric("log_queue_bytes", &[], |bytes| bytes == 0.0);

    let metric = |name| service.metric(name, &[]);
    assert!(metric("log_write_errors_total") > 0.0);
    assert!(metric("log_lines_failed_total") > 0.0);
    let files = fs::read_dir(service.dir.path().join("logs")).unwrap();
    let lines: usize =
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap().matches('\n').count()).sum();
    assert_eq!(lines as f64, metric("log_lines_written_total"));
    let lost = metric("log_lines_dropped_total") + metric("log_lines_failed_total");
    assert_eq!(metric("log_lines_total"), lines as f64 + lost);
    assert!(service.stderr().contains("the log file cannot be written"));
}

#[test]
fn text_is_for_people() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let setup = setup().set("log.format", "text").set("log.rotation", "never").set("server.addr", &addr);

    assert_eq!(setup.run(&[]).status.code(), Some(1));

    let text = fs::read_to_string(setup.dir.path().join("logs/service.log")).unwrap();
    let line = text.lines().last().unwrap();
    assert!(
        line.contains(" ERROR ") && line.contains(&format!("cannot serve: server.addr {addr}")),
        "{line}"
    );
}
