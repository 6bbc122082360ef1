//! Which bodies in the workspace does a call run?
//!
//! A path is looked up among functions and inherent methods, a trait's method among the impls that fit the
//! type. Behind `dyn` it is what became that `dyn`: where the body at hand shows what that was, only that.

use super::{Dispatch, Found, Graph};
use crate::list::Tier;
use crate::notation::plain;
use crate::program::{BodyId, What};
use crate::types::{Callee, Name, Subst, Ty, TyId};

/// The tiers of what may block itself, or takes a closure off the event loop.
const LISTED: [Tier; 7] =
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

    pub(super) fn call_path(
        &mut self,
        path: Name,
        owner: &[TyId],
        own: &[TyId],
        given: &[TyId],
        found: &mut Found,
    ) {
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
    pub(super) fn inherent(
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
    pub(super) fn bind_by_name(&mut self, body: BodyId, own: &[TyId], subst: &mut Subst) {
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

    /// Whether the impl is for this type, and what its parameters then stand for.
    pub(super) fn is_for(&self, index: usize, ty: TyId, subst: &mut Subst) -> bool {
        let of = &self.program.impls[index];
        if matches!(self.program.types.ty(ty), Ty::Projection(..)) {
            return false;
        }
        match (of.of, &of.of_name) {
            (Some(pattern), _) => {
                let parameters = &of.parameters;
                let mut found = Subst::new();
                let fits = self.program.types.fits(
                    pattern,
                    ty,
                    &|a, b| self.program.same(a, b),
                    &|name| {
                        parameters.contains(&name)
                            || (of.of_name.is_none() && self.program.is_parameter(name, &of.crate_name))
                    },
                    &mut found,
                );
                if fits {
                    subst.extend(found);
                    subst.sort_unstable();
                    subst.dedup();
                }
                fits
            }
            (None, Some(name)) => {
                let Ty::Path(path, _) = self.program.types.ty(ty) else { return false };
                let path = self.program.types.text(*path);
                // Of two types of one name, each has the impls of its module.
                path.rsplit("::").next() == Some(name)
                    && (path.strip_prefix(&of.module) == Some(name) || !self.program.homes.contains(path))
            }
            (None, None) => false,
        }
    }

    pub(super) fn interface_name(&self, interface: TyId) -> String {
        match self.program.types.ty(interface) {
            Ty::Path(name, _) => self.program.types.text(*name).to_owned(),
            _ => String::new(),
        }
    }

    pub(super) fn call_method(
        &mut self,
        of: TyId,
        interface: TyId,
        method: Name,
        own: &[TyId],
        given: &[TyId],
        found: &mut Found,
    ) {
        let interface_name = self.interface_name(interface);
        let last = interface_name.rsplit("::").next().unwrap_or("").to_owned();
        if matches!(last.as_str(), "Fn" | "FnMut" | "FnOnce" | "AsyncFn" | "AsyncFnMut" | "AsyncFnOnce")
            && interface_name.starts_with("std::ops")
        {
            let hidden = self.bare(of);
            return match self.origins.get(&1).cloned() {
                Some(known) if matches!(self.program.types.ty(hidden), Ty::Dyn(_) | Ty::FnPointer(_)) => {
                    known.into_iter().for_each(|ty| self.run_value(ty, found));
                }
                _ => self.run_value(of, found),
            };
        }
        let of = self.resolved(of);
        let text = format!("{interface_name}::{}", self.program.types.text(method));
        if let Some(entry) = self
            .list
            .get(&plain(&text), &[Tier::Block, Tier::Offload])
            .filter(|&entry| self.list.entries[entry].own)
        {
            return self.listed(entry, &text, &[of], own, given, found);
        }
        if self.methods_of(of, interface, &last, method, own, given, found, 0) {
            return;
        }

        match self.list.get(&text, &LISTED) {
            Some(entry) => {
                let shown = format!(
                    "<{} as {interface_name}>::{}",
                    self.program.types.show(of),
                    self.program.types.text(method)
                );
                self.listed_as(entry, &text, shown, &[of], own, given, found);
            }
            None => {
                let around = match self.program.types.ty(interface) {
                    Ty::Path(_, args) => args.clone(),
                    _ => Vec::new(),
                };
                self.external(&text, Some(of), own, given, &around, found);
            }
        }
    }

    /// The type behind `<T as Trait>::Name`, where the impl's text says it.
    pub(super) fn resolved(&mut self, ty: TyId) -> TyId {
        let Ty::Projection(of, interface, name) = *self.program.types.ty(ty) else { return ty };
        let of = self.resolved(of);
        let interface = self.interface_name(interface);
        let last = interface.rsplit("::").next().unwrap_or("");
        let name = self.program.types.text(name).to_owned();
        for index in 0..self.program.impls.len() {
            let candidate = &self.program.impls[index];
            if candidate.interface.as_deref() != Some(last) || !self.is_for(index, of, &mut Subst::new()) {
                continue;
            }
            let Some(named) = candidate.associated.get(&name) else { continue };
            let found = self.program.impls.iter().filter_map(|of| of.of).find(|&ty| {
                match self.program.types.ty(ty) {
                    Ty::Path(path, _) => self.program.types.text(*path).rsplit("::").next() == Some(named),
                    _ => false,
                }
            });
            if let Some(found) = found {
                return found;
            }
        }
        // What a collection gives out is not known by name; an iterator gives itself.
        if (last, name.as_str()) == ("IntoIterator", "IntoIter") { of } else { ty }
    }

    /// The bodies in the workspace that `<of as interface>::method` runs. Says whether there are any, or
    /// none could be anywhere else.
    #[expect(clippy::too_many_arguments, reason = "a call has so many parts")]
    pub(super) fn methods_of(
        &mut self,
        of: TyId,
        interface: TyId,
        last: &str,
        method: Name,
        own: &[TyId],
        given: &[TyId],
        found: &mut Found,
        depth: usize,
    ) -> bool {
        if depth > 4 {
            return false;
        }
        if let Ty::Dyn(_) = self.program.types.ty(of) {
            let before = found.to.len();
            let seen = match self.origins.get(&1) {
                Some(known) => known.clone(),
                None => self.cast_to(of),
            };
            // What nobody in the workspace makes comes from outside: it may be any of them.
            if seen.is_empty() && self.dispatch == Dispatch::Seen {
                self.every_impl(last, method, found);
                self.default_method(of, interface, method, given, found);
            }
            for from in seen {
                if !self.methods_of(from, interface, last, method, own, &[], found, depth + 1) {
                    let name = self.interface_name(interface);
                    let text = format!("{name}::{}", self.program.types.text(method));
                    if let Some(entry) = self.list.get(&text, &[Tier::Block, Tier::Reader, Tier::Minor]) {
                        let shown = format!(
                            "<{} as {name}>::{}",
                            self.program.types.show(from),
                            self.program.types.text(method)
                        );
                        self.listed_as(entry, &text, shown, &[from], own, given, found);
                    } else {
                        // An adaptor of std that became `dyn Iterator`, as others.
                        self.external(&text, Some(from), own, &[], &[], found);
                    }
                }
            }
            if self.dispatch == Dispatch::All {
                self.every_impl(last, method, found);
            }
            // A method that the trait itself defines may be called on the `dyn`.
            if found.to.len() == before {
                self.default_method(of, interface, method, given, found);
            }
            return true;
        }
        let mut candidates = Vec::new();
        for (index, body) in self.program.methods.get(&method).cloned().unwrap_or_default() {
            let mut subst = Subst::new();
            if self.program.impls[index].interface.as_deref() == Some(last)
                && self.is_for(index, of, &mut subst)
            {
                candidates.push((body, subst));
            }
        }
        if self.fitting(candidates, own, given, found) {
            return true;
        }
        if self.default_method(of, interface, method, given, found) {
            return true;
        }
        // A parameter that nobody fills in.
        if let Ty::Path(name, args) = self.program.types.ty(of)
            && args.is_empty()
            && !self.program.types.text(*name).contains("::")
            && self.dispatch == Dispatch::All
        {
            self.every_impl(last, method, found);
        }
        // `&T` and `Box<T>` pass on what `T` does.
        let inner = match self.program.types.ty(of) {
            &Ty::Ref(inner) => Some(inner),
            Ty::Path(name, args) if self.program.types.text(*name) == "std::boxed::Box" => {
                args.first().copied()
            }
            _ => None,
        };
        match inner {
            Some(inner) => self.methods_of(inner, interface, last, method, own, &[], found, depth + 1),
            None => false,
        }
    }

    pub(super) fn default_method(
        &mut self,
        of: TyId,
        interface: TyId,
        method: Name,
        given: &[TyId],
        found: &mut Found,
    ) -> bool {
        let Ty::Path(interface, _) = *self.program.types.ty(interface) else { return false };
        if !self.program.is_own_crate(interface) {
            return false;
        }
        let path = format!("{}::{}", self.program.types.text(interface), self.program.types.text(method));
        let path = self.program.types.name(&path);
        let this = self.program.types.name("Self");
        let functions = self.program.functions(path);
        for &body in &functions {
            let mut subst = vec![(this, of)];
            self.program.bind(body, given, &mut subst);
            subst.sort_unstable();
            self.into(body, subst, found);
        }
        !functions.is_empty()
    }

    pub(super) fn every_impl(&mut self, last: &str, method: Name, found: &mut Found) {
        for (index, body) in self.program.methods.get(&method).cloned().unwrap_or_default() {
            if self.program.impls[index].interface.as_deref() == Some(last) {
                self.into(body, Subst::new(), found);
            }
        }
    }

    /// The types that become this `dyn Trait` somewhere.
    pub(super) fn cast_to(&mut self, dynamic: TyId) -> Vec<TyId> {
        if self.dispatch == Dispatch::None {
            return Vec::new();
        }
        let Ty::Dyn(bounds) = self.program.types.ty(dynamic).clone() else { return Vec::new() };
        let Some(&principal) = bounds.first() else { return Vec::new() };
        self.by_cast.insert(self.current);
        let casts = std::mem::take(&mut self.program.casts);
        let mut sources = Vec::new();
        for &(from, to) in &casts {
            // `Box<Disk>` becomes `Box<dyn Store>`: what they hold differs.
            let (mut from, mut to) = (from, to);
            loop {
                match (self.program.types.ty(from), self.program.types.ty(to)) {
                    (&Ty::Ref(a), &Ty::Ref(b)) => (from, to) = (a, b),
                    (Ty::Path(a, a_args), Ty::Path(b, b_args))
                        if a == b && !a_args.is_empty() && a_args.len() == b_args.len() =>
                    {
                        let differs = a_args.iter().zip(b_args).find(|(a, b)| a != b);
                        let Some((&a, &b)) = differs else { break };
                        (from, to) = (a, b);
                    }
                    _ => break,
                }
            }
            if let Ty::Dyn(other) = self.program.types.ty(to)
                && let Some(&other) = other.first()
                && self.same_interface(other, principal)
                && !matches!(self.program.types.ty(from), Ty::Dyn(_))
            {
                sources.push(from);
            }
        }
        self.program.casts = casts;
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    pub(super) fn same_interface(&self, a: TyId, b: TyId) -> bool {
        let mut found = Subst::new();
        self.program.types.fits(
            a,
            b,
            &|a, b| self.program.same(a, b),
            &|name| !self.program.types.text(name).contains("::") && self.program.is_parameter(name, ""),
            &mut found,
        )
    }
}
