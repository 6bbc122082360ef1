//! Which bodies does a call of a path run?
//!
//! A path is looked up among functions and inherent methods of the workspace, and then on the list.

use super::nodes::{Found, Graph};
use crate::list::Tier;
use crate::notation::plain;
use crate::program::{BodyId, What};
use crate::types::{Callee, Name, Subst, Ty, TyId};

/// The tiers of what may block itself, or takes a closure off the event loop.
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
        // The project's own entries go before its own functions.
        if let Some(entry) = self
            .list
            .get(&plain(&text), &[Tier::Block, Tier::Offload])
            .filter(|&entry| self.list.entries[entry].own)
        {
            return self.listed(entry, &text, owner, own, given, found);
        }
        // What the engine promises holds however it comes. Where its code is at hand, what that itself does
        // is seen too.
        if let Some(entry) = self.list.promised(&plain(&text)) {
            self.listed(entry, &text, owner, own, given, found);
            if self.program.is_own_crate(path) {
                let origins = std::mem::take(&mut self.origins);
                // Another function of that name may stand in another of its modules.
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
        // A module of the workspace may be called as a crate is, which its path then names after all.
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

    /// A method of an `impl` without a trait. Says whether there is one.
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

    /// Calls those bodies that take what is given: all, if none seems to. Says whether there are any.
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

    /// A parameter that no argument shows, as in `load::<T>()`, is found when it is the only one left.
    fn bind_by_name(&mut self, body: BodyId, own: &[TyId], subst: &mut Subst) {
        let crate_name = self.program.units[self.program.bodies[body].unit].crate_name.clone();
        let mut open = Vec::new();
        // Closures and async bodies in it may be the only ones to name it.
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
