//! Is every log line accounted for, however fast they come?

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use std::{fs, thread};

use bytesize::ByteSize;
use longpole::config::LogConfig;
use longpole::internals;

const LINES: u64 = 200_000;
const THREADS: u64 = 8;

/// This test is alone in its process, because it installs the log of the process.
#[test]
fn emitted_is_written_plus_dropped_plus_failed() {
    let dir = tempfile::tempdir().unwrap();
    // The queue is so small that lines are dropped.
    let mut config = LogConfig::default();
    config.dir = dir.path().to_owned();
    config.queue_size = ByteSize::kib(256);
    let logs = internals::start_log(&config).unwrap();
    let counts = logs.counts();
    let emitted = AtomicU64::new(0);

    thread::scope(|scope| {
        for thread in 0..THREADS {
            let emitted = &emitted;
            scope.spawn(move || {
                for line in 0..LINES / THREADS {
                    tracing::info!(thread, line, "flood");
                    emitted.fetch_add(1, Relaxed);
                }
            });
        }
    });
    logs.drain(Duration::from_secs(30));

    let text: String =
        fs::read_dir(&dir).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let in_files = text.matches('\n').count() as u64;
    assert_eq!(emitted.load(Relaxed), LINES);
    assert_eq!(counts.emitted.load(Relaxed), LINES);
    assert_eq!(in_files + counts.dropped.load(Relaxed) + counts.failed.load(Relaxed), LINES, "{counts:?}");
    assert!(in_files > 0);
    assert!(counts.dropped.load(Relaxed) > 0, "{counts:?}");
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    }
}
