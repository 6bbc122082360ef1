//! What is logged, where to, and what may that cost?

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::shutdown::TAIL;
use crate::config::range::{NONE, Range, Ranges};

/// The levels, from the one that logs least to the one that logs most.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The log file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogConfig {
    /// The folder of the log. Give the log a folder of its own, because `max_files` deletes all files in it whose names
    /// begin like those of the log.
    pub dir: PathBuf,
    /// The lowest level that is logged, also for single modules: `info,my_service::app=debug,rustls=warn`. `h2` stays at
    /// `info` or above unless it is named, since below `info` it quotes what clients send.
    pub level: String,
    /// How a line is written: as JSON for programs, or as text for people.
    pub format: LogFormat,
    /// When a new file is begun, in UTC.
    pub rotation: Rotation,
    /// Files that are kept, the current one included.
    ///
    /// Too high: old files fill the disk.
    /// Too low: there is no history.
    pub max_files: usize,
    /// Bytes of lines that may wait for the disk. More lines are dropped and counted.
    ///
    /// Too high: a slow disk fills the memory.
    /// Too low: a slow disk costs lines.
    pub queue_size: ByteSize,
    /// Longest wait for the disk at the end of the process.
    ///
    /// Too high: the end of the process waits for a disk that hangs.
    /// Too low: the last lines are missing, and you will look for exactly these lines.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// Whether the line of a request has the client's address.
    ///
    /// true: the log holds data about people, which laws want to be protected and deleted.
    /// false: only the proxy knows who floods the service.
    pub client_addr: bool,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Each line is an object, for programs.
    Json,
    /// Each line is a text, for people.
    Text,
}

/// When a new log file is begun, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rotation {
    /// At each full hour.
    Hourly,
    /// At midnight.
    Daily,
    /// One file for ever, which grows without a bound.
    Never,
}

impl LogConfig {
    pub(super) const RANGES: Ranges<Self> = &[
        ("dir", Range::Any("a path")),
        ("level", Range::Valid(Self::has_levels, "`off`, `error`, `warn`, `info`, `debug`, `trace`")),
        ("max_files", Range::Count(|s| s.max_files as u64, 1, 10_000)),
        // At least one batch of lines.
        ("queue_size", Range::Size(|s| s.queue_size, ByteSize::kib(64), ByteSize::tib(1))),
        // The end of the process, which this timeout is a part of, takes at most `TAIL`.
        ("drain_timeout", Range::Time(|s| s.drain_timeout, NONE, TAIL)),
    ];

    /// A word alone has to be a level. Otherwise a level with a spelling mistake would be the name of a target, of which
    /// there are no lines, and nothing at all would be logged.
    fn has_levels(&self) -> Result<(), String> {
        let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
        for directive in self.level.split(',') {
            if directive.trim() != directive {
                return Err(format!(
                    "{directive:?} begins or ends with a space, which no target does: take it out"
                ));
            }
            let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
            if !is_level(level) {
                return Err(format!(
                    "{level:?} is not a level. Levels are {}; write \"info\", or per module \
                     \"info,my_service::app=debug\"",
                    LEVELS.join(", ")
                ));
            }
        }
        let wrong = |_| {
            format!(
                "{:?} is not a list of targets and levels, like \"info,my_service::app=debug\"",
                self.level
            )
        };
        self.level.parse::<Targets>().map(drop).map_err(wrong)
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("logs"),
            level: "info".to_owned(),
            format: LogFormat::Json,
            rotation: Rotation::Daily,
            max_files: 7,
            queue_size: ByteSize::mib(8),
            drain_timeout: Duration::from_secs(1),
            client_addr: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(level: &str) -> Result<(), String> {
        LogConfig { level: level.to_owned(), ..LogConfig::default() }.has_levels()
    }

    #[test]
    fn levels_and_targets_with_levels_are_accepted() {
        for level in [
            "info",
            "WARN",
            "off",
            "info,sqlx=warn",
            "my_service::app=debug",
            "warn,my_service::app=debug,h2=TRACE",
            "off,request=info",
            "3",
            "info,my_service[{id}]=trace",
        ] {
            assert_eq!(check(level), Ok(()), "{level}");
        }
    }

    #[test]
    fn a_target_with_a_space_before_it_would_match_nothing() {
        assert!(
            check("info, sqlx=warn").unwrap_err().starts_with("\" sqlx=warn\" begins or ends with a space")
        );
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_with_the_levels() {
        for (level, wrong) in [
            ("warning", "warning"),
            ("inof", "inof"),
            ("sqlx", "sqlx"),
            ("info,my_service::app", "my_service::app"),
            ("info,sqlx=loud", "loud"),
            ("info,sqlx=", ""),
            ("info,", ""),
            ("", ""),
            ("9", "9"),
        ] {
            let reason = check(level).unwrap_err();
            assert!(
                reason.starts_with(&format!("{wrong:?} is not a level. Levels are off, error")),
                "{level}: {reason}"
            );
        }
    }
}
