//! What does each module of a crate define, import and mention?
//!
//! The files are found as the compiler finds them: from `lib.rs` or `main.rs` on, through each `mod x;`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::spanned::Spanned;
use syn::{Item, ItemMod, ItemUse, UseTree, Visibility};

use super::mentions::{self, Mention};
use crate::api::{attributes, ident_of, is_test};

/// A path from the root of the crate on: `["crate", "db", "pool"]`.
pub type Name = Vec<String>;

/// A crate whose sources are read.
pub struct Crate {
    pub(super) modules: BTreeMap<Name, Module>,
}

#[derive(Default)]
pub(super) struct Module {
    /// The path of the file below `src`.
    pub file: String,
    /// The items that are defined here, without modules.
    pub items: BTreeSet<String>,
    /// Each type that is defined here, with its line.
    pub types: Vec<(String, usize)>,
    pub uses: Vec<Use>,
    pub mentions: Vec<Mention>,
    /// The variables and parameters of the file, which may be called like a function.
    pub bound: BTreeSet<String>,
}

pub(super) struct Use {
    /// The name that the import brings. `*` stands for all names of a module.
    pub name: String,
    /// The path as it is written.
    pub path: Name,
    pub line: usize,
    pub is_private: bool,
}

impl Crate {
    /// Reads the crate whose sources are in the folder `src`.
    pub fn read(src: &Path) -> Self {
        Self::new(&|file| fs::read_to_string(src.join(file)).ok())
    }

    /// Reads a crate whose files are given with their texts.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let text =
            |file: &str| files.iter().find(|(name, _)| *name == file).map(|(_, text)| text.to_string());
        Self::new(&text)
    }

    fn new(text: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut this = Self { modules: BTreeMap::new() };
        let root = ["lib.rs", "main.rs"].into_iter().find(|file| text(file).is_some());
        this.add_file(vec!["crate".to_owned()], root.expect("a lib.rs or a main.rs"), text);
        this
    }

    fn add_file(&mut self, name: Name, file: &str, text: &dyn Fn(&str) -> Option<String>) {
        let source = text(file).unwrap_or_else(|| panic!("{file} cannot be read"));
        let parsed = syn::parse_file(&source).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.add(name, file, &parsed.items, text);
    }

    fn add(&mut self, name: Name, file: &str, items: &[Item], text: &dyn Fn(&str) -> Option<String>) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Mod(inner) => self.add_child(&name, file, inner, text),
                Item::Use(item) => module.add_use(item),
                other => {
                    module.define(other);
                    mentions::read(other, &mut module);
                }
            }
        }
        self.modules.insert(name, module);
    }

    fn add_child(
        &mut self,
        parent: &[String],
        file: &str,
        child: &ItemMod,
        text: &dyn Fn(&str) -> Option<String>,
    ) {
        let name = [parent, &[child.ident.to_string()]].concat();
        if let Some((_, items)) = &child.content {
            return self.add(name, file, items, text);
        }
        let place = name[1..].join("/");
        let (flat, folder) = (format!("{place}.rs"), format!("{place}/mod.rs"));
        self.add_file(name, if text(&flat).is_some() { &flat } else { &folder }, text);
    }
}

impl Module {
    fn define(&mut self, item: &Item) {
        match item {
            Item::Macro(item) => self.items.extend(item.ident.as_ref().map(ToString::to_string)),
            _ => self.items.extend(ident_of(item).map(|(_, ident)| ident.to_string())),
        }
    }

    pub fn add_use(&mut self, item: &ItemUse) {
        // A path that begins with `::` is one of another crate.
        if item.leading_colon.is_none() {
            let is_private = matches!(item.vis, Visibility::Inherited);
            self.add_leaves(&item.tree, Vec::new(), is_private);
        }
    }

    fn add_leaves(&mut self, tree: &UseTree, mut path: Name, is_private: bool) {
        let line = tree.span().start().line;
        let name = match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                return self.add_leaves(&tree.tree, path, is_private);
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.add_leaves(tree, path.clone(), is_private));
            }
            UseTree::Name(name) if name.ident == "self" => path.last().unwrap().clone(),
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                name.ident.to_string()
            }
            UseTree::Rename(name) => {
                if name.ident != "self" {
                    path.push(name.ident.to_string());
                }
                name.rename.to_string()
            }
            UseTree::Glob(_) => "*".to_owned(),
        };
        self.uses.push(Use { name, path, line, is_private });
    }
}
