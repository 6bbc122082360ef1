//! What must the schema not have after a step of the migrations?

use std::fmt;

/// What must not stay in the schema after a step, in words.
#[derive(Debug, Default)]
pub(super) struct Flaws {
    pub count: usize,
    /// The first few flaws, each with its place, and with its cure if there is one.
    pub shown: Vec<String>,
    /// Everything that is wrong, even if the step has not caused it.
    pub all: Vec<String>,
}

impl fmt::Display for Flaws {
    /// Writes a sentence, or nothing if there is no flaw.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return Ok(());
        }
        f.write_str(&self.shown.join("; "))?;
        match self.count.saturating_sub(self.shown.len()) {
            0 => f.write_str(". "),
            more => write!(f, "; and {more} more. "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flaws_are_told_in_one_sentence_and_those_left_out_are_counted() {
        let flaws = |count| Flaws { count, shown: vec!["one".into(), "two".into()], all: Vec::new() };
        assert_eq!(Flaws::default().to_string(), "");
        assert_eq!(flaws(2).to_string(), "one; two. ");
        assert_eq!(flaws(9).to_string(), "one; two; and 7 more. ");
    }
}
