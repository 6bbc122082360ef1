//! Which types share a name?

use std::collections::BTreeMap;

use super::source::Crate;

impl Crate {
    /// The names that several structs, enums, unions, traits or type aliases have, each with the places of its types:
    /// `file:line`. Types within functions count, and types that a macro makes do not.
    pub fn namesakes(&self) -> BTreeMap<String, Vec<String>> {
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for module in self.modules.values() {
            for (name, line) in &module.types {
                places.entry(name.clone()).or_default().push(format!("{}:{line}", module.file));
            }
        }
        places.retain(|_, places| places.len() > 1);
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_one_name_are_found_wherever_they_are_outside_of_tests() {
        let files = [
            ("lib.rs", "mod a;\npub struct Twin;\nstruct Alone;"),
            (
                "a.rs",
                "fn f() { enum Twin {} }\nmod b {\n    type Twin = u8;\n}\n#[cfg(test)]\nmod tests { struct Alone; }\nimpl \
                 Iterator for super::Alone { type Item = u8; }\nimpl Iterator for super::Twin { type Item = u8; }",
            ),
        ];
        let found = Crate::of(&files).namesakes();
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("Twin".to_owned(), ["lib.rs:2", "a.rs:1", "a.rs:3"].map(str::to_owned).to_vec())]
        );
    }
}
