//! What is known so far of the body whose lines are being read?

use rustc_hash::FxHashMap;

use super::flow::Flow;
use super::text::split_type;
use crate::facts::{Body, Origin, Span, Str, Unit};
use crate::notation::place_of;

pub(super) struct Reader<'a> {
    pub unit: &'a mut Unit,
    pub strings: FxHashMap<String, Str>,
    pub body: Option<Open>,
}

/// The body whose lines are being read.
#[derive(Default)]
pub(super) struct Open {
    pub body: Body,
    pub locals: FxHashMap<u32, Str>,
    /// The types behind the hidden types of places. `None` means that a place may hold anything.
    pub origins: FxHashMap<String, Option<Vec<Origin>>>,
    /// What the comments under the last statement will complete.
    pub awaits: Awaits,
    /// Whether the block at hand only runs while a panic unwinds.
    pub cleanup: bool,
    /// What the blocks of an async body do with the places that it keeps.
    pub flow: Flow,
    pub block: u32,
}

#[derive(Default, PartialEq)]
pub(super) enum Awaits {
    #[default]
    Nothing,
    /// The span of the callee, then its type.
    Callee,
    /// The type of a constant that is cast, and the place that takes the result.
    CastOperand(Str, Option<String>),
    /// Where the definition of an async body or closure is.
    Definition,
}

impl Reader<'_> {
    pub(super) fn string(&mut self, text: &str) -> Str {
        if let Some(&index) = self.strings.get(text) {
            return index;
        }
        let index = self.unit.strings.len() as Str;
        self.unit.strings.push(text.to_owned());
        self.strings.insert(text.to_owned(), index);
        index
    }

    /// The type of `_3`, `(*_3)`, `(_1.0: T)`, `((*_3).1: T)`.
    pub(super) fn place_type(&mut self, place: &str, open: &Open) -> Option<Str> {
        if let Some(number) = place.strip_prefix('_') {
            return open.locals.get(&number.parse().ok()?).copied();
        }
        let inside = place.strip_prefix('(')?.strip_suffix(')')?;
        if let Some(pointer) = inside.strip_prefix('*') {
            let pointer = self.place_type(pointer, open)?;
            let pointed = self.unit.strings[pointer as usize].clone();
            let of = pointed.strip_prefix("&mut ").or_else(|| pointed.strip_prefix('&')).or_else(|| {
                pointed.strip_prefix("std::boxed::Box<").and_then(|rest| rest.strip_suffix('>'))
            })?;
            return Some(self.string(of));
        }
        let (_, ty) = split_type(inside)?;
        Some(self.string(ty))
    }

    /// Reads `src/a b.rs:1:2: 3:4`, which may be followed by ` (#0)`.
    pub(super) fn span(&mut self, text: &str) -> Option<Span> {
        // Some spans carry a syntax context.
        let context = text.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (#"));
        let text = match context {
            Some((before, number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => before,
            _ => text,
        };
        let (file, [line, column, end_line, end_column]) = place_of(text)?;
        Some(Span { file: self.string(file), line, column, end_line, end_column })
    }
}

/// Adds to what a place may hold. A place that may hold anything stays so.
pub(super) fn set_origin(place: Option<String>, origin: Option<Vec<Origin>>, open: &mut Open) {
    let Some(place) = place else { return };
    match (open.origins.entry(place).or_insert_with(|| Some(Vec::new())), origin) {
        (Some(known), Some(new)) => {
            for origin in new {
                if !known.contains(&origin) {
                    known.push(origin);
                }
            }
        }
        (known, None) => *known = None,
        (None, Some(_)) => {}
    }
}
