//! How does rustc write a path, and how does it write a place in the sources?
//!
//! The MIR text, the types in it and the names of bodies share this notation, and several readers need it.

/// Finds the `>` that closes a `<` standing before `text`, and returns the offset behind it.
pub fn angle_end(text: &str) -> Option<usize> {
    let mut depth = 1usize;
    let mut before = ' ';
    for (offset, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' && before != '=' => {
                depth -= 1;
                if depth == 0 {
                    return Some(offset + 1);
                }
            }
            _ => {}
        }
        before = c;
    }
    None
}

/// Where `pattern`, which begins with a space, first stands outside of brackets.
pub fn outside_brackets(text: &str, pattern: &str) -> Option<usize> {
    let mut depth = 0i32;
    let mut before = ' ';
    for (offset, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if before == '-' || before == '=' => {}
            '>' | ')' | ']' => depth -= 1,
            ' ' if depth == 0 && text[offset..].starts_with(pattern) => return Some(offset),
            _ => {}
        }
        before = c;
    }
    None
}

/// The path without the numbers behind the names of crates. The crate of a program has such a number, so that
/// its paths are not taken for those of a library with the same name.
pub fn plain(path: &str) -> String {
    match path.split_once('~') {
        Some((before, rest)) => {
            format!("{before}{}", plain(rest.trim_start_matches(|c: char| c.is_ascii_digit())))
        }
        None => path.to_owned(),
    }
}

/// The file, line, column, last line and last column of `src/a.rs:6:5: 6:26`.
pub fn place_of(text: &str) -> Option<(&str, [u32; 4])> {
    let (start, end) = text.rsplit_once(": ")?;
    let (end_line, end_column) = end.split_once(':')?;
    let (start, column) = start.rsplit_once(':')?;
    let (file, line) = start.rsplit_once(':')?;
    Some((file, [line.parse().ok()?, column.parse().ok()?, end_line.parse().ok()?, end_column.parse().ok()?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bracket_is_closed_by_its_own_and_not_by_an_arrow() {
        assert_eq!(angle_end("A<B>>::c"), Some(5));
        assert_eq!(angle_end("fn() -> u8>::c"), Some(11));
        assert_eq!(angle_end("A<B>"), None);
    }

    #[test]
    fn words_within_brackets_are_not_found() {
        assert_eq!(outside_brackets("A<B as C> as D", " as "), Some(9));
        assert_eq!(outside_brackets("Fn(A) -> B for C", " for "), Some(10));
        assert_eq!(outside_brackets("A<for<'a> B for C>", " for "), None);
    }

    #[test]
    fn the_number_of_a_program_is_left_out_wherever_it_stands() {
        assert_eq!(plain("server~12::run"), "server::run");
        assert_eq!(plain("<server~1::A as server~2::B>::c"), "<server::A as server::B>::c");
        assert_eq!(plain("std::fs::read"), "std::fs::read");
    }

    #[test]
    fn a_place_is_a_file_and_four_numbers() {
        assert_eq!(place_of("src/a b.rs:6:5: 7:26"), Some(("src/a b.rs", [6, 5, 7, 26])));
        assert_eq!(place_of("src/a: b.rs:6:5: 7:26"), Some(("src/a: b.rs", [6, 5, 7, 26])));
        assert_eq!(place_of("C:/a.rs:1:2: 3:4"), Some(("C:/a.rs", [1, 2, 3, 4])));
        for text in ["", "src/a.rs", "src/a.rs:6:5", "src/a.rs:6: 7:26", "a:x:5: 7:26"] {
            assert_eq!(place_of(text), None, "{text}");
        }
    }
}
