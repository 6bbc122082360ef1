//! How are the facts of all crates put together?

use std::path::Path;

use rustc_hash::{FxHashMap, FxHashSet};

use super::impls::last_name;
use super::model::{Impl, Program};
use crate::facts::Unit;
use crate::sources::Sources;
use crate::types::{Scope, Ty, Types};

impl Program {
    pub fn new(mut units: Vec<Unit>) -> Program {
        // A program often has the name of its package's library, but has other functions.
        for (number, unit) in units.iter_mut().enumerate().filter(|(_, unit)| !unit.is_library) {
            unit.crate_name = format!("{}~{number}", unit.crate_name);
        }
        let mut program = Program {
            types: Types::default(),
            units: Vec::new(),
            bodies: Vec::new(),
            impls: Vec::new(),
            sources: Sources::default(),
            paths: FxHashMap::default(),
            by_last: FxHashMap::default(),
            closures: FxHashMap::default(),
            methods: FxHashMap::default(),
            fields: FxHashMap::default(),
            casts: FxHashSet::default(),
            crates: units.iter().map(|unit| unit.crate_name.clone()).collect(),
            declared: FxHashMap::default(),
            homes: FxHashSet::default(),
            nested: FxHashMap::default(),
            exports: FxHashMap::default(),
        };
        for unit in &units {
            program.note_exports(unit);
        }
        for unit in units {
            program.add(unit);
        }
        for of in &program.impls {
            match (of.of.map(|ty| program.types.ty(ty)), &of.of_name) {
                (Some(Ty::Path(path, _)), _) => program.homes.insert(program.types.text(*path).to_owned()),
                (_, Some(name)) => program.homes.insert(format!("{}{name}", of.module)),
                _ => false,
            };
        }
        program
    }

    /// What the crate exports of std.
    fn note_exports(&mut self, unit: &Unit) {
        let root = unit.files.first().and_then(|file| Path::new(file).parent()).unwrap_or(Path::new(""));
        for file in &unit.files {
            let Some(source) = self.sources.get(&unit.directory, file) else { continue };
            let module = Path::new(file).strip_prefix(root).unwrap_or(Path::new(file)).with_extension("");
            let mut before = unit.crate_name.clone();
            for part in module.iter().filter_map(|part| part.to_str()) {
                if !["lib", "main", "mod"].contains(&part) {
                    before = format!("{before}::{part}");
                }
            }
            for (name, path) in source.exports() {
                let first = path.split("::").next().unwrap_or(&path);
                if name != "*" && ["std", "core", "alloc"].contains(&first) {
                    let last = path.rsplit("::").next().unwrap_or(&path);
                    self.exports.insert(format!("{before}::{last}"), path.clone());
                }
            }
        }
    }

    /// Tells the reader of types which paths belong to the crate itself.
    pub(super) fn scope(&mut self, unit: &Unit) {
        let mut scope = Scope {
            crate_name: unit.crate_name.clone(),
            directory: unit.directory.clone(),
            exports: self.exports.clone(),
            ..Scope::default()
        };
        for body in &unit.bodies {
            let name = unit.text(body.name);
            if let Some((first, _)) = name.split_once("::")
                && !first.starts_with(['<', '{'])
            {
                scope.modules.insert(first.trim_start_matches("r#").to_owned());
            }
        }
        for (index, file) in unit.files.iter().enumerate() {
            let Some(source) = self.sources.get(&unit.directory, file) else { continue };
            for (header, associated) in source.impls_with_types() {
                self.impls.push(Impl {
                    crate_name: unit.crate_name.clone(),
                    interface: header.interface,
                    of: None,
                    of_name: header.of.as_deref().map(last_name),
                    parameters: Vec::new(),
                    module: String::new(),
                    methods: FxHashMap::default(),
                    associated,
                });
            }
            for (name, words) in source.fields() {
                self.fields.entry(name).or_default().extend(words);
            }
            if index == 0 {
                // Only items at the root are printed without a path, as generic parameters are.
                scope.declared = source.outer(&["struct", "enum", "union", "trait"]);
                scope.modules.extend(source.outer(&["mod"]));
            }
        }
        for root in ["std", "core", "alloc"] {
            scope.modules.remove(root);
        }
        self.declared.entry(unit.crate_name.clone()).or_default().extend(scope.declared.iter().cloned());
        // A module at the root that is called as a type is would take every path of that type.
        self.types.scope = scope;
    }
}
