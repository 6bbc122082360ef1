//! What stands in the source text that the compiler does not print?
//!
//! Four things are read from the sources: the trait and type that an `impl` header names, the names that
//! a crate declares, where a macro is defined and invoked, and the comments that allow a finding. It is
//! a reading of tokens, not of the grammar: the compiler has accepted the text before.

use std::cell::{OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

/// A file of source text.
pub struct Source {
    lines: Vec<String>,
    /// The same lines with comments and the insides of strings blanked.
    code: Vec<String>,
    pub comments: Vec<Comment>,
    renames: OnceCell<FxHashMap<String, String>>,
}

/// A line comment, without its slashes.
pub struct Comment {
    pub line: u32,
    pub column: u32,
    pub text: String,
    /// Whether code stands before it on its line.
    pub behind_code: bool,
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

    /// The code from one place to another, comments blanked; columns count characters from 1.
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

    /// What is declared by each of the keywords outside of all braces.
    pub fn outer(&self, keywords: &[&str]) -> FxHashSet<String> {
        let mut names = FxHashSet::default();
        for line in self.outer_lines() {
            let mut words = words(line).skip_while(|word| !keywords.contains(word));
            names.extend(words.nth(1).map(str::to_owned));
        }
        names
    }

    fn outer_lines(&self) -> impl Iterator<Item = &str> {
        let mut depth = 0i32;
        self.code.iter().map(String::as_str).filter(move |line| {
            let outer = depth == 0;
            depth += line.chars().map(|c| i32::from(c == '{') - i32::from(c == '}')).sum::<i32>();
            outer
        })
    }

    /// Names that this file gives to what has another name at home: `use a::B as C`, `type C = B`.
    pub fn renames(&self) -> &FxHashMap<String, String> {
        self.renames.get_or_init(|| self.find_renames())
    }

    fn find_renames(&self) -> FxHashMap<String, String> {
        let mut found = FxHashMap::default();
        for line in &self.code {
            for (at, _) in line.match_indices(" as ") {
                let before = words(&line[..at]).last();
                let after = words(&line[at + 4..]).next();
                if let (Some(before), Some(after)) = (before, after)
                    && after != "_"
                    && line.trim_end().ends_with([';', ',', '}', '{'])
                {
                    found.insert(after.to_owned(), before.to_owned());
                }
            }
        }
        for line in self.outer_lines() {
            if let Some((name, ty)) = line.split_once("type ").and_then(|(_, rest)| rest.split_once('='))
                && let Some(name) = words(name).next()
                && let Some(ty) = words(ty.split('<').next().unwrap_or(ty)).last()
            {
                found.insert(name.to_owned(), ty.to_owned());
            }
        }
        found
    }

    /// The structs and enums that are defined here, with the words of their fields' types. Fields that
    /// only share or point to a value are left out: it is not dropped with them.
    pub fn fields(&self) -> FxHashMap<String, FxHashSet<String>> {
        let code = self.code.join("\n");
        let mut found: FxHashMap<String, FxHashSet<String>> = FxHashMap::default();
        // tokio has guards of the same names.
        let of_tokio: FxHashSet<&str> =
            self.code.iter().filter(|line| line.contains("use tokio")).flat_map(|line| words(line)).collect();
        for keyword in ["struct ", "enum "] {
            for (at, _) in code.match_indices(keyword) {
                if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    continue;
                }
                let rest = &code[at + keyword.len()..];
                let Some(name) = words(rest).next() else { continue };
                let mut depth = 0i32;
                let mut end = rest.len();
                for (offset, c) in rest.char_indices() {
                    match c {
                        '{' | '(' => depth += 1,
                        '}' | ')' => depth -= 1,
                        ';' if depth == 0 => end = offset,
                        _ => continue,
                    }
                    if (c == '}' && depth == 0) || end < rest.len() || depth < 0 {
                        end = end.min(offset);
                        break;
                    }
                }
                let shares = ["Arc<", "Rc<", "Weak<", "PhantomData<", "ManuallyDrop<", "&"];
                let owned = rest[name.len()..end]
                    .split(',')
                    .filter(|field| !shares.iter().any(|part| field.contains(part)));
                let of_field = found.entry(name.to_owned()).or_default();
                for word in owned.flat_map(words) {
                    of_field.insert(word.to_owned());
                    if word.ends_with("Guard") && of_tokio.contains(word) {
                        of_field.insert("tokio".to_owned());
                    }
                }
            }
        }
        found
    }

    /// The types that an impl whose header starts here gives to its trait's names: the last words.
    pub fn associated(&self, line: u32) -> FxHashMap<String, String> {
        let mut depth = 0i32;
        let mut found = FxHashMap::default();
        for code in self.code.iter().skip(line.saturating_sub(1) as usize) {
            if depth <= 1
                && let Some(start) = code.find("type ")
                && let Some((name, ty)) = code[start + 5..].split_once('=')
                && let Some(name) = words(name).next()
                && let Some(ty) = words(ty.split('<').next().unwrap_or(ty)).last()
            {
                found.insert(name.to_owned(), ty.to_owned());
            }
            let before = depth;
            depth += code.chars().map(|c| i32::from(c == '{') - i32::from(c == '}')).sum::<i32>();
            if depth <= 0 && (before > 0 || code.contains('}')) {
                break;
            }
        }
        found
    }

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

    /// The impls that give types to their trait: their headers, and these types.
    pub fn impls_with_types(&self) -> Vec<(Header, FxHashMap<String, String>)> {
        let mut found = Vec::new();
        for (index, code) in self.code.iter().enumerate() {
            let trimmed = code.trim_start();
            if !["impl ", "impl<", "unsafe impl"].iter().any(|start| trimmed.starts_with(start)) {
                continue;
            }
            let associated = self.associated(index as u32 + 1);
            if !associated.is_empty() {
                let text = self.code[index..self.code.len().min(index + 10)].join(" ");
                found.push((header(text.split('{').next().unwrap_or("")), associated));
            }
        }
        found
    }

    /// The macro by example that the line belongs to.
    pub fn macro_around(&self, line: u32) -> Option<&str> {
        let last = (line as usize).min(self.code.len());
        let (start, name) = self.code[..last].iter().enumerate().rev().find_map(|(index, code)| {
            let rest = code.split_once("macro_rules!")?.1.trim_start();
            let name = words(rest).next()?;
            // It lies in the text of the original, which is as long.
            let at = self.code[index].find(name)?;
            Some((index, &self.code[index][at..at + name.len()]))
        })?;
        let mut depth = 0i32;
        for code in &self.code[start..last - 1] {
            let before = depth;
            for c in code.chars() {
                match c {
                    '{' | '(' | '[' => depth += 1,
                    '}' | ')' | ']' => depth -= 1,
                    _ => {}
                }
            }
            if depth == 0 && (before > 0 || code.contains(['}', ')', ']'])) {
                return None;
            }
        }
        Some(name)
    }

    /// Where the macro is invoked, from one line to another: lines and columns.
    pub fn invocations(&self, name: &str, first: u32, last: u32) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        let call = format!("{name}!");
        for number in first..=last.min(self.code.len() as u32) {
            let Some(code) = (number as usize).checked_sub(1).and_then(|index| self.code.get(index)) else {
                continue;
            };
            for (at, _) in code.match_indices(&call) {
                let before = code[..at].chars().next_back();
                if !before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    found.push((number, code[..at].chars().count() as u32 + 1));
                }
            }
        }
        found
    }

    /// Macros by example whose definition invokes the macro `name`.
    pub fn macros_that_use(&self, name: &str) -> FxHashSet<String> {
        self.invocations(name, 1, self.len())
            .into_iter()
            .filter_map(|(line, _)| self.macro_around(line))
            .filter(|outer| *outer != name)
            .map(str::to_owned)
            .collect()
    }
}

