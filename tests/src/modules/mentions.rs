//! Which paths does an item mention, apart from its module's `use`?

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemEnum, ItemStruct, ItemTrait, ItemType, ItemUnion, ItemUse, Macro};
use syn::{PatIdent, Path, Visibility};

use super::source::{Module, Name};
use crate::api::{attributes, is_test};

/// A path in the text of an item.
pub(super) struct Mention {
    pub path: Name,
    pub line: usize,
}

/// Adds to a module what one of its items mentions.
pub(super) fn read(item: &Item, module: &mut Module) {
    Reader(module).visit_item(item);
}

struct Reader<'a>(&'a mut Module);

impl Reader<'_> {
    fn add(&mut self, path: &[&Ident]) {
        let line = path[0].span().start().line;
        self.0.mentions.push(Mention { path: path.iter().map(|ident| ident.to_string()).collect(), line });
    }

    fn add_type(&mut self, ident: &Ident) {
        self.0.types.push((ident.to_string(), ident.span().start().line));
    }

    /// The paths in the input of a macro. The macro has a grammar of its own, so this looks at the tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is_colon =
            |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(it)) if it.as_char() == ':');
        let is_point =
            |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(it)) if it.as_char() == '.');
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) if at == 0 || !is_point(at - 1) => {
                    let mut path = vec![first];
                    while is_colon(at + 1)
                        && is_colon(at + 2)
                        && let Some(TokenTree::Ident(next)) = tokens.get(at + 3)
                    {
                        path.push(next);
                        at += 3;
                    }
                    // A name in small letters may be anything: a field, a label, a piece of a grammar.
                    if path.len() > 1 || !is_small(&first.to_string()) {
                        self.add(&path);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let is_left_out = match item {
            ImplItem::Const(item) => is_test(&item.attrs),
            ImplItem::Fn(item) => is_test(&item.attrs),
            ImplItem::Type(item) => is_test(&item.attrs),
            _ => false,
        };
        if !is_left_out {
            visit::visit_impl_item(self, item);
        }
    }

    /// An import within a function is taken for an import of its module.
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.0.add_use(item);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            self.add(&path.segments.iter().map(|segment| &segment.ident).collect::<Vec<_>>());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone());
    }

    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        self.0.bound.insert(pattern.ident.to_string());
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.add_type(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.add_type(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_union(&mut self, item: &'ast ItemUnion) {
        self.add_type(&item.ident);
        visit::visit_item_union(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.add_type(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast ItemType) {
        self.add_type(&item.ident);
        visit::visit_item_type(self, item);
    }

    /// `pub(in crate::db)` says who may import, and imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    /// Neither a comment nor a derive leads to another file.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

/// Whether a name is written like a variable or a function.
pub(super) fn is_small(name: &str) -> bool {
    name.starts_with(|first: char| first.is_lowercase() || first == '_')
}
