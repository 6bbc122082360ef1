//! How is a text read that stands for a list or for JSON?

use figment::value::{Tag, Value};
use serde::de::Expected;

/// Reads a text as JSON. The error says what is wrong with the text.
pub fn json(text: &str, tag: Tag, expected: &dyn Expected) -> Result<Value, String> {
    let value =
        serde_json::from_str(text).map_err(|error| match text.trim_start().starts_with(['{', '[']) {
            true => format!("is not valid JSON, at character {}", error.column()),
            false => format!("JSON is expected, for {expected}"),
        })?;
    Ok(tagged(value, tag))
}

/// The items of a list that are separated by commas. None if the list is JSON.
pub fn items(text: &str) -> Option<impl Iterator<Item = &str>> {
    let text = text.trim();
    // A bracket alone does not mean JSON, because addresses like [::1]:80 begin with one, too.
    let inside = text.strip_prefix('[').map(str::trim_start);
    let must_be_json = inside.is_some_and(|inside| inside.starts_with(['"', '{', '[']));
    let is_json = must_be_json || inside.is_some_and(|_| serde_json::from_str::<Vec<Value>>(text).is_ok());
    (!is_json).then(|| text.split(',').map(str::trim).filter(|item| !item.is_empty()))
}

/// Marks a value that was parsed from a text as set in the place where the text was set.
fn tagged(value: Value, tag: Tag) -> Value {
    match value {
        Value::String(_, text) => Value::String(tag, text),
        Value::Char(_, char) => Value::Char(tag, char),
        Value::Bool(_, bool) => Value::Bool(tag, bool),
        Value::Num(_, num) => Value::Num(tag, num),
        Value::Empty(_, empty) => Value::Empty(tag, empty),
        Value::Dict(_, dict) => {
            Value::Dict(tag, dict.into_iter().map(|(name, value)| (name, tagged(value, tag))).collect())
        }
        Value::Array(_, items) => {
            Value::Array(tag, items.into_iter().map(|value| tagged(value, tag)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_commas_or_is_json() {
        let of = |text| items(text).map(Iterator::collect::<Vec<_>>);
        assert_eq!(of(" a, b c ,,d "), Some(vec!["a", "b c", "d"]));
        assert_eq!(of(""), Some(vec![]));
        assert_eq!(of("[::1]:80,[::2]:80"), Some(vec!["[::1]:80", "[::2]:80"]));
        for json in ["[]", "[1, 2]", " [true]", "[\"a,b\"]", "[\"a", "[{", "[["] {
            assert_eq!(of(json), None, "{json}");
        }
    }

    #[test]
    fn what_is_wrong_with_json_is_said_without_a_piece_of_it() {
        let problem = |text| json(text, Tag::Default, &"a table").unwrap_err();
        assert_eq!(problem("{\"hunter2"), "is not valid JSON, at character 9");
        assert_eq!(problem("hunter2"), "JSON is expected, for a table");
    }
}