/// Takes `a::{b, c as d, e::*}` apart.
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

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// Blanks comments and the insides of strings and characters, and collects the line comments.
fn blank(text: &str) -> (Vec<String>, Vec<Comment>) {
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

/// Reads `impl<T: A> a::Trait<T> for b::Type<T>`. A derive's header is the name of the trait alone.
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
        && let Some(end) = crate::types::angle_end(inside)
    {
        parameters = parameter_names(&inside[..end - 1]);
        rest = inside[end..].trim_start();
    }
    let rest = rest.split(" where ").next().unwrap_or(rest).trim_end_matches(['{', ' ']);
    match split_for(rest) {
        Some((interface, of)) => {
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

fn split_for(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0i32;
    let mut before = ' ';
    for (offset, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if before == '-' || before == '=' => {}
            '>' | ')' | ']' => depth -= 1,
            'f' if depth == 0 && text[offset..].starts_with("for ") && before == ' ' => {
                return Some((&text[..offset], &text[offset + 4..]));
            }
            _ => {}
        }
        before = c;
    }
    None
}

/// The sources of a workspace, read when they are asked for.
#[derive(Default)]
pub struct Sources {
    files: RefCell<FxHashMap<PathBuf, Option<Rc<Source>>>>,
}

impl Sources {
    /// `file` as the compiler names it, from the directory it ran in. `None` when it cannot be read, as
    /// with the standard library's.
    pub fn get(&self, directory: &str, file: &str) -> Option<Rc<Source>> {
        let path = Path::new(directory).join(file);
        let mut files = self.files.borrow_mut();
        files
            .entry(path)
            .or_insert_with_key(|path| {
                let bytes = std::fs::read(path).ok()?;
                Some(Rc::new(Source::new(&String::from_utf8_lossy(&bytes))))
            })
            .clone()
    }
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

    #[test]
    fn comments_are_told_from_strings() {
        let source = Source::new(
            "let a = \"// no\"; // yes\nlet b = r#\"/* no \" */\"#; /* // no\n// no */ let c = '\"'; // two\n    //three\n",
        );
        let found: Vec<_> =
            source.comments.iter().map(|c| (c.line, c.column, c.text.trim(), c.behind_code)).collect();
        assert_eq!(found, [(1, 18, "yes", true), (3, 23, "two", true), (4, 5, "three", false)]);
    }

    #[test]
    fn a_macro_is_found_by_its_body_and_its_uses() {
        let source = Source::new(
            "macro_rules! nap {\n    () => {\n        sleep()\n    };\n}\nfn f() {\n    nap!();\n    kidnap!();\n}\nmacro_rules! long { () => { nap!() } }\n",
        );
        assert_eq!(source.macro_around(3), Some("nap"));
        assert_eq!(source.macro_around(7), None);
        assert_eq!(source.invocations("nap", 6, 9), [(7, 5)]);
        assert_eq!(source.macros_that_use("nap").into_iter().collect::<Vec<_>>(), ["long"]);
    }

    #[test]
    fn nothing_makes_it_panic() {
        for text in [
            "",
            "'",
            "\"",
            "r#\"",
            "/*",
            "'\\",
            "impl<",
            "impl<T> for",
            "\u{e9}'\u{e9}",
            "b'\\''",
            "macro_rules!",
            "/*/*\n*/",
        ] {
            let source = Source::new(text);
            source.between(1, 1, 9, 9);
            source.macro_around(1);
            source.invocations("a", 1, 9);
            header(text);
        }
    }
}
