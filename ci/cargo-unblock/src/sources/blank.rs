//! What of a source text is code, and what is a comment or the inside of a string?

/// A line comment, without its slashes.
pub struct Comment {
    pub line: u32,
    pub column: u32,
    pub text: String,
    /// Whether code stands before it on its line.
    pub behind_code: bool,
}

/// Blanks comments and the insides of strings and characters, and collects the line comments.
pub(super) fn blank(text: &str) -> (Vec<String>, Vec<Comment>) {
    let mut code = String::with_capacity(text.len());
    let mut comments = Vec::new();
    let (mut line, mut line_start) = (1u32, 0usize);
    let mut chars = text.char_indices().peekable();
    let mut put = |c: char, code: &mut String| {
        code.push(if c == '\n' { '\n' } else { ' ' });
        if c == '\n' {
            line += 1;
            line_start = code.len();
        }
        (line, line_start)
    };
    let (mut at_line, mut at_start) = (1u32, 0usize);
    let mut before = ' ';
    while let Some((offset, c)) = chars.next() {
        let rest = &text[offset..];
        if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            comments.push(Comment {
                line: at_line,
                column: code[at_start..].chars().count() as u32 + 1,
                text: rest[..length].trim_end_matches('\r').trim_start_matches('/').to_owned(),
                behind_code: !code[at_start..].trim().is_empty(),
            });
            for c in rest[..length].chars() {
                put(c, &mut code);
            }
            while chars.peek().is_some_and(|&(next, _)| next < offset + length) {
                chars.next();
            }
        } else if rest.starts_with("/*") {
            let length = block_comment(rest);
            for c in rest[..length].chars() {
                (at_line, at_start) = put(c, &mut code);
            }
            while chars.peek().is_some_and(|&(next, _)| next < offset + length) {
                chars.next();
            }
        } else if let Some((open, inside, close)) = literal(rest, before) {
            code.push_str(&rest[..open]);
            for c in rest[open..open + inside].chars() {
                (at_line, at_start) = put(c, &mut code);
            }
            code.push_str(&rest[open + inside..open + inside + close]);
            let length = open + inside + close;
            while chars.peek().is_some_and(|&(next, _)| next < offset + length) {
                chars.next();
            }
        } else if c == '\n' {
            (at_line, at_start) = put(c, &mut code);
        } else {
            code.push(c);
        }
        before = c;
    }
    (code.lines().map(str::to_owned).collect(), comments)
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0usize);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// A string or character at the start of `text`: the lengths of its opening, its inside, its end.
fn literal(text: &str, before: char) -> Option<(usize, usize, usize)> {
    let within_word = before.is_alphanumeric() || before == '_';
    if let Some(rest) = text.strip_prefix('"') {
        let inside = string_end(rest, '"');
        return Some((1, inside, usize::from(inside < rest.len())));
    }
    if !within_word && text.starts_with('r') {
        let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
        if let Some(rest) = text[1 + hashes..].strip_prefix('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let inside = rest.find(&close).unwrap_or(rest.len());
            return Some((2 + hashes, inside, close.len().min(rest.len() - inside)));
        }
    }
    if let Some(rest) = text.strip_prefix('\'') {
        let mut chars = rest.chars();
        let (first, second) = (chars.next()?, chars.next());
        if first == '\\' {
            let inside = string_end(rest, '\'');
            return Some((1, inside, usize::from(inside < rest.len())));
        }
        if second == Some('\'') {
            return Some((1, first.len_utf8(), 1));
        }
    }
    None
}

fn string_end(text: &str, end: char) -> usize {
    let mut chars = text.char_indices();
    while let Some((offset, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            c if c == end => return offset,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_told_from_strings() {
        let (_, comments) = blank(
            "let a = \"// no\"; // yes\nlet b = r#\"/* no \" */\"#; /* // no\n// no */ let c = '\"'; // two\n    //three\n",
        );
        let found: Vec<_> =
            comments.iter().map(|c| (c.line, c.column, c.text.trim(), c.behind_code)).collect();
        assert_eq!(found, [(1, 18, "yes", true), (3, 23, "two", true), (4, 5, "three", false)]);
    }
}
