//! What does a source file export under its own path?

use super::Source;

impl Source {
    /// What `pub use` exports: the name, or `*`, and the path behind it.
    pub fn exports(&self) -> Vec<(String, String)> {
        let code = self.code.join(" ");
        let mut found = Vec::new();
        for (at, _) in code.match_indices("pub use ") {
            let rest = &code[at + "pub use ".len()..];
            let Some(end) = rest.find(';') else { continue };
            let tree: String = rest[..end].split_whitespace().collect::<Vec<_>>().join(" ");
            export_tree("", &tree, &mut found);
        }
        found
    }
}

/// Splits `a::{b, c as d, e::*}` into its paths.
fn export_tree(before: &str, tree: &str, found: &mut Vec<(String, String)>) {
    let tree = tree.trim();
    if let Some((path, inside)) = tree.split_once('{') {
        let inside = inside.rsplit_once('}').map_or(inside, |(inside, _)| inside);
        let (mut depth, mut start) = (0i32, 0);
        for (offset, c) in inside.char_indices().chain([(inside.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    export_tree(&format!("{before}{path}"), &inside[start..offset], found);
                    start = offset + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let (path, name) = tree.split_once(" as ").unwrap_or((tree, tree.rsplit("::").next().unwrap_or(tree)));
    let whole = format!("{before}{path}");
    let whole = whole.trim_start_matches("::").trim_end_matches("::*").trim_end_matches("::self");
    let name = if name == "self" { whole.rsplit("::").next().unwrap_or(whole) } else { name.trim() };
    if !name.is_empty() && name != "_" {
        found.push((name.to_owned(), whole.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_taken_apart() {
        let source = Source::new(
            "pub use std::fs::read as slurp;\npub use ::std::{thread::*, io::{self, Read as R}};\nuse a::b;",
        );
        let expected =
            [("slurp", "std::fs::read"), ("*", "std::thread"), ("io", "std::io"), ("R", "std::io::Read")];
        let found = source.exports();
        let found: Vec<_> = found.iter().map(|(name, path)| (name.as_str(), path.as_str())).collect();
        assert_eq!(found, expected);
    }
}
