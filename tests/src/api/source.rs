//! What do the sources of a crate contain, and what does a name in them mean?
//!
//! This reads only as much of Rust as the engine uses. If the sources have anything else, it panics and says so.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use quote::ToTokens;
use syn::{Attribute, Ident, Item, UseTree, Visibility};

use super::text::text;

/// A path from the root of the crate on: `["crate", "db", "pool", "Pool"]`. If it does not begin with `crate`, it is
/// the path of another crate's item.
pub type Name = Vec<String>;

/// The conditions (`cfg`) under which an item exists.
pub type Cfgs = Vec<String>;

pub struct Sources {
    pub modules: BTreeMap<Name, Module>,
}

pub struct Module {
    pub items: Vec<Item>,
    pub cfgs: Cfgs,
    pub uses: Vec<Use>,
}

pub struct Use {
    pub name: String,
    /// The path as it is written.
    pub target: Name,
    pub cfgs: Cfgs,
    pub is_public: bool,
}

impl Sources {
    /// `root` is the crate's `lib.rs`.
    pub fn read(root: &Path) -> Self {
        let mut sources = Self { modules: BTreeMap::new() };
        let folder = root.parent().unwrap();
        sources.add(vec!["crate".to_owned()], root, folder, Vec::new());
        sources
    }

    fn add(&mut self, name: Name, file: &Path, folder: &Path, cfgs: Cfgs) {
        let source = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let items =
            syn::parse_file(&source).unwrap_or_else(|error| panic!("{}: {error}", file.display())).items;
        let items: Vec<_> = items.into_iter().filter(|item| !is_test(attributes(item))).collect();
        let mut uses = Vec::new();
        for item in &items {
            match item {
                Item::Mod(module) => {
                    assert!(module.content.is_none(), "{}: a module within the file", file.display());
                    let child = module.ident.to_string();
                    let inner = folder.join(&child);
                    let flat = folder.join(format!("{child}.rs"));
                    let file = if flat.exists() { flat } else { inner.join("mod.rs") };
                    let cfgs = cfgs.iter().cloned().chain(conditions(&module.attrs)).collect();
                    let name = name.iter().cloned().chain([child]).collect();
                    self.add(name, &file, &inner, cfgs);
                }
                Item::Use(item) => {
                    let mut prefix = Vec::new();
                    if item.leading_colon.is_some() {
                        prefix.push(String::new());
                    }
                    leaves(&item.tree, prefix, &mut |name, target| {
                        let is_public = matches!(item.vis, Visibility::Public(_));
                        uses.push(Use { name, target, cfgs: conditions(&item.attrs), is_public });
                    });
                }
                Item::Macro(item) if item.ident.is_none() => {
                    let called = item.mac.path.segments.last().unwrap().ident.to_string();
                    let known = ["compile_error", "task_local", "thread_local"];
                    assert!(known.contains(&&*called), "{}: what does {called}! make?", file.display());
                }
                _ => {}
            }
        }
        self.modules.insert(name, Module { items, cfgs, uses });
    }

    /// The items that a path means that is written in a module. There are several if the meaning depends on features.
    pub fn resolve(&self, module: &[String], path: &[String]) -> Vec<(Name, Cfgs)> {
        let (first, rest) = path.split_first().unwrap();
        let local = |head: &[String], rest: &[String]| self.follow([head, rest].concat());
        match &**first {
            "crate" => self.follow(path.to_vec()),
            "self" => local(module, rest),
            "super" => match rest.first().is_some_and(|next| next == "super") {
                true => self.resolve(&module[..module.len() - 1], rest),
                false => local(&module[..module.len() - 1], rest),
            },
            "" => vec![(rest.to_vec(), Vec::new())],
            _ if self.has(module, first) => local(module, path),
            _ => vec![(path.to_vec(), Vec::new())], // an item of another crate, a parameter, or a name of the language
        }
    }

