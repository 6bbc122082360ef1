//! Which types and callees were met, and what does each consist of?

use rustc_hash::FxHashMap;

use super::scope::Scope;

/// A name in the [`Types`] that made it. Equal names have equal numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Name(u32);

/// A type in the [`Types`] that made it. Equal types have equal numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TyId(u32);

/// What stands for each generic parameter, sorted by name.
pub type Subst = Vec<(Name, TyId)>;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Ty {
    /// `a::b::C<X, Y>`, a primitive, or a generic parameter: a path with all its arguments in order.
    Path(Name, Vec<TyId>),
    /// `&T`, `&mut T`, `*const T`.
    Ref(TyId),
    /// `(A, B)`.
    Tuple(Vec<TyId>),
    /// `[T]` and `[T; N]`.
    Slice(TyId),
    /// `fn(A) -> B`: the inputs, then the output.
    FnPointer(Vec<TyId>),
    /// `fn(A) -> B {path}`: the type of one function, with its inputs and its output.
    FnItem(Box<Callee>, Vec<TyId>),
    /// A closure, named by its place, with what the generic parameters around it stand for.
    Closure(Name, Subst),
    /// `{async fn body of f()}`, `{async block@…}` and other bodies that are polled.
    Coroutine(Name),
    /// `dyn A + B`.
    Dyn(Vec<TyId>),
    /// `<T as Trait>::Name`: the type, the trait, the name.
    Projection(TyId, TyId, Name),
    /// A constant among generic arguments, `impl Trait`, and whatever is not understood.
    Other(Name),
}

/// What a call names.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Callee {
    /// `a::b::f::<X>`, `a::Type::<T>::method::<X>`.
    Path { path: Name, owner: Vec<TyId>, own: Vec<TyId> },
    /// `<T as a::Trait<A>>::method::<X>`.
    Trait { of: TyId, interface: TyId, method: Name, own: Vec<TyId> },
}

#[derive(Default)]
pub struct Types {
    /// The crate whose text is read.
    pub scope: Scope,
    names: Vec<String>,
    name_ids: FxHashMap<String, Name>,
    types: Vec<Ty>,
    type_ids: FxHashMap<Ty, TyId>,
}

impl Types {
    pub fn name(&mut self, text: &str) -> Name {
        if let Some(&name) = self.name_ids.get(text) {
            return name;
        }
        let name = Name(self.names.len() as u32);
        self.names.push(text.to_owned());
        self.name_ids.insert(text.to_owned(), name);
        name
    }

    /// The name, if it was met.
    pub fn find_name(&self, text: &str) -> Option<Name> {
        self.name_ids.get(text).copied()
    }

    pub fn text(&self, name: Name) -> &str {
        &self.names[name.0 as usize]
    }

    pub fn ty(&self, id: TyId) -> &Ty {
        &self.types[id.0 as usize]
    }

    pub fn add(&mut self, ty: Ty) -> TyId {
        if let Some(&id) = self.type_ids.get(&ty) {
            return id;
        }
        let id = TyId(self.types.len() as u32);
        self.types.push(ty.clone());
        self.type_ids.insert(ty, id);
        id
    }

    /// Every type that was met.
    pub fn all(&self) -> impl Iterator<Item = TyId> + use<> {
        (0..self.types.len() as u32).map(TyId)
    }

    /// Calls `see` with the type and with every type within it. When `see` returns false, the types within
    /// that type are left out.
    pub fn walk(&self, id: TyId, see: &mut dyn FnMut(&Ty, TyId) -> bool) {
        let ty = self.ty(id);
        if !see(ty, id) {
            return;
        }
        match ty {
            Ty::Path(_, parts) | Ty::Tuple(parts) | Ty::FnPointer(parts) | Ty::Dyn(parts) => {
                parts.iter().for_each(|&part| self.walk(part, see));
            }
            Ty::Ref(of) | Ty::Slice(of) | Ty::Projection(of, ..) => self.walk(*of, see),
            Ty::FnItem(..) | Ty::Closure(..) | Ty::Coroutine(_) | Ty::Other(_) => {}
        }
    }

    /// How deep the type is nested.
    pub fn depth(&self, id: TyId) -> usize {
        match self.ty(id) {
            Ty::Path(_, parts) | Ty::Tuple(parts) | Ty::FnPointer(parts) | Ty::Dyn(parts) => {
                1 + parts.iter().map(|&part| self.depth(part)).max().unwrap_or(0)
            }
            Ty::Ref(of) | Ty::Slice(of) | Ty::Projection(of, ..) => 1 + self.depth(*of),
            Ty::Closure(_, with) => 1 + with.iter().map(|&(_, part)| self.depth(part)).max().unwrap_or(0),
            _ => 1,
        }
    }
}
