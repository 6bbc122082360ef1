//! The log under trouble: what is lost is counted, and the service goes on.

use std::fs;
use std::io::{self, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use service::engine::log::Logs;

use crate::common::{eventually, setup};

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
fn text_is_for_people_and_keeps_to_its_line() {
    let setup = setup().set("log.format", "text").set("log.rotation", "never");
    // Of whichever kind: there is no server, and no folder can be made.
    let kind = setup.database.url().split_once(':').unwrap().0.to_owned();
    let url = format!("{kind}://127.0.0.1:1/a\n2026-01-31T12:00:00Z_ERROR_forged");
    let setup =
        setup.file("127.0.0.1:1", "a file").set("database.startup_timeout", "0s").set("database.url", &url);

    assert_eq!(setup.run(&[]).status.code(), Some(1));

    let text = fs::read_to_string(setup.dir.path().join("logs/service.log")).unwrap();
    let line = text.lines().last().unwrap();
    assert!(line.contains(" ERROR ") && line.contains("cannot serve: database.url"), "{line}");
    assert!(line.contains("/a\\n2026"), "{line}");
}

/// A disk that takes `room` bytes and then is full.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<(usize, Vec<u8>)>>);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (room, content) = &mut *self.0.lock().unwrap();
        let taken = bytes.len().min(*room);
        if taken == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *room -= taken;
        content.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_torn_line_is_closed_and_counts_as_failed() {
    let disk = Disk::default();
    disk.0.lock().unwrap().0 = 6;
    let (logs, queue) = Logs::over(disk.clone(), 1024);
    let counts = logs.counts();
    let settled = || eventually("the disk", || (counts.queued_bytes() == 0).then_some(()));

    for line in ["one\n", "two\n", "three\n"] {
        (&queue).write_all(line.as_bytes()).unwrap();
    }
    settled();
    assert_eq!(counts.written.load(Relaxed), 1, "only `one` fits whole");
    assert_eq!(counts.failed.load(Relaxed), 2, "`two` is torn, `three` never began");
    assert!(counts.write_errors.load(Relaxed) > 0);

    disk.0.lock().unwrap().0 = 100;
    (&queue).write_all(b"four\n").unwrap();
    logs.drain(Duration::from_secs(30));
    assert_eq!(counts.written.load(Relaxed), 2);
    assert_eq!(disk.0.lock().unwrap().1, b"one\ntw\nfour\n", "a newline closes the torn line");
}

#[test]
fn a_drain_gives_up_at_its_deadline_when_the_disk_hangs() {
    struct Hanging;
    impl Write for Hanging {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            loop {
                std::thread::park();
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (logs, queue) = Logs::over(Hanging, 1024);
    (&queue).write_all(b"lost\n").unwrap();

    let begun = std::time::Instant::now();
    logs.drain(Duration::from_millis(100));

    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
