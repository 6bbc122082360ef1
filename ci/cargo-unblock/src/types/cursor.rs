//! What comes next in a piece of the compiler's text?

use crate::notation::angle_end;

/// A place in a text that is read from its start to its end.
pub(super) struct Cursor<'a> {
    pub text: &'a str,
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Cursor { text, at: 0 }
    }

    pub fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    pub fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    pub fn expect(&mut self, token: &str) -> Option<()> {
        self.eat(token).then_some(())
    }

    pub fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Skips `for<'a, 'b> `, lifetimes, and words that do not change which code runs.
    pub fn skip_qualifiers(&mut self) {
        loop {
            self.space();
            if self.eat("for<") {
                while self.at < self.text.len() && !self.eat(">") {
                    self.at += self.rest().chars().next().map_or(1, char::len_utf8);
                }
            } else if self.rest().starts_with('\'') && !self.is_char_literal() {
                self.at += 1;
                self.word();
            } else if ["unsafe ", "mut ", "const ", "~const ", "[const] ", "async ", "safe "]
                .iter()
                .any(|word| self.eat(word))
            {
            } else if self.eat("extern ") {
                if self.eat("\"") {
                    while self.at < self.text.len() && !self.eat("\"") {
                        self.at += 1;
                    }
                }
            } else {
                return;
            }
        }
    }

    pub fn is_char_literal(&self) -> bool {
        let mut chars = self.rest().chars().skip(1);
        let first = chars.next();
        first == Some('\\') || chars.next() == Some('\'')
    }

    pub fn word(&mut self) -> &str {
        let start = self.at;
        let length = self
            .rest()
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '#'))
            .unwrap_or(self.rest().len());
        self.at += length;
        &self.text[start..start + length]
    }

    /// `{…}` with what is nested in it.
    pub fn braced(&mut self) -> Option<String> {
        let start = self.at;
        let mut depth = 0usize;
        for (offset, c) in self.rest().char_indices() {
            match c {
                '{' => depth += 1,
                '}' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at = start + offset + 1;
                        return Some(self.text[start..self.at].to_owned());
                    }
                }
                _ => {}
            }
        }
        None
    }

    pub fn skip_to(&mut self, end: char) -> Option<()> {
        let mut depth = 0usize;
        for (offset, c) in self.rest().char_indices() {
            match c {
                '{' | '(' | '[' => depth += 1,
                c if c == end && depth == 0 => {
                    self.at += offset;
                    return Some(());
                }
                '}' | ')' | ']' => depth = depth.checked_sub(1)?,
                _ => {}
            }
        }
        None
    }

    /// The length of `Name = ` if that comes next.
    pub fn binding(&self) -> Option<usize> {
        let rest = self.rest();
        let name = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
        (name > 0 && rest[name..].starts_with(" = ")).then_some(name + 3)
    }

    pub fn skip_angle(&mut self) -> Option<()> {
        let end = angle_end(self.rest())?;
        self.at += end;
        Some(())
    }
}
