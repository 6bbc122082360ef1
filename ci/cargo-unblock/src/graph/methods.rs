//! Which bodies does the call of a trait's method run?
//!
//! The method is looked up among the impls that fit the type. For a `dyn`, these are the impls of each type
//! that became the `dyn` (hidden.rs).

use super::dispatch::Dispatch;
use super::functions::LISTED;
use super::nodes::{Found, Graph};
use crate::list::Tier;
use crate::notation::plain;
use crate::types::{Name, Subst, Ty, TyId};

/// A method is looked for behind so many references, boxes and `dyn`s. Higher: a type that holds itself takes
/// longer. Lower: a method behind more of them is not seen.
const MAX_HOLDERS: usize = 4;

impl Graph<'_> {
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

    /// Calls the bodies in the workspace that `<of as interface>::method` runs. Returns whether there are
    /// any, or whether there can be none elsewhere.
    #[expect(clippy::too_many_arguments, reason = "a call has so many parts")]
    fn methods_of(
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
        if depth > MAX_HOLDERS {
            return false;
        }
        if let Ty::Dyn(_) = self.program.types.ty(of) {
            let before = found.to.len();
            let seen = match self.origins.get(&1) {
                Some(known) => known.clone(),
                None => self.cast_to(of),
            };
            // A value that nobody in the workspace makes comes from outside, and may have any of these types.
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
                        // An adaptor of std may have become this `dyn Iterator`. It runs what it is given, as
                        // elsewhere.
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
        // This is a generic parameter that no caller fills in.
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

    fn default_method(
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

    fn every_impl(&mut self, last: &str, method: Name, found: &mut Found) {
        for (index, body) in self.program.methods.get(&method).cloned().unwrap_or_default() {
            if self.program.impls[index].interface.as_deref() == Some(last) {
                self.into(body, Subst::new(), found);
            }
        }
    }
}
