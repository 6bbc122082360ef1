//! How does a text stay within its line, whoever has written it?
//!
//! A text that comes from outside may have a quote, a new line or a character that moves the cursor. Nobody can forge a
//! line with them: in JSON and for people, such characters are escaped.

use std::fmt::{self, Write};

/// Writes text as the inside of a JSON string, so that every reader sees a single line.
pub(super) struct Escaped<'a>(pub &'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

pub(super) fn push_escaped(line: &mut String, text: &str) {
    // The characters beyond ASCII that are escaped begin with 0xC2 or 0xE2. Other characters do so, too.
    let suspicious = |b: &u8| *b < b' ' || matches!(b, b'"' | b'\\' | 0x7f | 0xc2 | 0xe2);
    let mut rest = text;
    while let Some(at) = rest.as_bytes().iter().position(suspicious) {
        let (plain, special) = rest.split_at(at);
        line.push_str(plain);
        let mut chars = special.chars();
        match chars.next() {
            Some(quoted @ ('"' | '\\')) => line.extend(['\\', quoted]),
            Some('\n') => line.push_str("\\n"),
            Some('\t') => line.push_str("\\t"),
            Some(moving) if moves(moving) => {
                let _ = write!(line, "\\u{:04x}", u32::from(moving));
            }
            harmless => line.extend(harmless),
        }
        rest = chars.as_str();
    }
    line.push_str(rest);
}

/// Writes text for people, so that it stays on a single line.
pub(super) struct OnItsLine<'a>(pub &'a mut String);

impl Write for OnItsLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if moves(c) { write!(self.0, "{}", c.escape_default())? } else { self.0.push(c) }
        }
        Ok(())
    }
}

/// Whether a reader may take the character for a new line, or may move the cursor because of it.
fn moves(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut line = String::new();
        push_escaped(&mut line, text);
        line
    }

    fn on_its_line(text: &str) -> String {
        let mut line = String::new();
        OnItsLine(&mut line).write_str(text).unwrap();
        line
    }

    #[test]
    fn any_text_is_read_back_from_json_as_it_was() {
        let all: String = (0..=0x2fff).filter_map(char::from_u32).collect();
        for text in ["", "plain", "\"", "\\", "\\\"\n\t\r\u{0}\u{7f}", "é ü € 𝄞 \u{2028}\u{202e}", &all]
        {
            let json = format!("\"{}\"", escaped(text));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn no_character_moves_a_reader_to_another_line() {
        let moving = "\n\r\u{b}\u{c}\u{85}\u{2028}\u{2029}\u{1b}[2J\u{202e}\u{2066}\u{9b}";
        for line in [escaped(moving), on_its_line(moving)] {
            assert!(!line.chars().any(moves), "{line:?}");
        }
    }

    #[test]
    fn letters_of_any_language_stay_as_they_are() {
        for text in ["Größe", "naïve", "価格", "â†’", "¡Hola!"] {
            assert_eq!((escaped(text), on_its_line(text)), (text.to_owned(), text.to_owned()));
        }
    }
}
