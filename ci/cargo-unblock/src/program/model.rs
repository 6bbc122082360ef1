//! What is known of all crates together?

use rustc_hash::{FxHashMap, FxHashSet};

use crate::facts::{self, Span, Unit};
use crate::sources::Sources;
use crate::types::{Callee, Name, Ty, TyId, Types};

pub type BodyId = usize;

pub struct Program {
    pub types: Types,
    pub units: Vec<Unit>,
    pub bodies: Vec<Body>,
    pub impls: Vec<Impl>,
    pub sources: Sources,
    /// Functions by their whole path.
    pub(super) paths: FxHashMap<Name, Vec<BodyId>>,
    /// The same by the last name of the path.
    pub(super) by_last: FxHashMap<Name, Vec<BodyId>>,
    /// Bodies of closures by the closure's type.
    pub closures: FxHashMap<Name, Vec<BodyId>>,
    /// Impls by the methods that they define.
    pub methods: FxHashMap<Name, Vec<(usize, BodyId)>>,
    /// The words in the types of fields, by the name of the struct or enum.
    pub fields: FxHashMap<String, FxHashSet<String>>,
    /// What becomes `dyn …` or a function pointer: (from, to).
    pub casts: FxHashSet<(TyId, TyId)>,
    /// Closures and async bodies by the body that they stand in.
    pub(super) nested: FxHashMap<Option<BodyId>, Vec<BodyId>>,
    pub(super) crates: FxHashSet<String>,
    /// Paths under which types have impls. Such a path is the type's own and not another crate's export.
    pub homes: FxHashSet<String>,
    pub(super) exports: FxHashMap<String, String>,
    /// Names of types that a crate declares, which cannot be generic parameters.
    pub(super) declared: FxHashMap<String, FxHashSet<String>>,
}

pub struct Body {
    pub unit: usize,
    pub index: usize,
    /// Its name with the crate's in front, as a reader writes it.
    pub shown: String,
    pub inputs: Vec<TyId>,
    /// Whether the body is polled: one of its arguments is `&mut Context`.
    pub is_async: bool,
    pub is_function: bool,
    /// The impl that it is a method of.
    pub of: Option<usize>,
    pub calls: Vec<Call>,
    /// The async bodies that it makes.
    pub creates: Vec<BodyId>,
    /// The body that it stands in, if it is a closure or an async body.
    pub within: Option<BodyId>,
    /// The types of what it keeps while it is suspended, as in the facts.
    pub kept: Vec<TyId>,
    /// What becomes `dyn …` or a function pointer in it: (from, to).
    pub casts: Vec<(TyId, TyId)>,
}

/// What a `dyn Trait` or a function pointer was before.
#[derive(Clone)]
pub enum HiddenType {
    Type(TyId),
    Parameter(u32),
}

pub struct Call {
    pub what: What,
    pub span: Span,
    /// The name that is called.
    pub name: Span,
    /// As in the facts.
    pub origins: Vec<(u32, Vec<HiddenType>)>,
}

#[derive(Clone)]
pub enum What {
    /// The callee, and the types that it takes.
    Function(Callee, Vec<TyId>),
    Pointer(TyId),
    Drop(TyId),
}

/// One `impl` block.
pub struct Impl {
    pub crate_name: String,
    /// The last name of the trait. An inherent impl has none.
    pub interface: Option<String>,
    pub of: Option<TyId>,
    /// The last name of the type, where the type itself is not known.
    pub of_name: Option<String>,
    pub parameters: Vec<Name>,
    /// The module that it stands in, with the crate in front.
    pub module: String,
    pub methods: FxHashMap<Name, BodyId>,
    /// The types that it gives to the names of its trait, by their last names.
    pub associated: FxHashMap<String, String>,
}

impl Program {
    pub fn is_own_crate(&self, path: Name) -> bool {
        let text = self.types.text(path);
        self.crates.contains(text.split("::").next().unwrap_or(text))
    }

    /// The body, and all closures and async bodies in it.
    pub fn with_nested(&self, body: BodyId) -> Vec<BodyId> {
        let mut all = vec![body];
        let mut at = 0;
        while at < all.len() {
            all.extend(self.nested.get(&Some(all[at])).into_iter().flatten());
            at += 1;
        }
        all
    }

    pub fn facts(&self, body: BodyId) -> &facts::Body {
        let body = &self.bodies[body];
        &self.units[body.unit].bodies[body.index]
    }

    pub fn pointee(&self, ty: TyId) -> TyId {
        match self.types.ty(ty) {
            &Ty::Ref(of) => self.pointee(of),
            _ => ty,
        }
    }
}
