//! What stands in a line when a value cannot be formatted?
//!
//! The `Debug` or `Display` of a value is somebody else's code. It may fail or panic, and the line is written all the same.

use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Debug, Write};
use std::panic::{self, AssertUnwindSafe};

/// So many sources of an error are written at most, since an error may be its own source.
const SOURCES: usize = 16;

/// Writes a value whose `Debug` or `Display` is foreign code and may fail or panic. What it wrote before stays in the
/// line, and the reason follows.
pub(super) fn push_guarded(to: &mut impl Write, value: &dyn Debug) {
    if let Err(why) = guarded(|| write!(to, "{value:?}")) {
        let _ = write!(to, "… ({why})");
    }
}

/// Calls `write`. If it fails or panics, the error says why.
fn guarded(write: impl FnOnce() -> fmt::Result) -> Result<(), String> {
    let was = FORMATTING.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(write));
    FORMATTING.set(was);
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err("the value could not be formatted".to_owned()),
        Err(panic) => {
            let message = panic.downcast_ref::<&str>().copied();
            let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            Err(format!("a panic while the value was formatted: {}", message.unwrap_or("no message")))
        }
    }
}

thread_local! {
    static FORMATTING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is writing a value. It may hold the lock of a span meanwhile, so a panic must not be logged in a
/// line of its own. The line that is being written says it.
pub(super) fn is_formatting() -> bool {
    FORMATTING.try_with(Cell::get).unwrap_or_default()
}

/// An error and its sources, as `outer: inner`. If the text ends with the text of the next source already, that source
/// is left out.
pub fn with_sources(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let told = guarded(|| {
        let mut next = Some(error);
        for _ in 0..=SOURCES {
            let Some(error) = next else { break };
            let before = text.len();
            let outcome = write!(text, "{}{error}", if before == 0 { "" } else { ": " });
            if before > 0 && text[..before].ends_with(text[before..].trim_start_matches(": ")) {
                text.truncate(before);
            }
            outcome?;
            next = error.source();
        }
        Ok(())
    });
    if let Err(why) = told {
        text.push_str(&format!("… ({why})"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn told(texts: &[&'static str]) -> String {
        let wrap = |source, text: &&'static str| Some(Box::new(Layer { text, source }));
        with_sources(&*texts.iter().rev().fold(None, wrap).unwrap())
    }

    #[test]
    fn causes_are_told_from_the_outside_to_the_inside() {
        assert_eq!(told(&["start", "no rules", "no such file"]), "start: no rules: no such file");
    }

    #[test]
    fn a_cause_that_is_told_already_is_not_told_again() {
        assert_eq!(told(&["no rules: no such file", "no such file"]), "no rules: no such file");
    }

    #[test]
    fn a_chain_of_causes_has_an_end() {
        let deep: Vec<_> = ["a", "b"].into_iter().cycle().take(100).collect();
        assert_eq!(told(&deep).matches(": ").count(), SOURCES);
    }

    #[test]
    fn what_fails_is_told_in_its_place() {
        struct Fails;
        impl Debug for Fails {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        let mut line = String::new();
        push_guarded(&mut line, &Fails);
        assert_eq!(line, "half… (the value could not be formatted)");
    }
}
