//! Which file defines what a path leads to?

use std::collections::BTreeSet;

use super::Import;
use super::mentions::is_small;
use super::source::{Crate, Name, Use};

/// Where a path of this crate leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    /// To a module itself. Only the name that is taken from the module says which file is needed.
    Module(Name),
    /// To an item of this module.
    Item(Name),
    /// To a name that is not written in this module, since a macro makes it.
    Made(Name),
}

impl Crate {
    /// What each file imports from others, sorted.
    pub fn imports(&self) -> Vec<Import> {
        let mut found = BTreeSet::new();
        for (name, module) in &self.modules {
            for one in &module.uses {
                // A re-export of a file below only shows the way to that file, and does not need it.
                let is_needed = |to: &[String]| one.is_private || !to.starts_with(self.of_file(name));
                // `*` takes every name of a module.
                let takes_all = one.name == "*";
                self.note(name, (&one.path, one.line), takes_all, &is_needed, &mut found);
            }
            for mention in module.mentions.iter().filter(|mention| self.says_more(name, &mention.path)) {
                self.note(name, (&mention.path, mention.line), false, &|_| true, &mut found);
            }
        }
        found.into_iter().collect()
    }

    /// Whether a mention tells more than the `use` of its name, which is counted as an import already.
    fn says_more(&self, of: &[String], path: &[String]) -> bool {
        let module = &self.modules[of];
        let uses: Vec<_> = module.uses.iter().filter(|one| one.name == path[0]).collect();
        if path.len() == 1 {
            let is_variable = is_small(&path[0]) && module.bound.contains(&path[0]);
            return !is_variable && uses.iter().any(|one| !one.is_private);
        }
        // Only the mention tells which name is taken from the module.
        let is_module = |one: &&Use| {
            let targets = self.resolve(of, &one.path, &mut BTreeSet::new());
            targets.iter().any(|target| matches!(target, Target::Module(_)))
        };
        uses.is_empty() || uses.iter().any(|one| !one.is_private || is_module(one))
    }

    fn note(
        &self,
        from: &[String],
        (path, line): (&[String], usize),
        takes_all: bool,
        is_needed: &dyn Fn(&[String]) -> bool,
        found: &mut BTreeSet<Import>,
    ) {
        for target in self.resolve(from, path, &mut BTreeSet::new()) {
            let to = match target {
                Target::Item(to) | Target::Made(to) => to,
                Target::Module(to) if takes_all => to,
                Target::Module(_) => continue,
            };
            let (own, other) = (&self.modules[from].file, &self.modules[&to].file);
            if own != other && is_needed(&to) {
                found.insert(Import { from: own.clone(), line, to: other.clone(), path: path.join("::") });
            }
        }
    }

