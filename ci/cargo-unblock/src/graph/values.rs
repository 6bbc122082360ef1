//! What runs when a value is called, iterated over, read from or dropped?

use rustc_hash::FxHashSet;

use super::dispatch::Dispatch;
use super::nodes::{Found, Graph, HOLDERS};
use crate::list::Tier;
use crate::program::BodyId;
use crate::types::{Subst, Ty, TyId};

pub(super) const IO_TRAITS: [&str; 4] = ["Read", "BufRead", "Write", "Seek"];

impl Graph<'_> {
    /// Runs a value that can be called: a closure, a function, a pointer, or a type that holds one of these.
    pub(super) fn run_value(&mut self, ty: TyId, found: &mut Found) {
        if found.enter() {
            self.run_value_within(ty, found);
            found.depth -= 1;
        }
    }

    fn run_value_within(&mut self, ty: TyId, found: &mut Found) {
        match self.program.types.ty(ty).clone() {
            Ty::Closure(name, subst) => {
                let known = self.program.closures.get(&name).cloned();
                for body in
                    known.unwrap_or_else(|| self.program.foreign_closure(self.program.types.text(name)))
                {
                    self.into(body, subst.clone(), found);
                }
            }
            Ty::FnItem(callee, parts) => self.call(&callee, &parts[..parts.len() - 1], found),
            Ty::FnPointer(_) if self.dispatch != Dispatch::None => {
                self.by_cast.insert(self.current);
                let casts = std::mem::take(&mut self.program.casts);
                let sources: Vec<TyId> = casts
                    .iter()
                    .filter(|&&(from, to)| {
                        to == ty && matches!(self.program.types.ty(from), Ty::FnItem(..) | Ty::Closure(..))
                    })
                    .map(|&(from, _)| from)
                    .collect();
                self.program.casts = casts;
                for source in sources {
                    self.run_value(source, found);
                }
            }
            Ty::Dyn(_) => {
                for source in self.cast_to(ty) {
                    if !matches!(self.program.types.ty(source), Ty::Dyn(_)) {
                        self.run_value(source, found);
                    }
                }
            }
            Ty::Ref(of) => self.run_value(of, found),
            Ty::Path(name, args) if HOLDERS.contains(&self.program.types.text(name)) => {
                args.iter().for_each(|&arg| self.run_value(arg, found));
            }
            _ => {}
        }
    }

    /// Takes the next items of an iterator. The iterators that it is made of and their closures run too.
    pub(super) fn iterate(&mut self, ty: TyId, found: &mut Found) {
        if found.enter() {
            self.iterate_within(ty, found);
            found.depth -= 1;
        }
    }

    fn iterate_within(&mut self, ty: TyId, found: &mut Found) {
        let (name, args) = match self.program.types.ty(ty).clone() {
            Ty::Path(name, args) => (name, args),
            Ty::Ref(of) => return self.iterate(of, found),
            Ty::Dyn(bounds) => {
                let is_iterator =
                    bounds.first().is_some_and(|&bound| self.interface_name(bound).ends_with("Iterator"));
                for source in if is_iterator { self.cast_to(ty) } else { Vec::new() } {
                    self.iterate(source, found);
                }
                return;
            }
            _ => return,
        };
        let text = self.program.types.text(name).to_owned();
        if let Some(entry) = self.list.get(&text, &[Tier::Iterator]) {
            return self.blocks(entry, format!("<{text} as Iterator>::next"), found);
        }
        if ["std::io::Lines", "std::io::Bytes", "std::io::Split"].contains(&text.as_str()) {
            for &arg in &args {
                self.read_from(arg, &format!("{text}::next"), found);
            }
            return;
        }
        if self.program.is_own_crate(name) {
            self.all_methods(ty, &["Iterator"], found);
        } else if text == "std::boxed::Box" {
            args.iter().for_each(|&arg| self.iterate(arg, found));
        } else if ["std::iter::", "itertools::", "rayon::iter"].iter().any(|start| text.starts_with(start)) {
            for arg in args {
                match self.program.types.ty(self.bare(arg)) {
                    Ty::Closure(..) | Ty::FnItem(..) | Ty::FnPointer(_) => self.run_value(arg, found),
                    Ty::Dyn(_) => {
                        self.run_value(arg, found);
                        self.iterate(arg, found);
                    }
                    _ => self.iterate(arg, found),
                }
            }
        }
    }

    /// Calls every method of this type's impls of these traits.
    pub(super) fn all_methods(&mut self, ty: TyId, interfaces: &[&str], found: &mut Found) {
        for index in 0..self.program.impls.len() {
            let of = &self.program.impls[index];
            if !of.interface.as_deref().is_some_and(|name| interfaces.contains(&name)) {
                continue;
            }
            let bodies: Vec<BodyId> = of.methods.values().copied().collect();
            let mut subst = Subst::new();
            if self.is_for(index, ty, &mut subst) {
                for body in bodies {
                    self.into(body, subst.clone(), found);
                }
            }
        }
    }

    /// Reads from a value of this type or writes to it, which blocks if it contains a file, a socket or a
    /// pipe.
    pub(super) fn read_from(&mut self, ty: TyId, shown: &str, found: &mut Found) {
        if found.enter() {
            self.read_from_within(ty, shown, found);
            found.depth -= 1;
        }
    }

    fn read_from_within(&mut self, ty: TyId, shown: &str, found: &mut Found) {
        let mut sources = Vec::new();
        let mut inner = Vec::new();
        self.program.types.walk(ty, &mut |part, id| {
            match part {
                Ty::Path(name, _) => {
                    if let Some(entry) =
                        self.list.get(self.program.types.text(*name), &[Tier::Source, Tier::Console])
                    {
                        sources.push((entry, id));
                        return false;
                    }
                    if self.program.is_own_crate(*name) {
                        inner.push(id);
                    }
                }
                Ty::Dyn(_) => inner.push(id),
                _ => {}
            }
            true
        });
        for (entry, _) in sources {
            self.blocks(entry, shown.to_owned(), found);
        }
        for id in inner {
            if matches!(self.program.types.ty(id), Ty::Dyn(_)) {
                let known = self.origins.get(&1).filter(|_| found.depth == 1).cloned();
                for source in known.unwrap_or_else(|| self.cast_to(id)) {
                    if !matches!(self.program.types.ty(source), Ty::Dyn(_)) {
                        self.read_from(source, shown, found);
                    }
                }
            } else {
                self.all_methods(id, &IO_TRAITS, found);
            }
        }
    }

    pub(super) fn drop_value(&mut self, ty: TyId, found: &mut Found, seen: &mut FxHashSet<TyId>) {
        if !seen.insert(ty) || seen.len() > 1000 {
            return;
        }
        match self.program.types.ty(ty).clone() {
            Ty::Path(name, args) => {
                let text = self.program.types.text(name).to_owned();
                if [
                    "std::mem::ManuallyDrop",
                    "std::marker::PhantomData",
                    "std::sync::Arc",
                    "std::rc::Rc",
                    "std::sync::Weak",
                ]
                .contains(&text.as_str())
                {
                    return;
                }
                if let Some(entry) = self.list.get(&text, &[Tier::Dropped, Tier::DroppedMinor]) {
                    return self.blocks(entry, format!("<{text} as Drop>::drop"), found);
                }
                if self.program.is_own_crate(name) {
                    self.all_methods(ty, &["Drop"], found);
                    let last = text.rsplit("::").next().unwrap_or(&text).to_owned();
                    self.drop_fields(&last, found, &mut FxHashSet::default());
                    args.iter().for_each(|&arg| self.drop_value(arg, found, seen));
                } else {
                    args.iter().for_each(|&arg| self.drop_value(arg, found, seen));
                }
            }
            Ty::Tuple(parts) => parts.iter().for_each(|&part| self.drop_value(part, found, seen)),
            Ty::Slice(of) => self.drop_value(of, found, seen),
            Ty::Dyn(_) => {
                for source in self.cast_to(ty) {
                    self.drop_value(source, found, seen);
                }
            }
            _ => {}
        }
    }

    /// Drops the fields of a struct or enum with this name. The words of its definition say what they are.
    fn drop_fields(&mut self, name: &str, found: &mut Found, seen: &mut FxHashSet<String>) {
        if !seen.insert(name.to_owned()) {
            return;
        }
        let Some(words) = self.program.fields.get(name).cloned() else { return };
        for index in 0..self.program.impls.len() {
            let of = &self.program.impls[index];
            let named = of.of_name.as_ref().is_some_and(|name| words.contains(name));
            if named && of.interface.as_deref() == Some("Drop") {
                for body in of.methods.values().copied().collect::<Vec<_>>() {
                    self.into(body, Subst::new(), found);
                }
            }
        }
        for word in words {
            if self.program.fields.contains_key(&word) {
                self.drop_fields(&word, found, seen);
            }
        }
    }
}
