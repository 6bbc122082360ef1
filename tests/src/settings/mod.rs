//! What do the sources of the engine say about each setting?
//!
//! The doc comment of a field is the one description of a setting, and the table `RANGES` of its section has its range.
//! The tables of the docs ([`docs`]) and the comments of the configuration file ([`file`]) are made from both.

mod comment;
pub mod docs;
pub mod file;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Expr, Field, Fields, ImplItem, Item, ItemEnum, ItemStruct, Lit};

use self::comment::Comment;
use crate::api::text;

/// A section of the configuration, as it is with one database.
pub struct Section {
    pub name: String,
    /// The database, if this is the section `database`.
    pub database: Option<String>,
    pub settings: Vec<Setting>,
}

pub struct Setting {
    pub name: String,
    pub comment: Comment,
    /// The values that the setting can have, in words.
    pub range: String,
    /// Whether the range is a list of words.
    pub is_word: bool,
}

/// The sections of the crate in the folder `engine`.
///
/// # Panics
/// A field is not described, or has no range.
pub fn sections(engine: &Path) -> Vec<Section> {
    let folder = engine.join("src/config/sections");
    let files: Vec<_> = rust_files(&folder).into_iter().map(|path| (path.clone(), parse(&path))).collect();
    let enums: BTreeMap<String, &ItemEnum> = files
        .iter()
        .flat_map(|(_, items)| items)
        .filter_map(
            |item| if let Item::Enum(item) = item { Some((item.ident.to_string(), item)) } else { None },
        )
        .collect();
    let range = parse(&engine.join("src/config/range.rs"));
    let constants = files.iter().flat_map(|(_, items)| items).chain(&range).filter_map(|item| match item {
        Item::Const(item) => Some((item.ident.to_string(), text(&item.expr))),
        _ => None,
    });
    let constants: BTreeMap<_, _> = constants.collect();
    let (_, root) = files.iter().find(|(path, _)| *path == folder.join("mod.rs")).unwrap();
    let config = structs(root).find(|item| item.ident == "Config").expect("the struct Config");
    let mut sections = Vec::new();
    for field in fields(config) {
        let (name, ty) = (field.ident.as_ref().unwrap().to_string(), text(&field.ty));
        for (path, items) in &files {
            let Some(item) = structs(items).find(|item| item.ident == *ty) else { continue };
            let ranges = ranges(items, &ty, &constants);
            let settings = fields(item).map(|field| setting(&name, field, &ranges, &enums)).collect();
            let database =
                (name == "database").then(|| path.file_stem().unwrap().to_str().unwrap().to_owned());
            sections.push(Section { name: name.clone(), database, settings });
        }
        assert!(sections.last().is_some_and(|section| section.name == name), "where is {ty}?");
    }
    sections
}

fn setting(
    section: &str,
    field: &Field,
    ranges: &BTreeMap<String, (String, bool)>,
    enums: &BTreeMap<String, &ItemEnum>,
) -> Setting {
    let name = field.ident.as_ref().unwrap().to_string();
    let key = format!("{section}.{name}");
    let comment = Comment::of(&key, &field.attrs);
    let ty = text(&field.ty);
    let (range, labels): (_, &[_]) = match (&*ty, enums.get(&ty), ranges.get(&name)) {
        ("bool", _, None) => ("`true`, `false`".to_owned(), &[["true", "false"]]),
        (_, Some(item), None) => (words(item), &[]),
        (_, None, Some((range, true))) => (range.clone(), &[["Too high", "Too low"]]),
        (_, None, Some((range, false))) => (range.clone(), &[]),
        (.., None) => panic!("{key} has no range: add it to RANGES, with Range::Any where there is none"),
        (.., Some(_)) => panic!("{key}: its type says what it can be, so it is not for RANGES"),
    };
    for label in labels.iter().flatten() {
        assert!(comment.has(label), "{key}: its comment does not say what happens: {label}: …");
    }
    Setting { name, comment, range, is_word: enums.contains_key(&ty) }
}

