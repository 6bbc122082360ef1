//! What does a generic type become with its parameters filled in, and which parameters make it fit another type?

use super::tree::{Callee, Name, Subst, Ty, TyId, Types};

impl Types {
    /// The type with each generic parameter replaced. A closure in a generic function keeps what the
    /// function's parameters stand for.
    pub fn substitute(&mut self, id: TyId, with: &Subst) -> TyId {
        if with.is_empty() {
            return id;
        }
        let new = match self.ty(id).clone() {
            Ty::Path(name, args) if args.is_empty() => {
                return with.iter().find(|(parameter, _)| *parameter == name).map_or(id, |&(_, ty)| ty);
            }
            Ty::Path(name, args) => Ty::Path(name, self.substitute_all(&args, with)),
            Ty::Ref(of) => Ty::Ref(self.substitute(of, with)),
            Ty::Tuple(parts) => Ty::Tuple(self.substitute_all(&parts, with)),
            Ty::Slice(of) => Ty::Slice(self.substitute(of, with)),
            Ty::FnPointer(parts) => Ty::FnPointer(self.substitute_all(&parts, with)),
            Ty::FnItem(callee, parts) => {
                Ty::FnItem(Box::new(self.substitute_callee(&callee, with)), self.substitute_all(&parts, with))
            }
            Ty::Closure(name, own) if own.is_empty() => Ty::Closure(name, with.clone()),
            Ty::Dyn(bounds) => Ty::Dyn(self.substitute_all(&bounds, with)),
            Ty::Projection(of, interface, name) => {
                Ty::Projection(self.substitute(of, with), self.substitute(interface, with), name)
            }
            // An `impl Trait` argument is a generic parameter without a name of its own.
            Ty::Other(name) => {
                return with.iter().find(|(parameter, _)| *parameter == name).map_or(id, |&(_, ty)| ty);
            }
            unchanged => unchanged,
        };
        self.add(new)
    }

    fn substitute_all(&mut self, ids: &[TyId], with: &Subst) -> Vec<TyId> {
        ids.iter().map(|&id| self.substitute(id, with)).collect()
    }

    pub fn substitute_callee(&mut self, callee: &Callee, with: &Subst) -> Callee {
        match callee {
            Callee::Path { path, owner, own } => Callee::Path {
                path: *path,
                owner: self.substitute_all(owner, with),
                own: self.substitute_all(own, with),
            },
            Callee::Trait { of, interface, method, own } => Callee::Trait {
                of: self.substitute(*of, with),
                interface: self.substitute(*interface, with),
                method: *method,
                own: self.substitute_all(own, with),
            },
        }
    }

    /// Whether `pattern`, a type as its definition spells it, fits `ty`. What the parameters of `pattern`
    /// then stand for is added to `found`. A crate may export a type under another path: `same` says whether
    /// two different paths name one type.
    pub fn fits(
        &self,
        pattern: TyId,
        ty: TyId,
        same: &dyn Fn(Name, Name) -> bool,
        is_parameter: &dyn Fn(Name) -> bool,
        found: &mut Subst,
    ) -> bool {
        if let Ty::Path(name, args) = self.ty(pattern)
            && args.is_empty()
            && is_parameter(*name)
        {
            return match found.iter().find(|(parameter, _)| parameter == name) {
                Some(&(_, before)) => before == ty,
                None => {
                    found.push((*name, ty));
                    found.sort_unstable();
                    true
                }
            };
        }
        if let Ty::Other(name) = self.ty(pattern)
            && self.text(*name).starts_with("impl ")
        {
            found.push((*name, ty));
            found.sort_unstable();
            return true;
        }
        let mut all = |a: &[TyId], b: &[TyId]| {
            a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| self.fits(a, b, same, is_parameter, found))
        };
        match (self.ty(pattern), self.ty(ty)) {
            (Ty::Path(a, a_args), Ty::Path(b, b_args)) => (a == b || same(*a, *b)) && all(a_args, b_args),
            (Ty::Ref(a), Ty::Ref(b)) | (Ty::Slice(a), Ty::Slice(b)) => {
                self.fits(*a, *b, same, is_parameter, found)
            }
            (Ty::Tuple(a), Ty::Tuple(b)) | (Ty::FnPointer(a), Ty::FnPointer(b)) => all(a, b),
            (Ty::Dyn(a), Ty::Dyn(b)) => match (a.first(), b.first()) {
                (Some(&a), Some(&b)) => self.fits(a, b, same, is_parameter, found),
                _ => false,
            },
            // An associated type is not computed, so it may be any type.
            (Ty::Projection(..), _) | (_, Ty::Projection(..)) => true,
            (Ty::Other(_), Ty::Other(_)) => true,
            (a, b) => a == b,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closure_keeps_what_its_surroundings_stand_for() {
        let mut types = Types::default();
        let (closure, file) = (types.parse("{closure@a.rs:1:2: 3:4}"), types.parse("std::fs::File"));
        let parameter = types.name("R");
        let first = types.substitute(closure, &vec![(parameter, file)]);
        assert_ne!(first, closure);
        let number = types.parse("u8");
        assert_eq!(types.substitute(first, &vec![(parameter, number)]), first);
    }

    #[test]
    fn a_pattern_fits_when_each_parameter_stands_for_one_type() {
        let mut types = Types::default();
        let fits = |types: &mut Types, pattern: &str, ty: &str| {
            let (pattern, ty) = (types.parse(pattern), types.parse(ty));
            let parameter = types.name("T");
            let mut found = Subst::new();
            let fits = types.fits(pattern, ty, &|_, _| false, &|name| name == parameter, &mut found);
            fits.then(|| found.iter().map(|&(_, ty)| types.show(ty)).collect::<Vec<_>>().join(", "))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(fits(&mut types, "a::Map<T, T>", "a::Map<u8, u8>"), some("u8"));
        assert_eq!(fits(&mut types, "a::Map<T, T>", "a::Map<u8, u16>"), None);
        assert_eq!(fits(&mut types, "&[T]", "&[std::fs::File]"), some("std::fs::File"));
        assert_eq!(fits(&mut types, "a::B", "b::B"), None);
        assert_eq!(fits(&mut types, "<T as a::B>::C", "u8"), some(""));
    }
}
