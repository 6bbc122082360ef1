//! What does the header of an `impl` name?

use super::source::words;
use crate::notation::{angle_end, outside_brackets};

/// What an `impl` header names.
#[derive(Debug, PartialEq)]
pub struct Header {
    /// The last name of the trait's path.
    pub interface: Option<String>,
    /// The type as the source spells it.
    pub of: Option<String>,
    /// The names of its generic parameters.
    pub parameters: Vec<String>,
}

/// Reads `impl<T: A> a::Trait<T> for b::Type<T>`. The header of a derive is only the name of the trait.
pub fn header(text: &str) -> Header {
    let text = text.trim();
    let Some(start) = text
        .find("impl")
        .filter(|&start| words(&text[..start]).all(|word| matches!(word, "unsafe" | "default" | "pub")))
    else {
        let last = words(text).last().map(str::to_owned);
        return Header { interface: last, of: None, parameters: Vec::new() };
    };
    let mut rest = text[start + 4..].trim_start();
    let mut parameters = Vec::new();
    if let Some(inside) = rest.strip_prefix('<')
        && let Some(end) = angle_end(inside)
    {
        parameters = parameter_names(&inside[..end - 1]);
        rest = inside[end..].trim_start();
    }
    let rest = rest.split(" where ").next().unwrap_or(rest).trim_end_matches(['{', ' ']);
    const FOR: &str = " for ";
    match outside_brackets(rest, FOR) {
        Some(at) => {
            let (interface, of) = (&rest[..at], &rest[at + FOR.len()..]);
            let path = interface.split('<').next().unwrap_or(interface);
            let last = words(path).last().map(str::to_owned);
            Header { interface: last, of: Some(of.trim().to_owned()), parameters }
        }
        None => Header { interface: None, of: Some(rest.trim().to_owned()), parameters },
    }
}

/// The types among `'a, T: A<B>, const N: usize = 3`.
fn parameter_names(list: &str) -> Vec<String> {
    let (mut depth, mut start) = (0i32, 0);
    let mut parts = Vec::new();
    for (offset, c) in list.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..offset]);
                start = offset + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.starts_with('\''))
        .filter_map(|part| words(part.strip_prefix("const ").unwrap_or(part)).next())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_name_trait_and_type() {
        let read = |text| {
            let header = header(text);
            (header.interface, header.of, header.parameters.join(" "))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("impl Store for Disk"), (some("Store"), some("Disk"), String::new()));
        assert_eq!(
            read("unsafe impl<'a, T: Into<u8>, const N: usize> io::Read<T> for &'a Foo<T, N>"),
            (some("Read"), some("&'a Foo<T, N>"), "T N".to_owned())
        );
        assert_eq!(read("impl<F: Fn(u8) -> u8> Run<F>"), (None, some("Run<F>"), "F".to_owned()));
        assert_eq!(
            read("impl<T> a::B for Box<dyn for<'x> Fn(&'x T)>"),
            (some("B"), some("Box<dyn for<'x> Fn(&'x T)>"), "T".to_owned())
        );
        assert_eq!(read("Debug"), (some("Debug"), None, String::new()));
        assert_eq!(read("serde::Serialize"), (some("Serialize"), None, String::new()));
    }
}
