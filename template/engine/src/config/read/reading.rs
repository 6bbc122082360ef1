//! What do we know about the settings while they are read?

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use figment::value::{Dict, Value};
use figment::{Figment, Metadata};

use crate::config::layers::{Key, is_text, layer};

/// One attempt to read all settings, and what was seen on the way.
#[derive(Debug)]
pub struct Reading<'a> {
    figment: &'a Figment,
    /// The texts with two meanings that are to be read the second way.
    second: &'a BTreeSet<Key>,
    seen: RefCell<Seen>,
}

/// A value as it was written.
#[derive(Clone, Debug)]
pub struct Set {
    /// The path of the file or the name of the variable.
    pub origin: String,
    /// None if the key is another name of the key that was written.
    pub value: Option<Value>,
    pub is_text: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Each value that was set, which means that it is not a default.
    pub set: BTreeMap<Key, Set>,
    /// The fields of each struct that was asked for, and the variants of each enum with content.
    pub names: BTreeSet<Key>,
    /// The keys that no type asked for.
    pub unknown: Vec<Key>,
    /// The key that was read last.
    pub last: Key,
    /// The texts that can mean two things.
    pub ambiguous: BTreeSet<Key>,
    /// The values that are secrets by their type.
    pub secrets: BTreeSet<Key>,
}

impl<'a> Reading<'a> {
    pub fn new(figment: &'a Figment, second: &'a BTreeSet<Key>) -> Self {
        Self { figment, second, seen: RefCell::default() }
    }

    pub fn seen(self) -> Seen {
        self.seen.into_inner()
    }

    /// Where a value was set. None for a default.
    fn origin(&self, value: &Value) -> Option<&Metadata> {
        self.figment.get_metadata(value.tag()).filter(|origin| layer(origin) > 0)
    }

    /// Notes a value as it was written. Returns whether the value is the text of a variable.
    pub fn note(&self, key: &Key, value: &Value) -> bool {
        let origin = self.origin(value);
        let is_text = origin.is_some_and(is_text) && value.as_str().is_some();
        if let (Some(origin), true) = (origin, value.as_dict().is_none_or(Dict::is_empty)) {
            let set = Set { origin: origin.name.to_string(), value: Some(value.clone()), is_text };
            self.seen.borrow_mut().set.insert(key.clone(), set);
        }
        is_text
    }

    /// Notes the names that a type asked for below `key`.
    pub fn note_names(&self, key: &[String], names: &[&str]) {
        let keys = names.iter().map(|name| [key, &[(*name).to_owned()]].concat());
        self.seen.borrow_mut().names.extend(keys);
    }

    pub fn note_last(&self, key: &Key) {
        self.seen.borrow_mut().last.clone_from(key);
    }

    pub fn note_secret(&self, key: Key) {
        self.seen.borrow_mut().secrets.insert(key);
    }

    pub fn note_unknown(&self, key: Key) {
        self.seen.borrow_mut().unknown.push(key);
    }

    /// Notes that the text of `key` can mean two things. Returns whether it is to be read the second way.
    pub fn is_second(&self, key: &Key) -> bool {
        self.seen.borrow_mut().ambiguous.insert(key.clone());
        self.second.contains(key)
    }

    /// The latest layer that `value` or a part of it comes from.
    pub fn layer(&self, value: &Value) -> u8 {
        match value {
            Value::Dict(_, dict) if !dict.is_empty() => {
                dict.values().map(|value| self.layer(value)).max().unwrap_or(0)
            }
            value => self.figment.get_metadata(value.tag()).map_or(0, layer),
        }
    }
}
