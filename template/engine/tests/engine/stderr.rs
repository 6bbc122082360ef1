//! Nothing that the service prints can end it, delay it or cost an answer, whether or not somebody reads it.

use std::fs::File;
use std::io::{self, PipeReader, Write};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Setup, setup, without_drill};

const PANICS: usize = 50;

/// A pipe that is full, and whose reader has stopped: a writer waits as long as the reader is kept.
fn stopped() -> (PipeReader, Stdio) {
    let (reader, mut writer) = io::pipe().unwrap();
    let stderr = writer.try_clone().unwrap();
    // This thread fills the pipe and waits until the reader is dropped.
    thread::spawn(move || while writer.write_all(&[b'x'; 4096]).is_ok() {});
    (reader, stderr.into())
}

/// A pipe whose reader has left.
fn left() -> Stdio {
    io::pipe().unwrap().1.into()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// Does the same with each kind of stderr.
fn with_each(test: impl Fn(&str, Setup)) {
    test("closed", setup().shell("exec 2>&-"));
    test("left", setup().stderr(left()));
    test("full", setup().stderr(full()));
    let (_reader, stderr) = stopped();
    test("stopped", setup().stderr(stderr));
}

#[test]
fn a_panic_is_a_500_and_a_line() {
    with_each(|kind, setup| {
        let mut service = setup.start();

        for _ in 0..PANICS {
            service.get("/drill/panic").problem(500);
        }

        assert_eq!(service.get("/drill/sleep/0").status, 200, "{kind}");
        service.get("/drill/offload-panic").problem(500);
        let begun = Instant::now();
        service.signal("TERM");
        assert_eq!(service.wait(), 0, "{kind}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{kind}: {:?}", begun.elapsed());
        let panics = service.log().iter().filter(|line| line["message"] == "panic: drill: panic").count();
        assert_eq!(panics, PANICS + 1, "{kind}");
    });
}

#[test]
fn a_full_log_disk_costs_lines_alone() {
    with_each(|kind, setup| {
        let mut service = setup.disk(256).start();

        for _ in 0..3 {
            assert_eq!(service.get("/drill/log/2000").status, 200, "{kind}");
        }
        service.get("/drill/panic").problem(500);
        service.await_metric("log_lines_failed_total", &[], |lines| lines > 0.0);
        service.await_metric("log_queue_bytes", &[], |bytes| bytes == 0.0);

        let begun = Instant::now();
        service.signal("TERM");
        assert_eq!(service.wait(), 0, "{kind}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{kind}: {:?}", begun.elapsed());
    });
}

#[test]
fn a_second_signal_ends_it_at_once() {
    with_each(|kind, setup| {
        let mut service = setup.start();
        let _never = service.begin("/drill/never");
        service.await_in_flight(1.0);
        service.signal("TERM");
        service.await_line("the first", |line| line["message"] == "shutdown: draining");

        let begun = Instant::now();
        service.signal("TERM");

        assert_eq!(service.wait(), 143, "{kind}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{kind}: the grace is 25 s");
    });
}

#[test]
fn a_start_that_fails_ends_with_its_code() {
    for (key, value, code) in [("server.worker_threads", "many", 2), ("server.addr", "192.0.2.1:1", 1)] {
        with_each(|kind, setup| {
            let mut service = setup.set(key, value).spawn();
            assert_eq!(service.wait(), code, "{kind}: {key}");
        });
    }
}

#[test]
fn a_command_whose_reader_has_left_ends_quietly_with_its_code() {
    for (kind, output) in [("left", left as fn() -> Stdio), ("full", full), ("null", Stdio::null)] {
        for arguments in [
            &["check"],
            #[cfg(feature = "_database")]
            &["migrate"],
            &["--help"],
            &["--version"],
        ] {
            let ended = setup().command().args(arguments).stdout(output()).output().unwrap();
            let stderr = without_drill(&String::from_utf8_lossy(&ended.stderr));
            assert_eq!((ended.status.code(), &*stderr), (Some(0), ""), "{kind}: {arguments:?}");
        }
        let refused = setup().command().arg("--nonsense").stdout(output()).stderr(output()).status().unwrap();
        assert_eq!(refused.code(), Some(2), "{kind}");
    }
}

#[test]
fn what_is_said_is_there() {
    let mut service = setup().start();
    service.get("/drill/panic").problem(500);
    let _never = service.begin("/drill/never");
    service.await_in_flight(1.0);
    service.signal("TERM");
    service.await_line("the first", |line| line["message"] == "shutdown: draining");
    service.signal("TERM");

    assert_eq!(service.wait(), 143);
    let stderr = service.stderr();
    assert!(stderr.contains("drill/event_loop.rs") && stderr.contains("drill: panic"), "{stderr}");
    assert!(stderr.ends_with("second signal: exiting at once\n"), "{stderr}");
}

#[test]
fn where_no_thread_can_be_started_it_says_so_itself() {
    let setup = setup().set("server.addr", "nowhere").variable("RUST_MIN_STACK", "1000000000000000");

    let output = setup.run(&["check"]);

    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("error: ") && told.contains("server.addr"), "{told}");
}
