//! What does an item promise?

use syn::visit_mut::VisitMut;
use syn::{
    Attribute, Fields, FnArg, Generics, ImplItem, Item, ItemImpl, Signature, TraitItem, Type, Visibility,
};

use super::names::Namer;
use super::source::{Name, attributes, conditions, is_hidden, of_attribute};
use super::text::text;
use super::{Api, condition};

impl Api<'_> {
    /// The item itself, and its parts.
    pub(super) fn item(&self, module: &[String], item: &Item) -> Vec<String> {
        let tags = tags(attributes(item));
        match item {
            Item::Struct(item) => {
                let head = self.head(module, "struct", &item.generics);
                let fields = self.fields(module, &item.fields, false);
                [vec![tags + &head], fields].concat()
            }
            Item::Enum(item) => {
                let mut lines = vec![tags + &self.head(module, "enum", &item.generics)];
                for variant in &item.variants {
                    let fields = self.fields(module, &variant.fields, true).join(", ");
                    let fields = if fields.is_empty() { fields } else { format!(" {{ {fields} }}") };
                    lines.push(format!(
                        "{}{fields}{}",
                        variant.ident,
                        condition(&conditions(&variant.attrs))
                    ));
                }
                lines
            }
            Item::Fn(item) => vec![tags + &self.signature(module, &item.sig)],
            Item::Type(item) => vec![format!("{tags}type = {}", self.ty(module, &item.ty))],
            Item::Const(item) => vec![format!("{tags}const: {}", self.ty(module, &item.ty))],
            Item::Trait(item) => {
                let mut lines = vec![tags + &self.head(module, "trait", &item.generics)];
                assert!(item.supertraits.is_empty(), "{}: no words yet for supertraits", item.ident);
                for part in &item.items {
                    let TraitItem::Fn(part) = part else { panic!("{}: more than functions", item.ident) };
                    let hidden = if is_hidden(&part.attrs) { "(hidden) " } else { "" };
                    lines.push(format!("{hidden}{}", self.signature(module, &part.sig)));
                }
                lines
            }
            other => panic!("no words yet for {}", text(other)),
        }
    }

    fn fields(&self, module: &[String], fields: &Fields, all: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for (place, field) in fields.iter().enumerate() {
            if all || matches!(field.vis, Visibility::Public(_)) {
                let name = field.ident.as_ref().map_or(place.to_string(), ToString::to_string);
                let cfgs = condition(&conditions(&field.attrs));
                lines.push(format!("{name}: {}{cfgs}", self.ty(module, &field.ty)));
            }
        }
        if lines.len() < fields.len() {
            lines.push("(private fields)".to_owned());
        }
        lines
    }

    /// The implementations of an item: for the item itself, or for a type that refers to the item.
    pub(super) fn implementations(&self, definition: &Name) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, module) in &self.sources.modules {
            for item in &module.items {
                if let Item::Impl(item) = item {
                    lines.extend(self.implementation(definition, name, item));
                }
            }
        }
        lines.sort();
        lines
    }

    fn implementation(&self, definition: &Name, module: &[String], item: &ItemImpl) -> Vec<String> {
        let mut ty = item.self_ty.clone();
        let mut about = self.with_names(module, |namer| namer.visit_type_mut(&mut ty));
        let Some((of_trait, _)) = &item.trait_ else {
            return if about == [definition.clone()] { self.methods(module, item) } else { Vec::new() };
        };
        let mut of_trait = of_trait.clone();
        about.extend(self.with_names(module, |namer| namer.visit_path_mut(&mut of_trait)));
        let (of_trait, ty) = (text(&of_trait), text(&ty));
        // An implementation is listed once: for its type, or for what its trait is about, or for the trait itself. If
        // users cannot name the type or the trait, it is not listed.
        if about.first() != Some(definition) || of_trait.starts_with("crate::") || ty.starts_with("crate::") {
            return Vec::new();
        }
        let (generics, bounds) = self.generics(module, &item.generics);
        let mut types = String::new();
        for part in &item.items {
            if let ImplItem::Type(part) = part {
                types.push_str(&format!(", {} = {}", part.ident, self.ty(module, &part.ty)));
            }
        }
        let cfgs = condition(&[&self.sources.modules[module].cfgs[..], &conditions(&item.attrs)].concat());
        vec![format!("impl{generics} {of_trait} for {ty}{bounds}{types}{cfgs}")]
    }

    fn methods(&self, module: &[String], item: &ItemImpl) -> Vec<String> {
        let mut lines = Vec::new();
        let of = match item.generics.params.is_empty() {
            true => String::new(),
            false => self.head(module, "impl", &item.generics) + ": ",
        };
        for part in &item.items {
            match part {
                ImplItem::Fn(part) if matches!(part.vis, Visibility::Public(_)) => {
                    let (tags, cfgs) = (tags(&part.attrs), condition(&conditions(&part.attrs)));
                    lines.push(
                        format!("{of}{}{cfgs} {tags}", self.signature(module, &part.sig))
                            .trim_end()
                            .to_owned(),
                    );
                }
                ImplItem::Const(part) if matches!(part.vis, Visibility::Public(_)) => {
                    lines.push(format!("{of}const {}: {}", part.ident, self.ty(module, &part.ty)));
                }
                _ => {}
            }
        }
        lines
    }

    fn head(&self, module: &[String], kind: &str, generics: &Generics) -> String {
        let (generics, bounds) = self.generics(module, generics);
        format!("{kind}{generics}{bounds}")
    }

    fn generics(&self, module: &[String], generics: &Generics) -> (String, String) {
        let mut generics = generics.clone();
        self.with_names(module, |namer| namer.visit_generics_mut(&mut generics));
        let bounds = generics.where_clause.take();
        let bounds = bounds.map_or(String::new(), |it| format!(" {}", text(&it).trim_end_matches(',')));
        (text(&generics), bounds)
    }

    fn signature(&self, module: &[String], signature: &Signature) -> String {
        let mut signature = signature.clone();
        if let Some(FnArg::Receiver(receiver)) = signature.inputs.first_mut() {
            receiver.mutability = None; // callers need not know whether it is changed inside
        }
        self.with_names(module, |namer| namer.visit_signature_mut(&mut signature));
        text(&signature).trim_end_matches(',').to_owned()
    }

    fn ty(&self, module: &[String], ty: &Type) -> String {
        let mut ty = ty.clone();
        self.with_names(module, |namer| namer.visit_type_mut(&mut ty));
        text(&ty)
    }

    /// Returns the items of the API that were met.
    fn with_names(&self, module: &[String], rename: impl FnOnce(&mut Namer)) -> Vec<Name> {
        let (sources, exported) = (self.sources, &self.exported);
        let mut namer = Namer { sources, exported, module, met: Vec::new() };
        rename(&mut namer);
        namer.met
    }
}

/// The attributes that are a promise to users.
fn tags(attributes: &[Attribute]) -> String {
    let mut tags = String::new();
    for name in ["deprecated", "derive", "must_use", "non_exhaustive"] {
        for argument in of_attribute(attributes, name) {
            tags.push_str(&format!("#[{name}{argument}] "));
        }
    }
    tags
}
