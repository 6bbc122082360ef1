//! How is a piece of Rust written in one line?

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;

/// The tokens, with spaces where people put spaces.
pub fn text(tokens: impl ToTokens) -> String {
    let mut pieces = Vec::new();
    take_apart(tokens.to_token_stream(), &mut pieces);
    let mut line = String::new();
    let mut before = "";
    for piece in &pieces {
        if !line.is_empty() && is_apart(before, piece) {
            line.push(' ');
        }
        line.push_str(piece);
        before = piece;
    }
    // A list that was written in several lines ends with a comma.
    line.replace(",)", ")").replace(", }", " }").replace(",>", ">")
}

fn take_apart(tokens: TokenStream, pieces: &mut Vec<String>) {
    let mut joint = String::new();
    for token in tokens {
        match token {
            TokenTree::Punct(punct) => {
                joint.push(punct.as_char());
                let more = punct.spacing() == proc_macro2::Spacing::Joint;
                // `>>` and `>,` are single signs that happen to stand together.
                if !more || !matches!(&*joint, ":" | "-" | "=" | "'" | "." | "..") {
                    pieces.push(std::mem::take(&mut joint));
                }
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                pieces.push(open.to_owned());
                take_apart(group.stream(), pieces);
                pieces.push(close.to_owned());
            }
            other => pieces.push(std::mem::take(&mut joint) + &other.to_string()),
        }
    }
    if !joint.is_empty() {
        pieces.push(joint);
    }
}

fn is_apart(before: &str, next: &str) -> bool {
    let is_word = |piece: &str| piece.starts_with(|c: char| c.is_alphanumeric() || "_'\"".contains(c));
    match (before, next) {
        ("(" | "[" | "<" | "&" | "::" | "!" | "#" | "?" | "$", _) => false,
        (_, ")" | "]" | "," | ";" | ":" | "::" | ">" | "?" | "!") => false,
        ("where" | "for" | "as" | "in", _) => true,
        (_, "<" | "(" | "[") => !is_word(before) && before != ">",
        _ => true,
    }
}