    /// The module that is the file of this module. It is a different module if this module is written within a file.
    fn of_file<'a>(&self, name: &'a [String]) -> &'a [String] {
        let file = &self.modules[name].file;
        let lengths = 1..=name.len();
        lengths.map(|length| &name[..length]).find(|outer| self.modules[*outer].file == *file).unwrap()
    }

    /// `seen` has the names that are being looked for already, since imports may form a circle.
    fn resolve(
        &self,
        module: &[String],
        path: &[String],
        seen: &mut BTreeSet<(Name, Name)>,
    ) -> BTreeSet<Target> {
        if !seen.insert((module.to_vec(), path.to_vec())) {
            return BTreeSet::new();
        }
        let Some((first, rest)) = path.split_first() else {
            return BTreeSet::from([Target::Module(module.to_vec())]);
        };
        match first.as_str() {
            "crate" => self.within(&module[..1], rest, seen),
            "self" => self.within(module, rest, seen),
            "super" if module.len() > 1 => self.resolve_from(&module[..module.len() - 1], rest, seen),
            _ if self.has(module, first) => self.within(module, path, seen),
            _ => BTreeSet::new(), // an item of another crate, a parameter, or a name of the language
        }
    }

    fn resolve_from(
        &self,
        module: &[String],
        rest: &[String],
        seen: &mut BTreeSet<(Name, Name)>,
    ) -> BTreeSet<Target> {
        match rest.first().is_some_and(|next| next == "super") {
            true => self.resolve(module, rest, seen),
            false => self.within(module, rest, seen),
        }
    }

    /// The place to which a path leads, looked for from this module.
    fn within(
        &self,
        name: &[String],
        path: &[String],
        seen: &mut BTreeSet<(Name, Name)>,
    ) -> BTreeSet<Target> {
        let Some((first, rest)) = path.split_first() else {
            return BTreeSet::from([Target::Module(name.to_vec())]);
        };
        let module = &self.modules[name];
        let child = [name, std::slice::from_ref(first)].concat();
        // In `a::b`, `a` is the module; `a` alone is rather the function of that name.
        if !rest.is_empty() && self.modules.contains_key(&child) {
            return self.within(&child, rest, seen);
        }
        if module.items.contains(first) {
            return BTreeSet::from([Target::Item(name.to_vec())]);
        }
        let mut found = BTreeSet::new();
        for one in module.uses.iter().filter(|one| one.name == *first) {
            found.extend(self.resolve(name, &[&one.path[..], rest].concat(), seen));
        }
        if found.is_empty() && self.modules.contains_key(&child) {
            return BTreeSet::from([Target::Module(child)]);
        }
        if found.is_empty() {
            for one in module.uses.iter().filter(|one| one.name == "*") {
                let behind = self.resolve(name, &[&one.path[..], path].concat(), seen);
                found.extend(behind.into_iter().filter(|target| !matches!(target, Target::Made(_))));
            }
        }
        let is_of_another_crate = module.uses.iter().any(|one| one.name == *first);
        if found.is_empty() && !is_of_another_crate && first != "*" {
            found.insert(Target::Made(name.to_vec()));
        }
        found
    }

    fn has(&self, module: &[String], name: &str) -> bool {
        let here = &self.modules[module];
        self.modules.contains_key(&[module, &[name.to_owned()]].concat())
            || here.items.contains(name)
            || here.uses.iter().any(|one| one.name == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The imports as `from -> to`.
    fn imports(files: &[(&str, &str)]) -> Vec<String> {
        let imports = Crate::of(files).imports();
        let mut pairs: Vec<_> = imports.iter().map(|it| format!("{} -> {}", it.from, it.to)).collect();
        pairs.dedup();
        pairs
    }

    #[test]
    fn a_re_export_leads_to_the_file_that_defines_the_item_and_is_itself_no_import() {
        let files = [
            ("lib.rs", "mod db;\nmod user;\npub use self::db::Pool;"),
            ("db/mod.rs", "mod pool;\npub(crate) use self::pool::Pool;\npub use self::pool::open as start;"),
            ("db/pool.rs", "pub struct Pool;\npub fn open() -> Pool { Pool }"),
            ("user.rs", "use crate::Pool;\nfn f() { crate::db::start(); }"),
        ];
        assert_eq!(imports(&files), ["user.rs -> db/pool.rs"]);
    }

    #[test]
    fn what_a_module_uses_of_its_children_is_an_import_whether_it_is_re_exported_or_not() {
        let child = ("db/pool.rs", "pub struct Pool;\npub fn open() {}");
        let root = ("lib.rs", "mod db;");
        let private = ("db/mod.rs", "mod pool;\nuse self::pool::Pool;\nstruct Db(Pool);");
        assert_eq!(imports(&[root, private, child]), ["db/mod.rs -> db/pool.rs"]);
        let public = ("db/mod.rs", "mod pool;\npub use self::pool::Pool;\nstruct Db(Pool);");
        assert_eq!(imports(&[root, public, child]), ["db/mod.rs -> db/pool.rs"]);
        let inline = ("db/mod.rs", "mod pool;\nfn f() { pool::open(); }");
        assert_eq!(imports(&[root, inline, child]), ["db/mod.rs -> db/pool.rs"]);
        let variable = ("db/mod.rs", "mod pool;\npub use self::pool::open;\nfn f(open: u8) -> u8 { open }");
        assert_eq!(imports(&[root, variable, child]), [] as [&str; 0]);
        let unused = ("db/mod.rs", "mod pool;\npub use self::pool::Pool;");
        assert_eq!(imports(&[root, unused, child]), [] as [&str; 0]);
    }

    #[test]
    fn a_re_export_of_what_does_not_lie_below_is_an_import() {
        let files =
            [("lib.rs", "mod a;\nmod b;"), ("a.rs", "pub use crate::b::B;"), ("b.rs", "pub struct B;")];
        assert_eq!(imports(&files), ["a.rs -> b.rs"]);
    }

    #[test]
    fn a_module_under_another_name_leads_to_each_of_its_variants() {
        let files = [
            ("lib.rs", "mod driver;\nmod user;"),
            (
                "driver/mod.rs",
                "#[cfg(a)]\nmod a;\n#[cfg(b)]\nmod b;\n#[cfg(a)]\nuse self::a as chosen;\n#[cfg(b)]\nuse self::b as \
                 chosen;\npub use self::chosen::Driver;",
            ),
            ("driver/a.rs", "pub struct Driver;"),
            ("driver/b.rs", "pub struct Driver;"),
            ("user.rs", "use super::driver::Driver;"),
        ];
        assert_eq!(imports(&files), ["user.rs -> driver/a.rs", "user.rs -> driver/b.rs"]);
    }

    #[test]
    fn paths_in_functions_macros_and_modules_in_braces_are_imports() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod inner { use super::b::B; }"),
            (
                "a.rs",
                "use crate::b;\nfn f() { println!(\"{:?} {}\", b::B, $crate::b::M); }\nfn g() { use super::b::g; }",
            ),
            ("b.rs", "pub struct B;\nmake! { static M }\npub fn g() {}"),
        ];
        assert_eq!(imports(&files), ["a.rs -> b.rs", "lib.rs -> b.rs"]);
        let paths: Vec<_> = Crate::of(&files).imports().into_iter().map(|it| (it.line, it.path)).collect();
        let found = [(2, "b::B"), (2, "crate::b::M"), (3, "super::b::g"), (3, "super::b::B")];
        assert_eq!(paths, found.map(|(line, path)| (line, path.to_owned())));
    }

    #[test]
    fn what_is_imported_from_all_names_of_a_module_is_found_behind_it() {
        let files = [
            ("lib.rs", "mod a;\nmod prelude;\nmod b;\nmod c;"),
            ("a.rs", "use crate::prelude::B;"),
            ("c.rs", "use crate::prelude::*;"),
            ("prelude.rs", "pub use crate::b::*;\npub use std::fmt::*;"),
            ("b.rs", "pub struct B;"),
        ];
        let found = ["a.rs -> b.rs", "c.rs -> prelude.rs", "prelude.rs -> b.rs"];
        assert_eq!(imports(&files), found);
    }

    #[test]
    fn neither_tests_nor_other_crates_nor_comments_nor_visibility_are_imports() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nuse metrics::counter;"),
            (
                "a.rs",
                "//! [`crate::b::B`]\nuse std::b::B;\nuse ::b::C;\npub(in crate::b) struct A;\n#[cfg(test)]\nfn f() { \
                 crate::b::f(); }\n#[cfg(test)]\nmod tests { use crate::b::B; }\nimpl A { #[cfg(test)] fn g() { \
                 crate::b::f(); } }",
            ),
            ("b.rs", "pub struct B;\npub fn f() {}"),
        ];
        assert_eq!(imports(&files), [] as [&str; 0]);
    }
}
