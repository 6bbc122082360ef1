//! What does a name stand for?

use super::{BodyId, Program};
use crate::notation::plain;
use crate::types::{Name, Subst, TyId};

const PRIMITIVES: [&str; 19] = [
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128",
    "isize", "f16", "f32", "f64", "f128",
];

impl Program {
    /// The functions of the workspace that a path may name.
    pub fn functions(&self, path: Name) -> Vec<BodyId> {
        if let Some(found) = self.paths.get(&path) {
            return found.clone();
        }
        let text = self.types.text(path);
        let Some((_, last)) = text.rsplit_once("::") else { return Vec::new() };
        let Some(last) = self.types.find_name(last) else { return Vec::new() };
        if !self.is_own_crate(path) {
            return Vec::new();
        }
        let candidates = self.by_last.get(&last).map_or(&[][..], Vec::as_slice);
        let whole = |id: &BodyId| {
            let body = &self.bodies[*id];
            format!(
                "{}::{}",
                self.units[body.unit].crate_name,
                self.units[body.unit].text(self.facts(*id).name)
            )
        };
        candidates.iter().copied().filter(|id| is_subsequence(text, &whole(id))).collect()
    }

    /// The functions of other crates of the workspace that the path may name, for the case that the path's
    /// own crate only exports them.
    pub fn exported(&self, path: Name) -> Vec<BodyId> {
        let text = self.types.text(path);
        let Some(last) = text.rsplit("::").next().and_then(|last| self.types.find_name(last)) else {
            return Vec::new();
        };
        let home = text.split("::").next().unwrap_or(text);
        let candidates = self.by_last.get(&last).map_or(&[][..], Vec::as_slice);
        let found = candidates.iter().copied().filter(|&id| {
            let unit = &self.units[self.bodies[id].unit];
            unit.crate_name != home && unit.is_library
        });
        found.collect()
    }

    /// The closure of another crate. Rustc names such a closure by its path and not by its place:
    /// `{closure@lib::Type::method::{closure#0}}`.
    pub fn foreign_closure(&self, text: &str) -> Vec<BodyId> {
        let Some(path) = text.strip_prefix("{closure@").and_then(|rest| rest.strip_suffix('}')) else {
            return Vec::new();
        };
        let Some((function, closures)) = path.split_once("::{closure#") else { return Vec::new() };
        let closures = format!("::{{closure#{closures}");
        let found = self.bodies.iter().enumerate().filter(|(id, body)| {
            let unit = &self.units[body.unit];
            let name = unit.text(self.facts(*id).name);
            // `index::<impl at …>::stale::{closure#0}` is shown as `index::Index::stale::{closure}`.
            name.ends_with(&closures)
                && function.starts_with(&format!("{}::", unit.crate_name))
                && is_subsequence(
                    &format!("{}::{}", unit.crate_name, body.shown.trim_end_matches("::{closure}")),
                    function,
                )
        });
        found.map(|(id, _)| id).collect()
    }

    /// The constant or static of this name, as its crate prints it.
    pub fn constant(&self, unit: usize, name: &str) -> Option<BodyId> {
        (0..self.bodies.len()).find(|&id| {
            let body = &self.bodies[id];
            !body.is_function && body.unit == unit && self.units[unit].text(self.facts(id).name) == name
        })
    }

    /// Whether the path may name a function. A path into a crate of the workspace has to name a function
    /// there.
    pub fn may_have(&self, path: &str) -> bool {
        let Some((crate_name, rest)) = path.split_once("::") else { return false };
        if !self.crates.iter().any(|known| plain(known) == crate_name) {
            return true;
        }
        let last = rest.rsplit("::").next().unwrap_or(rest);
        self.bodies.iter().any(|body| {
            body.is_function
                && plain(&self.units[body.unit].crate_name) == crate_name
                && body.shown.rsplit("::").next() == Some(last)
        })
    }

    /// Whether two paths may name one type. Their last names have to agree. In addition, one path has to be a
    /// shorter form of the other, or lead through another crate of the workspace.
    pub fn same(&self, a: Name, b: Name) -> bool {
        let (a, b) = (self.types.text(a), self.types.text(b));
        if a.rsplit("::").next() != b.rsplit("::").next() || !a.contains("::") || !b.contains("::") {
            return false;
        }
        let (first_a, first_b) = (a.split("::").next().unwrap_or(a), b.split("::").next().unwrap_or(b));
        if !self.crates.contains(first_a) || !self.crates.contains(first_b) {
            return false;
        }
        let exported = first_a != first_b && !(self.homes.contains(a) && self.homes.contains(b));
        exported || (first_a == first_b && (is_subsequence(a, b) || is_subsequence(b, a)))
    }

    /// Whether the name can only be a generic parameter.
    pub fn is_parameter(&self, name: Name, crate_name: &str) -> bool {
        let text = self.types.text(name);
        !text.contains("::")
            && !PRIMITIVES.contains(&text)
            && !self.declared.get(crate_name).is_some_and(|declared| declared.contains(text))
    }

    /// Compares the types that a body takes with those that it is given, and adds to `found` what its generic
    /// parameters stand for. Returns whether all of them fit.
    pub fn bind(&self, body: BodyId, given: &[TyId], found: &mut Subst) -> bool {
        let crate_name = &self.units[self.bodies[body].unit].crate_name;
        let pairs = self.bodies[body].inputs.iter().zip(given);
        pairs.fold(true, |all, (&pattern, &ty)| self.fits(pattern, ty, crate_name, found) && all)
    }

    pub fn fits(&self, pattern: TyId, ty: TyId, crate_name: &str, found: &mut Subst) -> bool {
        self.types.fits(
            pattern,
            ty,
            &|a, b| self.same(a, b),
            &|name| self.is_parameter(name, crate_name),
            found,
        )
    }
}

fn is_subsequence(short: &str, long: &str) -> bool {
    let mut rest = long.split("::");
    short.split("::").all(|part| rest.any(|other| other == part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_path_has_its_names_in_the_order_of_the_longer_one() {
        assert!(is_subsequence("lib::f", "lib::inner::f"));
        assert!(is_subsequence("lib::inner::f", "lib::inner::f"));
        assert!(!is_subsequence("lib::inner::f", "lib::f"));
        assert!(!is_subsequence("f::lib", "lib::f"));
        assert!(!is_subsequence("lib::in::f", "lib::inner::f"));
    }
}
