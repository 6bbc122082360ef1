//! Which names and types does a source file declare?
//!
//! The file is read line by line, with the depth of the braces. What a macro makes is not seen.

use rustc_hash::{FxHashMap, FxHashSet};

use super::header::{Header, header};
use super::source::{Source, words};

impl Source {
    /// The names that these keywords declare outside of all braces.
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

    /// Names that this file gives to items that have another name where they are defined: `use a::B as C`,
    /// `type C = B`.
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

    /// The structs and enums that are defined here, with the words of their fields' types. Fields that only
    /// share a value or point to it are left out, since the value is not dropped with them.
    pub fn fields(&self) -> FxHashMap<String, FxHashSet<String>> {
        let code = self.code.join("\n");
        let mut found: FxHashMap<String, FxHashSet<String>> = FxHashMap::default();
        // The guards of tokio have the same names as those of std.
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

    /// The types that an impl gives to the names of its trait, by their last words. The header of the impl
    /// starts on this line.
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

    /// The headers of the impls that give types to the names of their trait, with these types.
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
}
