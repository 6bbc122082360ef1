//! Which of the values that an async body has places for are alive when it is suspended?
//!
//! The compiler keeps a place for a guard across an `.await` even when the guard was dropped before, since
//! the place is about storage only. Here the blocks of the body are followed from its start, and through each
//! suspension to the block that resumes it, together with the places that may hold a value.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::text::kept_place;
use crate::facts::{Body, Kept, Unit};

/// A place in the state of an async body: state and field.
type Place = (u32, u32);

#[derive(Default)]
pub struct Flow {
    blocks: BTreeMap<u32, Vec<Event>>,
    /// Whether the body is async. It is computed when it is first needed.
    is_async: Option<bool>,
    /// The block at which the body is resumed, by state.
    resumes: FxHashMap<u32, u32>,
}

enum Event {
    /// The place gets this value, which is an index into the body's [`Kept`] values.
    Fill(Place, usize),
    Empty(Place),
    Suspend(u32),
    Next(Vec<u32>),
}

impl Flow {
    pub fn is_async(&mut self, body: &Body, unit: &Unit) -> bool {
        *self.is_async.get_or_insert_with(|| {
            body.signature
                .iter()
                .any(|&ty| unit.text(ty).contains("{async ") || unit.text(ty).contains("{coroutine@"))
        })
    }

    /// Notes which places a line of code empties, and to which blocks it leads.
    pub fn note(&mut self, block: u32, code: &str) {
        let events = self.blocks.entry(block).or_default();
        for taken in ["move (((*_", "drop((((*_"] {
            for (at, _) in code.match_indices(taken) {
                let start = at + 5;
                let Some(length) = code[start..].find(": ") else { continue };
                // The type does not matter here.
                if let Some((state, field, _)) = kept_place(&format!("{}: )", &code[start..start + length])) {
                    events.push(Event::Empty((state, field)));
                }
            }
        }
        if let Some(value) = code.strip_prefix("switchInt(") {
            let Some((_, targets)) = value.split_once(") -> [") else { return };
            let pairs = targets.trim_end_matches(']').split(", ").filter_map(|pair| pair.split_once(": "));
            let pairs: Vec<(Option<u32>, u32)> = pairs
                .filter_map(|(value, target)| Some((value.parse().ok(), block_number(target)?)))
                .collect();
            // The first switch is about the state: it starts the body or resumes it.
            if block == 0 && self.resumes.is_empty() {
                self.resumes =
                    pairs.iter().filter_map(|(value, target)| Some(((*value)?, *target))).collect();
                let start = self.resumes.get(&0).copied().into_iter().collect();
                events.push(Event::Next(start));
            } else {
                events.push(Event::Next(pairs.into_iter().map(|(_, target)| target).collect()));
            }
        } else if let Some((_, targets)) = code.rsplit_once(" -> ") {
            let targets = targets.trim_start_matches('[').trim_end_matches(']').split(", ");
            let next = targets.filter_map(|target| match target.split_once(": ") {
                Some(("unwind", _)) => None,
                Some((_, target)) => block_number(target),
                None => block_number(target),
            });
            events.push(Event::Next(next.collect()));
        }
    }

    pub fn fill(&mut self, block: u32, place: Place, value: usize) {
        let events = self.blocks.entry(block).or_default();
        // A call fills the place when it returns, which is before the next block.
        let at = match events.last() {
            Some(Event::Next(_)) => events.len() - 1,
            _ => events.len(),
        };
        events.insert(at, Event::Fill(place, value));
    }

    pub fn suspend(&mut self, block: u32, state: u32) {
        self.blocks.entry(block).or_default().push(Event::Suspend(state));
    }

    /// Keeps only the values that may be alive at a suspension, each with its first suspension.
    pub fn settle(&self, kept: &mut Vec<Kept>) {
        if kept.is_empty() {
            return;
        }
        let mut alive: FxHashMap<u32, FxHashSet<(Place, usize)>> = FxHashMap::default();
        let mut suspended: FxHashMap<usize, u32> = FxHashMap::default();
        let mut queue = vec![0u32];
        while let Some(block) = queue.pop() {
            let mut values = alive.get(&block).cloned().unwrap_or_default();
            let mut next = Vec::new();
            for event in self.blocks.get(&block).into_iter().flatten() {
                match event {
                    Event::Fill(place, value) => {
                        values.retain(|(other, _)| other != place);
                        values.insert((*place, *value));
                    }
                    Event::Empty(place) => values.retain(|(other, _)| other != place),
                    Event::Suspend(state) => {
                        for (_, value) in &values {
                            let first = suspended.entry(*value).or_insert(*state);
                            *first = (*first).min(*state);
                        }
                        next.extend(self.resumes.get(state));
                    }
                    Event::Next(blocks) => next.extend(blocks),
                }
            }
            for block in next {
                let before = alive.get(&block);
                if before.is_none_or(|before| !values.is_subset(before)) {
                    alive.entry(block).or_default().extend(&values);
                    queue.push(block);
                }
            }
        }
        let mut number = 0..;
        kept.retain_mut(|kept| {
            let state = number.next().and_then(|value: usize| suspended.get(&value));
            kept.state = state.copied().unwrap_or(kept.state);
            state.is_some()
        });
    }
}

fn block_number(text: &str) -> Option<u32> {
    text.strip_prefix("bb")?.parse().ok()
}
