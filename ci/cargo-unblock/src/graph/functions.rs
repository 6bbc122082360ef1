//! Which bodies does the call of a path run?
//!
//! A path is looked up among the functions and inherent methods of the workspace, and then on the list.

use super::nodes::{Found, Graph};
use crate::list::Tier;
use crate::notation::plain;
use crate::program::{BodyId, What};
use crate::types::{Callee, Name, Subst, Ty, TyId};

/// The tiers of calls that may block, or that take a closure off the event loop.
pub(super) const LISTED: [Tier; 7] =
    [Tier::Block, Tier::Bounded, Tier::Offload, Tier::Minor, Tier::Print, Tier::Reader, Tier::Resolve];

impl Graph<'_> {
    pub(super) fn call(&mut self, callee: &Callee, given: &[TyId], found: &mut Found) {
        match callee {
            Callee::Trait { of, interface, method, own } => {
                self.call_method(*of, *interface, *method, own, given, found)
            }
            Callee::Path { path, owner, own } => self.call_path(*path, owner, own, given, found),
        }
    }

    fn call_path(&mut self, path: Name, owner: &[TyId], own: &[TyId], given: &[TyId], found: &mut Found) {
        let text = self.program.types.text(path).to_owned();
        // The entries of the project's configuration come before its functions.
        if let Some(entry) = self
            .list
            .get(&plain(&text), &[Tier::Block, Tier::Offload])
            .filter(|&entry| self.list.entries[entry].own)
        {
            return self.listed(entry, &text, owner, own, given, found);
        }
        // What the engine promises holds in whatever form it is called. When its code is in the workspace,
        // the calls that its functions make themselves are followed too.
        if let Some(entry) = self.list.promised(&plain(&text)) {
            self.listed(entry, &text, owner, own, given, found);
            if self.program.is_own_crate(path) {
                let origins = std::mem::take(&mut self.origins);
                // Another module of the engine may have a function with this name.
                let takes = |&body: &BodyId| {
                    self.program.bodies[body].inputs.len() == given.len()
                        && self.program.bind(body, given, &mut Subst::new())
                };
                let functions: Vec<BodyId> = self.program.functions(path).into_iter().filter(takes).collect();
                functions.into_iter().for_each(|body| self.into(body, Subst::new(), found));
                self.inherent(&text, owner, &[], &[], found);
                self.origins = origins;
            }
            return;
        }
        if self.program.is_own_crate(path) {
            let functions = self.program.functions(path);
            let known = functions.iter().map(|&body| (body, Subst::new())).collect();
            if self.fitting(known, own, given, found) || self.inherent(&text, owner, own, given, found) {
                return;
            }
            let exported = self.program.exported(path).into_iter().map(|body| (body, Subst::new())).collect();
            if self.fitting(exported, own, given, found) {
                return;
            }
        }
        // A module of the workspace may have the name of a crate. The path then means that crate after all.
        let is_own = self.program.is_own_crate(path);
        let outer = match text.split_once("::") {
            Some((_, rest)) if is_own && rest.contains("::") => rest,
            _ => &text,
        };
        match self.list.get(outer, &LISTED) {
            Some(entry) => self.listed(entry, outer, owner, own, given, found),
            None => self.external(outer, None, own, given, owner, found),
        }
    }

    /// Calls a method of an `impl` without a trait. Returns whether there is one.
    fn inherent(
        &mut self,
        path: &str,
        owner: &[TyId],
        own: &[TyId],
        given: &[TyId],
        found: &mut Found,
    ) -> bool {
        let Some((ty, method)) = path.rsplit_once("::") else { return false };
        let (ty, method) = (self.program.types.name(ty), self.program.types.name(method));
        let ty = self.program.types.add(Ty::Path(ty, owner.to_vec()));
        let mut candidates = Vec::new();
        for (index, body) in self.program.methods.get(&method).cloned().unwrap_or_default() {
            let mut subst = Subst::new();
            if self.program.impls[index].interface.is_none() && self.is_for(index, ty, &mut subst) {
                candidates.push((body, subst));
            }
        }
        self.fitting(candidates, own, given, found)
    }

    /// Calls the bodies that take the given types, or all of them if none of them does. Returns whether there
    /// are any.
    pub(super) fn fitting(
        &mut self,
        candidates: Vec<(BodyId, Subst)>,
        own: &[TyId],
        given: &[TyId],
        found: &mut Found,
    ) -> bool {
        let mut bound: Vec<(bool, BodyId, Subst)> = candidates
            .into_iter()
            .map(|(body, mut subst)| (self.program.bind(body, given, &mut subst), body, subst))
            .collect();
        if bound.iter().any(|(fits, ..)| *fits) {
            bound.retain(|(fits, ..)| *fits);
        }
        let any = !bound.is_empty();
        for (_, body, mut subst) in bound {
            self.bind_by_name(body, own, &mut subst);
            self.pass_origins(body, &mut subst);
            self.into(body, subst, found);
        }
        any
    }

    /// Finds what a parameter stands for that no argument shows, as in `load::<T>()`. It is found if it is
    /// the only one left.
    fn bind_by_name(&mut self, body: BodyId, own: &[TyId], subst: &mut Subst) {
        let crate_name = self.program.units[self.program.bodies[body].unit].crate_name.clone();
        let mut open = Vec::new();
        // It may be that only closures and async bodies within the body name it.
        for call in self.program.with_nested(body).iter().flat_map(|&body| &self.program.bodies[body].calls) {
            let What::Function(callee, given) = &call.what else { continue };
            let mut look = |ty: TyId| {
                self.program.types.walk(ty, &mut |ty, _| {
                    if let Ty::Path(name, args) = ty
                        && args.is_empty()
                        && self.program.is_parameter(*name, &crate_name)
                        && !subst.iter().any(|(known, _)| known == name)
                        && !open.contains(name)
                    {
                        open.push(*name);
                    }
                    true
                });
            };
            given.iter().for_each(|&ty| look(ty));
            match callee {
                Callee::Path { owner, own, .. } => owner.iter().chain(own).for_each(|&ty| look(ty)),
                Callee::Trait { of, own, .. } => [of].into_iter().chain(own).for_each(|&ty| look(ty)),
            }
        }
        let known: Vec<TyId> = subst.iter().map(|&(_, ty)| ty).collect();
        let left: Vec<TyId> = own.iter().copied().filter(|ty| !known.contains(ty)).collect();
        if let ([name], [ty]) = (&open[..], &left[..]) {
            subst.push((*name, *ty));
            subst.sort_unstable();
        }
    }
}
