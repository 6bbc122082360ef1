//! Where is a macro by example defined, and where is it invoked?

use rustc_hash::FxHashSet;

use super::source::{Source, words};

impl Source {
    /// The macro by example that the line belongs to.
    pub fn macro_around(&self, line: u32) -> Option<&str> {
        let last = (line as usize).min(self.code.len());
        let (start, name) = self.code[..last].iter().enumerate().rev().find_map(|(index, code)| {
            let rest = code.split_once("macro_rules!")?.1.trim_start();
            let name = words(rest).next()?;
            // The name is cut from the text itself, so that it lives as long as the text.
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

    /// The lines and columns at which the macro is invoked between two lines.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
