//! What can the users of a crate rely on?
//!
//! The list is read from the sources. rustdoc knows more, but its formats are unstable (JSON) or made for people
//! (HTML): a newer compiler would change the list without a change of ours, and each feature set would have to be
//! built. The list does not have what the fields of a type imply (`Send`, `Sync`), nor the code that derives write.

mod items;
mod names;
mod source;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::{Item, Visibility};

use self::source::{Cfgs, Name, Sources, conditions, is_called, is_hidden};
pub(crate) use self::source::{attributes, ident_of, is_test};
pub(crate) use self::text::text;

/// The lines about each name of the API, in the order of the names.
type Paragraphs = BTreeMap<String, Vec<String>>;

/// The public API of the crate in `folder`: a paragraph for each item.
pub fn list(folder: &Path) -> String {
    let sources = Sources::read(&folder.join("src/lib.rs"));
    let mut api = Api { sources: &sources, exported: BTreeMap::new() };
    let (mut exports, mut paragraphs) = (Vec::new(), Paragraphs::new());
    api.walk(&["crate".to_owned()], "", &mut exports, &mut paragraphs);
    // If an item has several names, the shortest name counts.
    exports.sort_by_key(|export| std::cmp::Reverse(export.name.len()));
    api.exported = exports.iter().map(|export| (export.definition.clone(), export.name.clone())).collect();
    for Export { name, definition, cfgs } in &exports {
        let (own, module) = definition.split_last().unwrap();
        let item = sources.items(module).find(|item| is_called(item, own)).unwrap();
        let cfgs = [&cfgs[..], &conditions(attributes(item))].concat();
        let lines = paragraphs.entry(format!("{name}{}", condition(&cfgs))).or_default();
        lines.extend(api.item(module, item));
        lines.extend(api.implementations(definition));
    }
    macros(&sources, &mut paragraphs);
    of_manifest(folder, &mut paragraphs);
    let paragraph = |(name, lines): (&String, &Vec<String>)| {
        let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
        format!("{name}\n{lines}")
    };
    paragraphs.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

struct Api<'a> {
    sources: &'a Sources,
    /// The name of each item in the sources, and its name in the API.
    exported: BTreeMap<Name, String>,
}

struct Export {
    name: String,
    definition: Name,
    cfgs: Cfgs,
}

impl Api<'_> {
    /// Collects what a public module exports, and then does the same for the public modules in it.
    fn walk(&self, module: &[String], prefix: &str, exports: &mut Vec<Export>, paragraphs: &mut Paragraphs) {
        let sources = self.sources;
        let here = &sources.modules[module];
        for one in here.uses.iter().filter(|one| one.is_public) {
            for (definition, cfgs) in sources.resolve(module, &one.target) {
                let (name, cfgs) = (format!("{prefix}{}", one.name), [&one.cfgs[..], &cfgs].concat());
                if definition[0] == "crate" {
                    exports.push(Export { name, definition, cfgs });
                } else {
                    let line = format!("the crate {}", definition.join("::"));
                    paragraphs.insert(format!("{name}{}", condition(&cfgs)), vec![line]);
                }
            }
        }
        for item in here.items.iter().filter(|item| !is_hidden(attributes(item))) {
            let Some((Visibility::Public(_), ident)) = ident_of(item) else { continue };
            let (definition, name) = ([module, &[ident.to_string()]].concat(), format!("{prefix}{ident}"));
            if matches!(item, Item::Mod(_)) {
                self.walk(&definition, &format!("{name}::"), exports, paragraphs);
            } else {
                exports.push(Export { name, definition, cfgs: here.cfgs.clone() });
            }
        }
    }
}

fn macros(sources: &Sources, paragraphs: &mut Paragraphs) {
    for item in sources.modules.values().flat_map(|module| &module.items) {
        let Item::Macro(item) = item else { continue };
        let is_exported = item.attrs.iter().any(|one| one.path().is_ident("macro_export"));
        if let (Some(name), true) = (&item.ident, is_exported) {
            paragraphs.insert(format!("{name}!"), vec![format!("macro {{ {} }}", text(&item.mac.tokens))]);
        }
    }
}

fn condition(cfgs: &[String]) -> String {
    let cfgs: BTreeSet<_> = cfgs.iter().collect();
    cfgs.iter().map(|cfg| format!(" #[cfg{cfg}]")).collect()
}

/// The features, and the versions of the crates whose types are in the API: another major version is another API.
fn of_manifest(folder: &Path, paragraphs: &mut Paragraphs) {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let table = |key: &str| manifest[key].as_table().unwrap().iter();
    let features = table("features").map(|(name, _)| name.clone()).filter(|name| !name.starts_with('_'));
    let lines: Vec<_> = paragraphs.values().flatten().cloned().collect();
    let is_named = |name: &str| {
        let path = format!("{}::", name.replace('-', "_"));
        let is_part = |before: &str| before.ends_with(|c: char| c == '_' || c == ':' || c.is_alphanumeric());
        lines.iter().any(|line| line.match_indices(&path).any(|(at, _)| !is_part(&line[..at])))
    };
    let versions = table("dependencies").filter(|(name, _)| is_named(name)).map(|(name, dependency)| {
        format!("{name} {}", dependency.get("version").unwrap_or(dependency).as_str().unwrap())
    });
    paragraphs.insert("(the crates of these types)".to_owned(), versions.collect());
    paragraphs.insert("(features)".to_owned(), features.collect());
}
