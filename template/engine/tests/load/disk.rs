//! The disk of the log fills up under load, and is emptied again. Requests go on, and each line is accounted for.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::alone;
use crate::common::{Service, eventually, setup};

/// A disk of a megabyte, where this user may mount one.
struct Disk(TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(dir.path());
        mount.output().ok()?.status.success().then(|| Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn a_full_disk_costs_lines_and_nothing_else() {
    let _alone = alone();
    let Some(disk) = Disk::mount() else {
        // This is said, because only the mount is not tested then: engine/log.rs and flood.rs test the counting.
        println!("skipped: this user may not mount a tmpfs");
        return;
    };
    let logs = disk.path().join("logs");
    let service = setup().set("log.dir", logs.to_str().unwrap());
    symlink(&logs, service.dir.path().join("logs")).unwrap(); // where the log is looked for
    let service = service.start();
    // There is room for a few hundred lines, and the last of them does not fit as a whole.
    fs::write(disk.path().join("filler"), vec![0; 900_000]).unwrap();

    for _ in 0..20 {
        assert_eq!(service.get("/drill/log/500").status, 200, "requests go on");
    }
    accounted_for(&service, &logs);
    let count = |name| service.metric(name, &[]);
    assert!(count("log_lines_failed_total") > 0.0 && count("log_write_errors_total") > 0.0, "it was full");
    let written = count("log_lines_written_total");
    assert!(service.stderr().contains("the log file cannot be written"), "{}", service.stderr());

    fs::remove_file(disk.path().join("filler")).unwrap();
    eventually("lines are written again", || {
        assert_eq!(service.get("/drill/log/100").status, 200);
        (count("log_lines_written_total") > written + 100.0).then_some(())
    });
    accounted_for(&service, &logs);
}

/// Asserts, once the queue is empty, that emitted lines = whole lines in the files + dropped lines + failed lines.
fn accounted_for(service: &Service, logs: &Path) {
    let count = |name| service.metric(name, &[]);
    eventually("an idle log", || {
        let (emitted, queued) = (count("log_lines_total"), count("log_queue_bytes"));
        let text: String = fs::read_dir(logs)
            .unwrap()
            .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        let whole =
            text.split_inclusive('\n').filter(|line| serde_json::from_str::<Value>(line).is_ok()).count();
        let lost = count("log_lines_dropped_total") + count("log_lines_failed_total");
        (queued == 0.0 && emitted == count("log_lines_total") && emitted == whole as f64 + lost).then_some(())
    });
    std::thread::sleep(Duration::from_millis(50)); // the sum must also stay right
    assert_eq!(count("log_queue_bytes"), 0.0);
}
