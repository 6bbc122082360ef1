//! Which trait and which type is an `impl` block for?

use rustc_hash::FxHashMap;

use super::model::{Impl, Program};
use crate::facts::Unit;
use crate::notation::place_of;
use crate::sources;
use crate::types::{Ty, TyId};

impl Program {
    pub(super) fn types_of_impl(&mut self, unit: &Unit, place: &str) -> Impl {
        let mut result = Impl {
            crate_name: unit.crate_name.clone(),
            interface: None,
            of: None,
            of_name: None,
            parameters: Vec::new(),
            module: String::new(),
            methods: FxHashMap::default(),
            associated: FxHashMap::default(),
        };
        let Some((file, [line, column, end_line, end_column])) = place_of(place) else { return result };
        let Some(source) = self.sources.get(&unit.directory, file) else { return result };
        let header = sources::header(&source.between(line, column, end_line, end_column));
        result.parameters = header.parameters.iter().map(|name| self.types.name(name)).collect();
        let renames = source.renames();
        let at_home = |name: String| renames.get(&name).cloned().unwrap_or(name);
        result.interface = header.interface.map(at_home);
        result.of_name = header.of.as_deref().map(last_name).map(at_home);
        // A blanket impl is an impl for its own parameter.
        let own =
            header.of.as_deref().and_then(|of| header.parameters.iter().find(|parameter| *parameter == of));
        if let Some(own) = own {
            let parameter = self.types.name(own);
            result.of = Some(self.types.add(Ty::Path(parameter, Vec::new())));
        }
        result
    }

    /// The type whose method takes `self`. `&T`, `Box<T>` and `Pin<&mut T>` are ways to pass a `T`, except
    /// when the impl is for `Box` itself.
    pub(super) fn own_type(&self, ty: TyId, of_name: Option<&str>) -> TyId {
        match self.types.ty(ty) {
            &Ty::Ref(of) => of,
            Ty::Path(name, args) => {
                let text = self.types.text(*name);
                let passes =
                    ["std::pin::Pin", "std::boxed::Box", "std::sync::Arc", "std::rc::Rc"].contains(&text);
                match args.first() {
                    Some(&of) if passes && text.rsplit("::").next() != of_name => self.own_type(of, of_name),
                    _ => ty,
                }
            }
            _ => ty,
        }
    }
}

/// The last name of a type: `Type` for `&'a path::Type<T>`.
pub(super) fn last_name(ty: &str) -> String {
    let path = ty.trim_start_matches(['&', ' ']).split('<').next().unwrap_or("").trim();
    path.rsplit("::").next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_name_of_a_type_is_found_behind_references_and_before_arguments() {
        for (text, expected) in [
            ("&'a path::Type<T>", "Type"),
            ("Box<dyn a::B>", "Box"),
            ("[u8]", "[u8]"),
            ("& Type", "Type"),
            ("", ""),
        ] {
            assert_eq!(last_name(text), expected, "{text}");
        }
    }
}
