//! What do the lines of a source file say, with and without its comments?

use std::cell::OnceCell;

use rustc_hash::FxHashMap;

use super::blank::{Comment, blank};

/// A file of source text.
pub struct Source {
    lines: Vec<String>,
    /// The same lines with comments and the insides of strings blanked.
    pub(super) code: Vec<String>,
    pub comments: Vec<Comment>,
    /// What declarations.rs found, once it was asked.
    pub(super) renames: OnceCell<FxHashMap<String, String>>,
}

impl Source {
    pub fn new(text: &str) -> Source {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let (code, comments) = blank(text);
        Source { lines, code, comments, renames: OnceCell::new() }
    }

    /// The line's text; lines count from 1.
    pub fn line(&self, number: u32) -> &str {
        (number as usize).checked_sub(1).and_then(|index| self.lines.get(index)).map_or("", String::as_str)
    }

    pub fn len(&self) -> u32 {
        self.lines.len() as u32
    }

    /// The code from one place to another, with comments blanked. Columns count characters from 1.
    pub fn between(&self, line: u32, column: u32, end_line: u32, end_column: u32) -> String {
        let mut text = String::new();
        for number in line..=end_line {
            let Some(code) = (number as usize).checked_sub(1).and_then(|index| self.code.get(index)) else {
                break;
            };
            let start = if number == line { column.saturating_sub(1) as usize } else { 0 };
            let end = if number == end_line { end_column.saturating_sub(1) as usize } else { usize::MAX };
            text.extend(code.chars().skip(start).take(end.saturating_sub(start)));
            text.push(' ');
        }
        text
    }
}

/// The identifiers, keywords and numbers in a text.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_code_has_neither_comments_nor_what_stands_around_it() {
        let source = Source::new("impl A // for B\n    for é { fn f() {} }\n");
        assert_eq!(source.between(1, 1, 2, 10), "impl A              for é ");
        assert_eq!(source.line(1), "impl A // for B");
        assert_eq!((source.line(0), source.line(9), source.len()), ("", "", 2));
    }
}
