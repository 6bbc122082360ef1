//! Which `impl` is for a type, and which type does it give to its trait's names?

use super::nodes::Graph;
use crate::types::{Subst, Ty, TyId};

impl Graph<'_> {
    /// Whether the impl is for this type. What its parameters then stand for is added to `subst`.
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
                // Two types may have the same last name. Each has the impls in its own module.
                path.rsplit("::").next() == Some(name)
                    && (path.strip_prefix(&of.module) == Some(name) || !self.program.homes.contains(path))
            }
            (None, None) => false,
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
        // What a collection yields is not known by its name. An iterator yields itself.
        if (last, name.as_str()) == ("IntoIterator", "IntoIter") { of } else { ty }
    }

    pub(super) fn interface_name(&self, interface: TyId) -> String {
        match self.program.types.ty(interface) {
            Ty::Path(name, _) => self.program.types.text(*name).to_owned(),
            _ => String::new(),
        }
    }
}
