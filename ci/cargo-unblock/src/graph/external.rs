//! What does a call do that leaves the workspace?
//!
//! It runs the closures that it is given: at once, later, or on the event loop. It may come back through a
//! trait that a type of the workspace implements.

use rustc_hash::FxHashSet;

use super::nodes::{Found, Graph, To};
use super::values::IO_TRAITS;
use crate::list::Tier;
use crate::types::{Subst, Ty, TyId};

/// A trait that a type implements is often used through another trait: the method that is called, the trait
/// that is implemented, and its method. The last names are enough, since nothing here says what blocks.
const CONVERSIONS: [(&str, &str, &str); 13] = [
    ("parse", "FromStr", "from_str"),
    ("into", "From", "from"),
    ("try_into", "TryFrom", "try_from"),
    ("to_string", "Display", "fmt"),
    ("new_display", "Display", "fmt"),
    ("new_debug", "Debug", "fmt"),
    ("new_lower_hex", "LowerHex", "fmt"),
    ("collect", "FromIterator", "from_iter"),
    ("sum", "Sum", "sum"),
    ("unwrap_or_default", "Default", "default"),
    ("take", "Default", "default"),
    ("extend", "Extend", "extend"),
    ("contains", "PartialEq", "eq"),
];

const LAZY_VALUES: [&str; 3] = ["std::sync::LazyLock", "std::cell::LazyCell", "once_cell::sync::Lazy"];

impl Graph<'_> {
    /// Follows a function that is not in the workspace: it may call what it is given. `around` are the other
    /// types that the call names, as `B` in `<A as Into<B>>::into` or `T` in
    /// `Option::<T>::unwrap_or_default`.
    pub(super) fn external(
        &mut self,
        path: &str,
        of: Option<TyId>,
        own: &[TyId],
        given: &[TyId],
        around: &[TyId],
        found: &mut Found,
    ) {
        let last = path.rsplit("::").next().unwrap_or("").to_owned();
        if path == "std::mem::drop" {
            return given.iter().for_each(|&ty| self.drop_value(ty, found, &mut FxHashSet::default()));
        }
        if self.list.get(path, &[Tier::Lazy]).is_some() {
            return;
        }
        let before = found.to.len();
        let interface = path
            .strip_suffix(&format!("::{last}"))
            .and_then(|rest| rest.rsplit("::").next())
            .unwrap_or("")
            .to_owned();
        if path.starts_with("std::iter::") && of.is_none() {
            around.iter().for_each(|&ty| self.iterate(ty, found));
        }
        // The first use of a lazy value runs the function that makes it, which has the type `fn() -> T`.
        let lazy = of.filter(|_| interface == "Deref");
        let lazy = lazy.or_else(|| given.first().copied().filter(|_| last == "force"));
        if let Some(lazy) = lazy.map(|ty| self.program.pointee(ty))
            && let Ty::Path(name, args) = self.program.types.ty(lazy).clone()
            && LAZY_VALUES.contains(&self.program.types.text(name))
        {
            match self.origins.get(&1).cloned() {
                Some(known) => known.into_iter().for_each(|ty| self.run_value(ty, found)),
                None => {
                    let makes = self.program.types.add(Ty::FnPointer(args[..args.len().min(1)].to_vec()));
                    self.run_value(makes, found);
                }
            }
        }
        if let Some(of) = of {
            if matches!(
                interface.as_str(),
                "Iterator"
                    | "DoubleEndedIterator"
                    | "ExactSizeIterator"
                    | "Itertools"
                    | "ParallelIterator"
                    | "IndexedParallelIterator"
            ) {
                self.iterate(of, found);
            } else if IO_TRAITS.contains(&interface.as_str()) {
                self.read_from(of, path, found);
            } else if !["Clone", "Drop", "Debug", "Default", "Future", "IntoFuture", "Stream", "Service"]
                .contains(&interface.as_str())
            {
                // A method that the trait defines calls the methods that the type defines.
                let pointee = self.program.pointee(of);
                if matches!(self.program.types.ty(pointee), Ty::Path(name, _) if self.program.is_own_crate(*name))
                {
                    self.all_methods(pointee, &[&interface], found);
                }
            }
        }
        for &ty in own {
            match self.program.types.ty(self.bare(ty)) {
                Ty::Closure(..) | Ty::FnItem(..) | Ty::FnPointer(_) => self.run_value(ty, found),
                Ty::Dyn(_) => {
                    self.run_value(ty, found);
                    self.iterate(ty, found);
                }
                Ty::Path(..) => self.iterate(ty, found),
                _ => {}
            }
        }
        for (called, interface, method) in CONVERSIONS {
            if called != last {
                continue;
            }
            let method = self.program.types.name(method);
            let all: Vec<TyId> = own
                .iter()
                .copied()
                .chain(of)
                .chain(given.iter().copied())
                .chain(around.iter().copied())
                .collect();
            for ty in all {
                let ty = self.program.pointee(ty);
                if !matches!(self.program.types.ty(ty), Ty::Path(name, _) if self.program.is_own_crate(*name))
                {
                    continue;
                }
                for (index, body) in self.program.methods.get(&method).cloned().unwrap_or_default() {
                    if self.program.impls[index].interface.as_deref() == Some(interface) {
                        let mut subst = Subst::new();
                        // `from` takes the value that is converted.
                        let converts = last == "into" || last == "try_into";
                        let takes = !converts || self.program.bind(body, given, &mut Subst::new());
                        if takes && self.is_for(index, ty, &mut subst) {
                            self.into(body, subst, found);
                        }
                    }
                }
            }
        }
        if self.list.is_loop(path) {
            for to in &found.to[before..] {
                if let To::Node(node) = *to
                    && self.body(node).within.is_some()
                {
                    self.called_by_loop.insert(node);
                }
            }
        }
    }
}
