//! Which types may be behind a `dyn Trait` or a function pointer?
//!
//! Where the body at hand shows what became the `dyn`, it is only that type. Otherwise it is each type that
//! became this `dyn` anywhere.

use super::dispatch::Dispatch;
use super::nodes::{Graph, HOLDERS};
use crate::program::{BodyId, HiddenType};
use crate::types::{Subst, Ty, TyId};

impl Graph<'_> {
    /// The types behind hidden types, if all of them are known.
    pub(super) fn known(&mut self, origins: Vec<HiddenType>, subst: &Subst) -> Option<Vec<TyId>> {
        let mut known = Vec::new();
        for origin in origins {
            match origin {
                HiddenType::Type(ty) => match *self.program.types.ty(ty) {
                    // A static holds what its initializer puts there.
                    Ty::Other(name) => {
                        let unit = self.program.bodies[self.nodes[self.current].body].unit;
                        let name =
                            self.program.types.text(name).strip_prefix("{static ")?.trim_end_matches('}');
                        let body = self.program.constant(unit, name)?;
                        let casts = &self.program.bodies[body].casts;
                        known.extend(casts.iter().map(|&(from, _)| from));
                        if casts.is_empty() {
                            return None;
                        }
                    }
                    _ => known.push(self.program.types.substitute(ty, subst)),
                },
                HiddenType::Parameter(number) => {
                    let name = self.program.types.name(&format!("_{number}"));
                    let &(_, ty) = subst.iter().find(|(parameter, _)| *parameter == name)?;
                    let Ty::Tuple(parts) = self.program.types.ty(ty) else { return None };
                    known.extend(parts);
                }
            }
        }
        let bare: Vec<TyId> = known.into_iter().map(|ty| self.bare(ty)).collect();
        // A `dyn` that was another `dyn` before does not say which type it is.
        (!bare.iter().any(|&ty| matches!(self.program.types.ty(ty), Ty::Dyn(_)))).then_some(bare)
    }

    /// The type within references and boxes.
    pub(super) fn bare(&self, ty: TyId) -> TyId {
        match self.program.types.ty(ty) {
            &Ty::Ref(of) => self.bare(of),
            Ty::Path(name, args) if HOLDERS.contains(&self.program.types.text(*name)) => {
                args.first().map_or(ty, |&of| self.bare(of))
            }
            _ => ty,
        }
    }

    /// Tells a body which types its hidden arguments have.
    pub(super) fn pass_origins(&mut self, body: BodyId, subst: &mut Subst) {
        let mut numbers: Vec<u32> = self.origins.keys().copied().filter(|&number| number > 0).collect();
        numbers.sort_unstable();
        for number in numbers {
            let hides = self.program.bodies[body].inputs.get(number as usize - 1).is_some_and(|&input| {
                let mut hides = false;
                self.program.types.walk(input, &mut |ty, _| {
                    hides |= matches!(ty, Ty::Dyn(_) | Ty::FnPointer(_));
                    true
                });
                hides
            });
            if hides {
                let name = self.program.types.name(&format!("_{number}"));
                let parts = self.origins[&number].clone();
                let parts = self.program.types.add(Ty::Tuple(parts));
                subst.push((name, parts));
            }
        }
        subst.sort_unstable();
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
            // When `Box<Disk>` becomes `Box<dyn Store>`, what the boxes hold differs.
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

    fn same_interface(&self, a: TyId, b: TyId) -> bool {
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