/// The ranges in the table `RANGES` of a section, in words, and for each whether it has two ends.
fn ranges(
    items: &[Item],
    ty: &str,
    constants: &BTreeMap<String, String>,
) -> BTreeMap<String, (String, bool)> {
    let consts = items.iter().filter_map(|item| match item {
        Item::Impl(item) if text(&item.self_ty) == ty => Some(&item.items),
        _ => None,
    });
    let table = consts.flatten().find_map(|item| match item {
        ImplItem::Const(item) if item.ident == "RANGES" => Some(&item.expr),
        _ => None,
    });
    let Some(Expr::Reference(table)) = table else { panic!("{ty} has no RANGES") };
    let Expr::Array(table) = &*table.expr else { panic!("{ty}::RANGES is no array") };
    let row = |row: &Expr| {
        let Expr::Tuple(row) = row else { panic!("{}", text(row)) };
        let Expr::Call(range) = &row.elems[1] else { panic!("{}", text(row)) };
        let (kind, arguments) = (text(&range.func), range.args.iter().collect::<Vec<_>>());
        let range = match (&*kind, &arguments[..]) {
            ("Range::Count" | "Range::Size" | "Range::Time", [_, least, most]) => {
                (format!("{} to {}", amount(least, constants), amount(most, constants)), true)
            }
            ("Range::Any", [words]) | ("Range::Valid", [_, words]) => (string(words), false),
            _ => panic!("what is {kind}?"),
        };
        (string(&row.elems[0]), range)
    };
    table.elems.iter().map(row).collect()
}

/// How a bound is written in the file.
fn amount(bound: &Expr, constants: &BTreeMap<String, String>) -> String {
    let bound = text(bound);
    let bound = constants.get(&bound).unwrap_or(&bound);
    match &**bound {
        "Duration::ZERO" => "0s".to_owned(),
        "Duration::from_millis(1)" => "1ms".to_owned(),
        "Duration::from_secs(1)" => "1s".to_owned(),
        "Duration::from_secs(24 * 60 * 60)" => "1day".to_owned(),
        _ => {
            match bound.strip_prefix("ByteSize::").and_then(|size| size.strip_suffix(')')?.split_once('(')) {
                Some(("b", number)) => format!("{number}B"),
                Some((unit, number)) => {
                    let (first, rest) = unit.split_at(1);
                    format!("{number}{}{}", first.to_uppercase(), rest.replace('b', "B"))
                }
                None => {
                    let number = bound.replace('_', "");
                    assert!(number.parse::<u64>().is_ok(), "what is {bound}?");
                    number
                }
            }
        }
    }
}

/// The variants of an enum as they are written in the file.
fn words(item: &ItemEnum) -> String {
    let rename =
        item.attrs.iter().find(|attribute| attribute.path().is_ident("serde")).map(text).unwrap_or_default();
    let word = |variant: &syn::Variant| {
        let name = variant.ident.to_string();
        match () {
            () if rename.contains("\"lowercase\"") => format!("`{}`", name.to_lowercase()),
            () if rename.contains("\"kebab-case\"") => {
                let dash = |(at, c): (usize, char)| match c.is_uppercase() && at > 0 {
                    true => format!("-{}", c.to_lowercase()),
                    false => c.to_lowercase().to_string(),
                };
                format!("`{}`", name.char_indices().map(dash).collect::<String>())
            }
            () => panic!("how are the variants of {} written?", item.ident),
        }
    };
    item.variants.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn string(literal: &Expr) -> String {
    match literal {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(string) => string.value(),
            _ => panic!("{}", text(literal)),
        },
        _ => panic!("{}", text(literal)),
    }
}

fn structs(items: &[Item]) -> impl Iterator<Item = &ItemStruct> {
    items.iter().filter_map(|item| if let Item::Struct(item) = item { Some(item) } else { None })
}

fn fields(item: &ItemStruct) -> impl Iterator<Item = &Field> {
    match &item.fields {
        Fields::Named(fields) => fields.named.iter(),
        _ => panic!("{} has no fields", item.ident),
    }
}

fn parse(path: &Path) -> Vec<Item> {
    let source = fs::read_to_string(path).unwrap();
    syn::parse_file(&source).unwrap_or_else(|error| panic!("{}: {error}", path.display())).items
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let files =
        walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}
