//! Which file does a line go to, and which are deleted?
//!
//! The engine does this itself, because code that changes log files must not print. tracing-appender prints on stderr
//! when a rotation fails. If nobody reads stderr, that ends its thread or blocks it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::sink::Complaint;
use crate::config::{LogConfig, Rotation};

/// Every file is called `service.PERIOD.log`, or `service.log` if nothing is rotated.
const PREFIX: &str = "service.";
const SUFFIX: &str = ".log";

pub(super) struct Rolling {
    dir: PathBuf,
    rotation: Rotation,
    max_files: usize,
    clock: fn() -> SystemTime,
    name: String,
    file: File,
    complaint: Complaint,
}

impl Rolling {
    pub(super) fn open(config: &LogConfig) -> io::Result<Self> {
        Self::open_by(config, SystemTime::now)
    }

    fn open_by(config: &LogConfig, clock: fn() -> SystemTime) -> io::Result<Self> {
        let LogConfig { dir, rotation, max_files, .. } = config.clone();
        let name = name(rotation, clock());
        let file = append(&dir, &name)?;
        let rolling = Self { dir, rotation, max_files, clock, name, file, complaint: Complaint::default() };
        let _ = rolling.prune(); // if this fails, the next rotation complains
        Ok(rolling)
    }

    /// Begins the file of a new period. If that fails, the log goes on in the old file, and the next write tries again.
    fn roll(&mut self) {
        let name = name(self.rotation, (self.clock)());
        if name == self.name {
            return;
        }
        match append(&self.dir, &name) {
            Ok(file) => {
                self.file = file;
                self.name = name;
                if let Err(error) = self.prune() {
                    self.complaint.make(format_args!("old log files cannot be deleted: {error}"));
                }
            }
            Err(error) => self
                .complaint
                .make(format_args!("{name} cannot be opened, the log goes on in {}: {error}", self.name)),
        }
    }

    /// Deletes the oldest files beyond `max_files`.
    fn prune(&self) -> io::Result<()> {
        let mut ours = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            ours.extend(
                entry?.file_name().into_string().ok().filter(|name| is_ours(name) && *name != self.name),
            );
        }
        ours.sort_unstable(); // the order of the names is the order of the times
        let mut outcome = Ok(());
        let too_many = (ours.len() + 1).saturating_sub(self.max_files);
        for name in ours.iter().take(too_many) {
            match fs::remove_file(self.dir.join(name)) {
                // If there is no such file any more, another process was faster.
                Err(error) if error.kind() != ErrorKind::NotFound => outcome = Err(error),
                _ => {}
            }
        }
        outcome
    }
}

impl Write for Rolling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.roll();
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append(dir: &Path, name: &str) -> io::Result<File> {
    fs::create_dir_all(dir)?;
    OpenOptions::new().append(true).create(true).open(dir.join(name))
}

fn name(rotation: Rotation, now: SystemTime) -> String {
    let now = humantime::format_rfc3339_seconds(now).to_string(); // 2026-01-31T12:00:00Z
    match rotation {
        Rotation::Never => "service.log".to_owned(),
        Rotation::Daily => format!("{PREFIX}{}{SUFFIX}", &now[..10]),
        Rotation::Hourly => format!("{PREFIX}{}{SUFFIX}", now[..13].replace('T', "-")),
    }
}

/// Whether the name of a file has a period in it: 2026-01-31, or 2026-01-31-12.
fn is_ours(name: &str) -> bool {
    let Some(period) = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)) else {
        return false;
    };
    let like =
        |at: (usize, u8)| if matches!(at.0, 4 | 7 | 10) { at.1 == b'-' } else { at.1.is_ascii_digit() };
    matches!(period.len(), 10 | 13) && period.bytes().enumerate().all(like)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    const HOUR: u64 = 60 * 60;
    const DAY: u64 = 24 * HOUR;

    thread_local! {
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    fn clock() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.get())
    }

    fn rolling(dir: &Path, rotation: Rotation, max_files: usize) -> Rolling {
        NOW.set(0);
        Rolling::open_by(
            &LogConfig { dir: dir.to_owned(), rotation, max_files, ..LogConfig::default() },
            clock,
        )
        .unwrap()
    }

    fn files(dir: &Path) -> Vec<(String, String)> {
        let content = |entry: io::Result<fs::DirEntry>| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap_or_default();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), text)
        };
        let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(content).collect();
        files.sort();
        files
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    #[test]
    fn each_period_has_its_file_and_the_last_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        for foreign in
            ["service.log", "service.1970-01-01.log.gz", "service.notes.log", "other.1970-01-01.log"]
        {
            fs::write(dir.path().join(foreign), "").unwrap();
        }
        let foreign = files(dir.path());
        let mut log = rolling(dir.path(), Rotation::Daily, 2);
        for day in 0..4 {
            NOW.set(day * DAY);
            log.write_all(b"early\n").unwrap();
            NOW.set(day * DAY + DAY - 1);
            log.write_all(b"late\n").unwrap();
        }
        let ours: Vec<_> = files(dir.path()).into_iter().filter(|file| !foreign.contains(file)).collect();
        let wanted =
            [("service.1970-01-03.log", "early\nlate\n"), ("service.1970-01-04.log", "early\nlate\n")];
        assert_eq!(ours, owned(&wanted));
        assert_eq!(files(dir.path()).len(), ours.len() + foreign.len(), "foreign files stay");

        let mut again = Rolling::open_by(
            &LogConfig { dir: dir.path().to_owned(), max_files: 1, ..LogConfig::default() },
            clock,
        )
        .unwrap();
        again.write_all(b"more\n").unwrap();
        let ours: Vec<_> = files(dir.path()).into_iter().filter(|file| !foreign.contains(file)).collect();
        assert_eq!(
            ours,
            owned(&[("service.1970-01-04.log", "early\nlate\nmore\n")]),
            "a start goes on where it was"
        );
    }

    #[test]
    fn hours_and_one_file_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = rolling(dir.path(), Rotation::Hourly, 7);
        log.write_all(b"a\n").unwrap();
        NOW.set(23 * HOUR);
        log.write_all(b"b\n").unwrap();
        assert_eq!(
            files(dir.path()),
            owned(&[("service.1970-01-01-00.log", "a\n"), ("service.1970-01-01-23.log", "b\n")])
        );

        let dir = tempfile::tempdir().unwrap();
        let mut log = rolling(dir.path(), Rotation::Never, 1);
        NOW.set(40 * DAY);
        log.write_all(b"a\n").unwrap();
        assert_eq!(files(dir.path()), owned(&[("service.log", "a\n")]));
    }

    #[test]
    fn a_rotation_that_fails_goes_on_with_the_old_file_until_it_works() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = rolling(dir.path(), Rotation::Daily, 7);
        let in_the_way = dir.path().join("service.1970-01-02.log");
        fs::create_dir(&in_the_way).unwrap();
        NOW.set(DAY);

        log.write_all(b"kept\n").unwrap();
        assert_eq!(files(dir.path())[0].1, "kept\n");

        fs::remove_dir(&in_the_way).unwrap();
        log.write_all(b"next\n").unwrap();
        assert_eq!(
            files(dir.path()),
            owned(&[("service.1970-01-01.log", "kept\n"), ("service.1970-01-02.log", "next\n")])
        );
    }
}
