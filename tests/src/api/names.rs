//! How is a type written so that everybody knows which one is meant?
//!
//! An item that owners can name gets its name in the API. An item of another crate gets its whole path. The name of an
//! item that nobody outside can name begins with `crate::`. A private alias is replaced by the type that it stands for.

use std::collections::BTreeMap;

use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{FnArg, Item, Pat, Path, PathArguments, PathSegment, Type, TypePath};

use super::source::{Name, Sources, is_called};

pub struct Namer<'a> {
    pub sources: &'a Sources,
    /// The items of the API, each with its name there.
    pub exported: &'a BTreeMap<Name, String>,
    /// The module in which the type is written.
    pub module: &'a [String],
    /// The items of the API that were met.
    pub met: Vec<Name>,
}

impl Namer<'_> {
    fn definition(&self, path: &Path) -> Option<Name> {
        if path.segments.len() == 1 && path.segments[0].ident == "Self" {
            return None;
        }
        let colon = path.leading_colon.map(|_| String::new());
        let idents = path.segments.iter().map(|segment| segment.ident.to_string());
        let written: Name = colon.into_iter().chain(idents).collect();
        // If there are several, any of them will do, since they have the same name in the API.
        self.sources.resolve(self.module, &written).into_iter().next().map(|(name, _)| name)
    }

    fn rename(&mut self, path: &mut Path) {
        let Some(definition) = self.definition(path) else { return };
        let exported = (1..=definition.len()).rev().find_map(|length| {
            self.exported.get_key_value(&definition[..length]).map(|found| (found, &definition[length..]))
        });
        let name = match &exported {
            Some(((known, name), rest)) => {
                self.met.push((*known).clone());
                name.split("::").map(str::to_owned).chain(rest.iter().cloned()).collect()
            }
            None => definition.clone(),
        };
        let last = path.segments.last().unwrap().arguments.clone();
        path.leading_colon = None;
        path.segments = name
            .iter()
            .map(|name| PathSegment::from(proc_macro2::Ident::new(name, proc_macro2::Span::call_site())))
            .collect();
        path.segments.last_mut().unwrap().arguments = last;
    }

    fn alias(&self, ty: &Type) -> Option<(Name, Type)> {
        let Type::Path(TypePath { qself: None, path, .. }) = ty else { return None };
        let definition = self.definition(path)?;
        if definition[0] != "crate" || self.exported.contains_key(&definition) {
            return None;
        }
        let (name, module) = definition.split_last()?;
        let item = self.sources.modules.get(module)?.items.iter().find(|item| is_called(item, name))?;
        let Item::Type(alias) = item else { return None };
        assert!(alias.generics.params.is_empty(), "an alias with parameters: {name}");
        Some((module.to_vec(), (*alias.ty).clone()))
    }
}

impl VisitMut for Namer<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Some((module, mut meant)) = self.alias(ty) {
            let mut there = Namer { module: &module, met: Vec::new(), ..*self };
            there.visit_type_mut(&mut meant);
            let Namer { met, .. } = there;
            self.met.extend(met);
            *ty = meant;
            return;
        }
        visit_mut::visit_type_mut(self, ty);
    }

    fn visit_type_path_mut(&mut self, path: &mut TypePath) {
        let Some(qself) = &mut path.qself else { return visit_mut::visit_type_path_mut(self, path) };
        self.visit_type_mut(&mut qself.ty);
        // In `<Type as Trait>::Name`, the first segments belong to the trait.
        let segments: Vec<_> = path.path.segments.iter().cloned().collect();
        let (of_trait, rest) = segments.split_at(qself.position);
        if of_trait.is_empty() {
            return;
        }
        let segments = of_trait.iter().cloned().collect::<Punctuated<_, _>>();
        let mut of_trait = Path { leading_colon: path.path.leading_colon.take(), segments };
        self.visit_path_mut(&mut of_trait);
        qself.position = of_trait.segments.len();
        path.path.segments = of_trait.segments.into_iter().chain(rest.iter().cloned()).collect();
    }

    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path); // the arguments
        let inner = path.segments.iter().rev().skip(1);
        if inner.clone().all(|segment| matches!(segment.arguments, PathArguments::None)) {
            self.rename(path);
        }
    }

    /// Removes `mut` from parameters: callers need not know whether a parameter is changed inside.
    fn visit_fn_arg_mut(&mut self, argument: &mut FnArg) {
        match argument {
            FnArg::Receiver(_) => {}
            FnArg::Typed(typed) => {
                if let Pat::Ident(name) = &mut *typed.pat {
                    name.mutability = None;
                }
                self.visit_type_mut(&mut typed.ty);
            }
        }
    }
}