    /// The items to which a path of this crate leads, through each `use` on the way.
    fn follow(&self, path: Name) -> Vec<(Name, Cfgs)> {
        let mut at = 1;
        while at < path.len() && self.modules.contains_key(&path[..=at]) {
            at += 1;
        }
        let (module, rest) = path.split_at(at);
        let Some((name, rest)) = rest.split_first() else { return vec![(path, Vec::new())] };
        if self.items(module).any(|item| is_called(item, name)) {
            return vec![(path.clone(), self.modules[module].cfgs.clone())];
        }
        let mut found = Vec::new();
        for one in self.modules[module].uses.iter().filter(|one| one.name == *name) {
            let target = [&one.target[..], rest].concat();
            // In `use metrics::counter`, `metrics` is not looked for among the names that this module uses as
            // `metrics`.
            let target = match one.target[0] == *name && one.target.len() == 1 {
                true => vec![(target, Vec::new())],
                false => self.resolve(module, &target),
            };
            found.extend(target.into_iter().map(|(path, cfgs)| (path, [one.cfgs.clone(), cfgs].concat())));
        }
        assert!(!found.is_empty(), "nothing is called {name} in {}: {path:?}", module.join("::"));
        found
    }

    fn has(&self, module: &[String], name: &str) -> bool {
        let child = [module, &[name.to_owned()]].concat();
        self.modules.contains_key(&child)
            || self.items(module).any(|item| is_called(item, name))
            || self.modules[module].uses.iter().any(|one| one.name == name)
    }

    pub fn items(&self, module: &[String]) -> impl Iterator<Item = &Item> {
        self.modules[module].items.iter()
    }
}

fn leaves(tree: &UseTree, prefix: Name, add: &mut impl FnMut(String, Name)) {
    let with = |name: String| prefix.iter().cloned().chain([name]).collect::<Name>();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, with(path.ident.to_string()), add),
        UseTree::Name(name) if name.ident == "self" => add(prefix.last().unwrap().clone(), prefix),
        UseTree::Name(name) => add(name.ident.to_string(), with(name.ident.to_string())),
        UseTree::Rename(name) => add(name.rename.to_string(), with(name.ident.to_string())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, prefix.clone(), add)),
        _ => {
            assert_ne!(prefix.first().map(String::as_str), Some("self"), "`use …::*` hides what is exported")
        }
    }
}

/// The name of an item, and who may use it. None if the item has no name, or if a macro makes the name.
pub fn ident_of(item: &Item) -> Option<(&Visibility, &Ident)> {
    match item {
        Item::Const(item) => Some((&item.vis, &item.ident)),
        Item::Enum(item) => Some((&item.vis, &item.ident)),
        Item::Fn(item) => Some((&item.vis, &item.sig.ident)),
        Item::Mod(item) => Some((&item.vis, &item.ident)),
        Item::Static(item) => Some((&item.vis, &item.ident)),
        Item::Struct(item) => Some((&item.vis, &item.ident)),
        Item::Trait(item) => Some((&item.vis, &item.ident)),
        Item::Type(item) => Some((&item.vis, &item.ident)),
        _ => None,
    }
}

/// Whether an item that is no module has this name. A module does not count, since a function may have the same name.
pub fn is_called(item: &Item, name: &str) -> bool {
    !matches!(item, Item::Mod(_)) && ident_of(item).is_some_and(|(_, ident)| ident == name)
}

pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        other => panic!("what is this? {}", text(other)),
    }
}

/// The text in each attribute of this name, such as `(feature = "sqlite")` of `cfg`.
pub fn of_attribute(attributes: &[Attribute], name: &str) -> Vec<String> {
    let named = attributes.iter().filter(|one| one.path().is_ident(name));
    named.map(|one| text(one.meta.to_token_stream())[name.len()..].to_owned()).collect()
}

pub fn conditions(attributes: &[Attribute]) -> Cfgs {
    of_attribute(attributes, "cfg")
}

pub fn is_test(attributes: &[Attribute]) -> bool {
    conditions(attributes).iter().any(|cfg| cfg == "(test)")
}

pub fn is_hidden(attributes: &[Attribute]) -> bool {
    of_attribute(attributes, "doc").iter().any(|doc| doc == "(hidden)")
}
