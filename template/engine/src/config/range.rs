//! Which values can a setting have at all, whatever the other settings are?
//!
//! Each section has a table `RANGES` beside its fields. A field is in the table unless its value is true or false, or is
//! one of a few words. A test of Longpole compares the table with the docs and with `config/service.toml`.

use std::time::Duration;

use bytesize::ByteSize;
use humantime::format_duration;

pub const NONE: Duration = Duration::ZERO;
pub const MILLISECOND: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a field of the section `S` can be. Both bounds are included.
#[expect(dead_code, reason = "the words are for the docs: the test that makes their tables reads them here")]
pub enum Range<S> {
    Count(fn(&S) -> u64, u64, u64),
    Size(fn(&S) -> ByteSize, ByteSize, ByteSize),
    Time(fn(&S) -> Duration, Duration, Duration),
    /// Any value that the type can have. The text describes these values.
    Any(&'static str),
    /// Any value that the function accepts. The text describes these values.
    Valid(fn(&S) -> Result<(), String>, &'static str),
}

/// The ranges of a section, by the names of its fields.
pub type Ranges<S> = &'static [(&'static str, Range<S>)];

/// Whether the field `name` of a section is in its range.
///
/// # Errors
/// The field is not in its range. The error says which values would be right.
pub fn check<S>(ranges: Ranges<S>, section: &S, name: &str) -> Result<(), String> {
    let range = ranges.iter().find(|(known, _)| *known == name).map(|(_, range)| range);
    let (fits, least, most) = match range {
        None | Some(Range::Any(_)) => return Ok(()),
        Some(Range::Valid(check, _)) => return check(section),
        Some(Range::Count(of, least, most)) => {
            ((*least..=*most).contains(&of(section)), least.to_string(), most.to_string())
        }
        Some(Range::Size(of, least, most)) => {
            ((*least..=*most).contains(&of(section)), size(*least), size(*most))
        }
        Some(Range::Time(of, least, most)) => (
            (*least..=*most).contains(&of(section)),
            format_duration(*least).to_string(),
            format_duration(*most).to_string(),
        ),
    };
    fits.then_some(()).ok_or_else(|| format!("must be from {least} to {most}"))
}

/// Writes the size in the largest unit in which it is a whole number.
fn size(size: ByteSize) -> String {
    let mut number = size.as_u64();
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter().peekable();
    while number > 0 && number.is_multiple_of(1024) && units.len() > 1 {
        number /= 1024;
        units.next();
    }
    format!("{number}{}", units.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Section {
        count: u64,
        size: ByteSize,
        time: Duration,
        word: &'static str,
    }

    const RANGES: Ranges<Section> = &[
        ("count", Range::Count(|s| s.count, 1, 1024)),
        ("size", Range::Size(|s| s.size, ByteSize::kib(64), ByteSize::tib(1))),
        ("time", Range::Time(|s| s.time, MILLISECOND, DAY)),
        ("word", Range::Valid(|s| if s.word == "x" { Ok(()) } else { Err("must be x".to_owned()) }, "x")),
        ("free", Range::Any("anything")),
    ];

    #[test]
    fn both_bounds_are_in_the_range() {
        for (count, bytes, time) in [(1, 64 << 10, MILLISECOND), (1024, 1 << 40, DAY)] {
            let section = Section { count, size: ByteSize(bytes), time, word: "x" };
            for (name, _) in RANGES {
                assert_eq!(check(RANGES, &section, name), Ok(()), "{name}");
            }
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused_with_the_range() {
        let low = Section { count: 0, size: ByteSize::kib(63), time: NONE, word: "y" };
        let high = Section { count: 1025, size: ByteSize(1 + (1 << 40)), time: DAY + MILLISECOND, word: "" };
        for section in [low, high] {
            for (name, reason) in [
                ("count", "must be from 1 to 1024"),
                ("size", "must be from 64KiB to 1TiB"),
                ("time", "must be from 1ms to 1day"),
                ("word", "must be x"),
            ] {
                assert_eq!(check(RANGES, &section, name), Err(reason.to_owned()));
            }
        }
    }

    #[test]
    fn a_size_is_written_in_the_largest_unit_that_is_exact() {
        for (bytes, text) in
            [(0, "0B"), (1, "1B"), (1024, "1KiB"), (1025, "1025B"), (1 << 32, "4GiB"), (1 << 51, "2048TiB")]
        {
            assert_eq!(size(ByteSize(bytes)), text);
        }
    }
}
