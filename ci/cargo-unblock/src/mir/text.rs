//! Where do the parts of a line of MIR start and end?

/// The first state in which an async body is suspended. The states before it are: not started, done,
/// panicked.
pub(super) const FIRST_SUSPENDED: u32 = 3;

/// `(((*_76) as variant#3).2: T)`: the state, the field, the type.
pub(super) fn kept_place(place: &str) -> Option<(u32, u32, &str)> {
    let inside = place.strip_prefix("(((*_")?.strip_suffix(')')?;
    let (_, rest) = inside.split_once(" as variant#")?;
    let (state, rest) = rest.split_once(").")?;
    let (field, ty) = rest.split_once(": ")?;
    Some((state.parse().ok()?, field.parse().ok()?, ty))
}

/// Walks over `text` outside of brackets and strings, until `stop` says so.
pub(super) fn find_outside(text: &str, mut stop: impl FnMut(usize, char) -> bool) -> Option<usize> {
    let mut depth = 0i32;
    let mut before = ' ';
    let mut chars = text.char_indices();
    while let Some((offset, c)) = chars.next() {
        if depth == 0 && stop(offset, c) {
            return Some(offset);
        }
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if before == '-' || before == '=' => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            '"' => {
                while let Some((_, c)) = chars.next() {
                    match c {
                        '\\' => {
                            chars.next();
                        }
                        '"' => break,
                        _ => {}
                    }
                }
            }
            // A character, not a lifetime.
            '\'' => {
                let rest = &text[offset + 1..];
                let mut ahead = rest.chars();
                match (ahead.next(), ahead.next()) {
                    (Some('\\'), _) => {
                        chars.next();
                        chars.next();
                        while chars.next().is_some_and(|(_, c)| c != '\'') {}
                    }
                    (Some(_), Some('\'')) => {
                        chars.next();
                        chars.next();
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        before = c;
    }
    None
}

/// The offset at which the bracket before `text` is closed.
pub(super) fn closing(text: &str) -> Option<usize> {
    find_outside(text, |_, c| c == ')')
}

pub(super) fn split_commas(text: &str) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    while let Some(end) = find_outside(&text[start..], |_, c| c == ',') {
        parts.push(text[start..start + end].trim());
        start += end + 1;
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

/// `place = value`.
pub(super) fn split_assignment(code: &str) -> Option<(&str, &str)> {
    if !code.starts_with(['_', '(']) {
        return None;
    }
    let at = find_outside(code, |offset, _| code[offset..].starts_with(" = "))?;
    Some((&code[..at], &code[at + 3..]))
}

/// `operand as type`: the last ` as ` outside of brackets.
pub(super) fn split_cast(text: &str) -> Option<(&str, &str)> {
    let mut last = None;
    find_outside(text, |offset, _| {
        if text[offset..].starts_with(" as ") {
            last = Some(offset);
        }
        false
    });
    last.map(|at| (&text[..at], &text[at + 4..]))
}

/// `thing: type`: the last `: ` outside of brackets.
pub(super) fn split_type(text: &str) -> Option<(&str, &str)> {
    let at = find_outside(text, |offset, _| text[offset..].starts_with(": "))?;
    Some((&text[..at], &text[at + 2..]))
}

/// The call in `f(x) -> [return: bb1, unwind: bb2]`, when it is one.
pub(super) fn call_part(code: &str) -> Option<&str> {
    // A call that never returns leads nowhere. In an async body, it leads to the block that cleans up.
    let never =
        || code.rfind(") -> bb").filter(|end| code[end + 7..].bytes().all(|digit| digit.is_ascii_digit()));
    let end = code.rfind(") -> [return: ").or_else(|| code.rfind(") -> unwind ")).or_else(never)?;
    let call = &code[..=end];
    let verb = call.split('(').next()?;
    (!["assert", "drop", "asm!", "yield", "falseEdge"].contains(&verb)).then_some(call)
}

/// Where the arguments of a call start: the first bracket outside of others.
pub(super) fn arguments_start(call: &str) -> Option<usize> {
    let skip = match () {
        _ if call.starts_with("move (") || call.starts_with("copy (") => 6 + closing(&call[6..])? + 1,
        _ => 0,
    };
    find_outside(&call[skip..], |_, c| c == '(').map(|at| at + skip)
}

/// The place in `move _1`, `copy (*_2)`, `&_3`, `&mut (*_4)`.
pub(super) fn taken_from(operand: &str) -> Option<&str> {
    ["move ", "copy ", "&mut ", "&raw const ", "&raw mut ", "&"]
        .iter()
        .find_map(|start| operand.strip_prefix(start))
}

/// The variable that a place is part of; in the state of an async body, the field.
pub(super) fn base(place: &str) -> Option<String> {
    if let Some((_, rest)) = place.split_once(" as variant#")
        && let Some((state, rest)) = rest.split_once(").")
        && let Some((field, _)) = rest.split_once(": ")
    {
        return Some(format!("{state}.{field}"));
    }
    let digits = &place[place.find('_')? + 1..];
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    // A captured variable is a field of the closure, and the closure itself is another place.
    let is_field = place.contains(": ") && !place.contains("std::ptr::Unique<");
    (end > 0 && !is_field).then(|| format!("_{}", &digits[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        assert_eq!(
            split_commas("_1: &str, _2: Map<A, B>, _3: fn(u8, u8) -> u8"),
            ["_1: &str", "_2: Map<A, B>", "_3: fn(u8, u8) -> u8"]
        );
        assert_eq!(
            split_assignment("(_1.0: dyn Iterator<Item = u8>) = move _2"),
            Some(("(_1.0: dyn Iterator<Item = u8>)", "move _2"))
        );
        assert_eq!(
            call_part("f(const \") -> [return: \") -> [return: bb1, unwind continue]"),
            Some("f(const \") -> [return: \")")
        );
        assert_eq!(call_part("assert(move _1, \"x\") -> [success: bb1, unwind continue]"), None);
        assert_eq!(arguments_start("<A as B<fn() -> u8>>::c::<(u8, u8)>(move _1)"), Some(35));
        assert_eq!(arguments_start("copy (*_3)(const 1_u8)"), Some(10));
        assert_eq!(kept_place("(((*_76) as variant#3).2: a::B<u8>)"), Some((3, 2, "a::B<u8>")));
        assert_eq!(split_cast("move _1 as &dyn A<B = u8>"), Some(("move _1", "&dyn A<B = u8>")));
    }
}
