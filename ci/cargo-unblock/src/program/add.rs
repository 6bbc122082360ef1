//! Which bodies does a crate bring, of which impls are they methods, and how are they named?

use rustc_hash::FxHashMap;

use super::model::{Body, BodyId, Call, HiddenType, Program, What};
use crate::facts::{Origin, Str, Target, Unit};
use crate::notation::angle_end;
use crate::types::{Callee, Ty, TyId, Types};

impl Program {
    pub(super) fn add(&mut self, unit: Unit) {
        let unit_index = self.units.len();
        self.scope(&unit);
        let mut types: FxHashMap<Str, TyId> = FxHashMap::default();
        let mut callees: FxHashMap<Str, Option<Callee>> = FxHashMap::default();
        let mut impls: FxHashMap<String, usize> = FxHashMap::default();
        let mut by_name: FxHashMap<&str, BodyId> = FxHashMap::default();
        let first = self.bodies.len();
        let mut ty = |index: Str, types_of: &mut Types| {
            *types.entry(index).or_insert_with(|| types_of.parse(unit.text(index)))
        };
        for (index, facts) in unit.bodies.iter().enumerate() {
            let name = unit.text(facts.name);
            let id = self.bodies.len();
            let mut inputs: Vec<TyId> = facts.signature.iter().map(|&s| ty(s, &mut self.types)).collect();
            // The type that it returns is the last one. A constant has no signature.
            let is_function = inputs.pop().is_some();
            let is_async = facts.signature.iter().any(|&s| {
                unit.text(s).contains("std::task::Context<") || unit.text(s).contains("core::task::Context<")
            });
            let calls = facts
                .calls
                .iter()
                .filter(|call| !call.unwinding)
                .filter_map(|call| {
                    let what = match call.callee {
                        Target::Pointer(pointer) => What::Pointer(ty(pointer, &mut self.types)),
                        Target::Drop(dropped) => What::Drop(ty(dropped, &mut self.types)),
                        Target::Function(callee, signature) => {
                            let callee = callees
                                .entry(callee)
                                .or_insert_with(|| self.types.parse_callee(unit.text(callee)))
                                .clone()?;
                            let signature = ty(signature, &mut self.types);
                            let takes = match self.types.ty(signature) {
                                Ty::FnItem(_, parts) | Ty::FnPointer(parts) => {
                                    parts[..parts.len() - 1].to_vec()
                                }
                                _ => Vec::new(),
                            };
                            What::Function(callee, takes)
                        }
                    };
                    let origins = call.origins.iter().map(|(number, origins)| {
                        let origins = origins.iter().map(|origin| match *origin {
                            Origin::Type(of) => HiddenType::Type(ty(of, &mut self.types)),
                            Origin::Parameter(number) => HiddenType::Parameter(number),
                        });
                        (*number, origins.collect())
                    });
                    let origins = origins.collect();
                    Some(Call { what, span: call.span, name: call.name, origins })
                })
                .collect();
            let kept = facts.kept.iter().map(|kept| ty(kept.ty, &mut self.types)).collect();
            let casts: Vec<(TyId, TyId)> = facts
                .casts
                .iter()
                .map(|cast| (ty(cast.from, &mut self.types), ty(cast.to, &mut self.types)))
                .collect();
            self.casts.extend(&casts);
            // `inner::<impl at a.rs:6:5: 6:26>::go`, and what is nested in it.
            let mut of = None;
            if let Some(start) = name.find("<impl at ")
                && let Some(end) = angle_end(&name[start + 1..])
            {
                let key = &name[..start + 1 + end];
                let index = *impls.entry(key.to_owned()).or_insert_with(|| {
                    let mut new = self.types_of_impl(&unit, &name[start + 9..start + end]);
                    new.module = format!("{}::{}", unit.crate_name, &name[..start]);
                    self.impls.push(new);
                    self.impls.len() - 1
                });
                of = Some(index);
                if facts.has_self && name.rfind("{closure#").is_none() && self.impls[index].of.is_none() {
                    self.impls[index].of = inputs
                        .first()
                        .map(|&first| self.own_type(first, self.impls[index].of_name.as_deref()));
                }
            }
            let is_closure = name.rsplit("::").next().is_some_and(|last| last.starts_with("{closure#"));
            let first = inputs.first().map(|&first| self.types.ty(self.pointee(first)));
            if let Some(&Ty::Closure(closure, _)) = first.filter(|_| is_function && is_closure) {
                self.closures.entry(closure).or_default().push(id);
            }
            by_name.insert(name, id);
            self.bodies.push(Body {
                unit: unit_index,
                index,
                shown: String::new(),
                inputs,
                is_async,
                is_function,
                of,
                calls,
                creates: Vec::new(),
                within: None,
                kept,
                casts,
            });
        }
        self.name_bodies(&unit, first, &by_name);
        self.units.push(unit);
    }

    /// Names the bodies from `first` on, and notes in which other bodies they stand.
    fn name_bodies(&mut self, unit: &Unit, first: BodyId, by_name: &FxHashMap<&str, BodyId>) {
        for id in first..self.bodies.len() {
            let facts = &unit.bodies[self.bodies[id].index];
            let name = unit.text(facts.name);
            let mut shown = self.readable(unit, name, self.bodies[id].of);
            if !self.bodies[id].is_async && name.ends_with('}') {
                shown.push_str("::{closure}");
            }
            self.bodies[id].shown = shown;
            self.bodies[id].creates = facts
                .creates
                .iter()
                .filter_map(|number| by_name.get(format!("{name}::{{closure#{number}}}").as_str()).copied())
                .filter(|&child| self.bodies[child].is_async)
                .collect();
            if let Some((before, last)) = name.rsplit_once("::") {
                if last.starts_with("{closure#") {
                    self.bodies[id].within = by_name.get(before).copied();
                    self.nested.entry(self.bodies[id].within).or_default().push(id);
                    continue;
                }
                if let Some(index) = self.bodies[id].of {
                    let method = self.types.name(last.trim_start_matches("r#"));
                    self.impls[index].methods.insert(method, id);
                    self.methods.entry(method).or_default().push((index, id));
                    continue;
                }
            }
            if self.bodies[id].is_function {
                let name = name.replace("r#", "");
                let whole = format!("{}::{name}", unit.crate_name);
                let path = self.types.name(&whole);
                let last = self.types.name(name.rsplit("::").next().unwrap_or(&name));
                self.paths.entry(path).or_default().push(id);
                self.by_last.entry(last).or_default().push(id);
            }
        }
    }

    /// A name without `<impl at …>`: `lib::Disk::load::{closure}`.
    fn readable(&self, unit: &Unit, name: &str, of: Option<usize>) -> String {
        let mut text = name.to_owned();
        if let Some(start) = text.find("<impl at ")
            && let Some(end) = angle_end(&text[start + 1..])
        {
            let ty = of.map(|index| &self.impls[index]).map(|of| match (of.of, &of.of_name) {
                (Some(ty), _) => {
                    let shown = self.types.show(ty);
                    shown.strip_prefix(&format!("{}::", unit.crate_name)).unwrap_or(&shown).to_owned()
                }
                (None, Some(name)) => name.clone(),
                (None, None) => "impl".to_owned(),
            });
            let ty = ty.unwrap_or_else(|| "impl".to_owned());
            // The path of a type already says its module.
            let before = if ty.contains("::") { "" } else { &text[..start] };
            text = format!("{before}{ty}{}", &text[start + 1 + end..]);
        }
        text.split("::").filter(|part| !part.starts_with("{closure#")).collect::<Vec<_>>().join("::")
    }
}
