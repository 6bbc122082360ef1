//! The log in trouble: lines that are lost are counted, and the service goes on.

use std::fs;
use std::io::{self, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longpole::internals::Logs;

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

#[cfg(feature = "_database")]
#[test]
fn text_is_for_people_and_keeps_to_its_line() {
    let setup = setup().set("log.format", "text").set("log.rotation", "never");
    // This URL works for neither kind of database: there is no server, and no folder can be made.
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

#[test]
fn records_of_crates_that_use_log_are_lines_as_any() {
    let service = setup().start();

    service.call("GET", "/drill/log-crate", &[("x-request-id", "others")], b"");

    let found = |message: &str| service.log().into_iter().find(|line| line["message"] == message);
    let odd = service.await_line("the last", |line| line["message"] == "drill: a record\nof two lines");
    assert_eq!((&odd["level"], &odd["target"]), (&"ERROR".into(), &"drill::\"odd\"\n".into()));
    let own = found("drill: a record").unwrap();
    assert_eq!((&own["level"], &own["target"]), (&"WARN".into(), &"longpole::drill::lines".into()));
    let other = found("drill: a record of another target").unwrap();
    assert_eq!((&other["level"], &other["target"]), (&"INFO".into(), &"drill::other".into()));
    assert_eq!(found("drill: a fine record"), None, "the level is info");
    for line in [own, other, odd] {
        assert_eq!(line["request_id"], "others");
        let keys: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["level", "message", "request_id", "target", "timestamp", "trace_id"]);
    }
}

#[test]
fn values_that_panic_cost_neither_the_answer_nor_the_log() {
    let service = setup().start();

    assert_eq!(service.get("/drill/log-moody").status, 200);

    let line = service.await_line("the line", |line| line["message"] == "drill: moody");
    for value in [&line["third"], &line["spans"][0]["first"], &line["spans"][0]["second"]] {
        assert!(
            value.as_str().unwrap().contains("a panic while the value was formatted: drill: a mood"),
            "{line}"
        );
    }
    assert_eq!(service.stderr().matches("drill: a mood").count(), 3);
}

#[test]
fn the_level_chooses_among_records_of_log_as_well() {
    // The lines of `longpole` tell the test where the service listens.
    let level = "warn,drill::other=off,drill::fine=debug,longpole=info,longpole::drill=error";
    let service = setup().set("log.level", level).start();

    service.get("/drill/log-crate");

    service.await_line("the last", |line| line["message"] == "drill: a record\nof two lines");
    let log = service.log();
    let of_drill = |line: &&serde_json::Value| line["message"].as_str().unwrap().starts_with("drill: ");
    let levels: Vec<_> = log.iter().filter(of_drill).map(|line| &line["level"]).collect();
    assert_eq!(levels, ["DEBUG", "ERROR"]);
}

/// A disk that takes a number of bytes and then is full.
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

#[test]
fn a_writer_that_panics_costs_lines_and_not_the_log() {
    #[derive(Clone, Default)]
    struct Moody(Disk, Arc<Mutex<bool>>);
    impl Write for Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert!(!*self.1.lock().unwrap(), "a writer in a mood");
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            panic!("another mood");
        }
    }
    let moody = Moody::default();
    moody.0.0.lock().unwrap().0 = 100;
    let mood = |panics| *moody.1.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = panics;
    mood(true);
    let (logs, queue) = Logs::over(moody.clone(), 1024);
    let counts = logs.counts();

    (&queue).write_all(b"one\n").unwrap();
    eventually("the panic", || (counts.failed.load(Relaxed) == 1).then_some(()));
    mood(false);
    moody.1.clear_poison();
    (&queue).write_all(b"two\n").unwrap();
    logs.drain(Duration::from_secs(30));

    assert_eq!((counts.written.load(Relaxed), counts.failed.load(Relaxed)), (1, 1));
    assert_eq!(moody.0.0.lock().unwrap().1, b"two\n");
}
