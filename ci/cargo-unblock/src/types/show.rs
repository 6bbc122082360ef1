//! How does a reader write a type or a callee?

use super::tree::{Callee, Name, Ty, TyId, Types};
use crate::notation::plain;

impl Types {
    fn shown(&self, name: Name) -> String {
        plain(self.text(name))
    }

    /// The type as a reader writes it.
    pub fn show(&self, id: TyId) -> String {
        let list = |parts: &[TyId]| parts.iter().map(|&p| self.show(p)).collect::<Vec<_>>().join(", ");
        match self.ty(id) {
            Ty::Path(name, args) if args.is_empty() => self.shown(*name),
            Ty::Path(name, args) => format!("{}<{}>", self.shown(*name), list(args)),
            Ty::Ref(of) => format!("&{}", self.show(*of)),
            Ty::Tuple(parts) => format!("({})", list(parts)),
            Ty::Slice(of) => format!("[{}]", self.show(*of)),
            Ty::FnPointer(_) => "fn pointer".to_owned(),
            Ty::FnItem(callee, _) => self.show_callee(callee),
            Ty::Closure(name, _) => format!("closure at {}", self.text(*name)),
            Ty::Coroutine(name) | Ty::Other(name) => self.text(*name).to_owned(),
            Ty::Dyn(bounds) => format!("dyn {}", list(&bounds[..bounds.len().min(1)])),
            Ty::Projection(of, interface, name) => {
                format!("<{} as {}>::{}", self.show(*of), self.show(*interface), self.text(*name))
            }
        }
    }

    /// The callee as a reader writes it, without generic arguments.
    pub fn show_callee(&self, callee: &Callee) -> String {
        match callee {
            Callee::Path { path, .. } => self.text(*path).to_owned(),
            Callee::Trait { of, interface, method, .. } => {
                let interface = match self.ty(*interface) {
                    Ty::Path(name, _) => self.text(*name).to_owned(),
                    _ => self.show(*interface),
                };
                format!("<{} as {interface}>::{}", self.show(*of), self.text(*method))
            }
        }
    }
}
