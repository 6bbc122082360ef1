//! What does a value mean for the setting that it is given to?
//!
//! A variable is a text. Whether `123456` is a number or a password is known to the type of the setting alone, so
//! this deserializer lets the type decide: a text stays as it is for a text, is parsed for a number, is split at
//! commas for a list, and is JSON for a map or a struct. What the file and the defaults say has its type already.
//!
//! Where serde looks at a value before it knows what it wants (untagged and tagged enums, flattened structs), a
//! text can mean two things. [`Reading::second`] names those texts that are to be read the second way.

#![expect(clippy::result_large_err, reason = "figment's error; the settings are read once, at the start")]

mod access;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use figment::Figment;
use figment::error::Error;
use figment::value::{Dict, Empty, Tag, Value};
use serde::de::{
    DeserializeOwned, Deserializer, Error as _, Expected, IntoDeserializer, Unexpected, Visitor,
};

use self::access::{Entries, Items, Variant};
use super::layers::{Key, is_variable, layer};
use super::secret;

type Result<T> = std::result::Result<T, Error>;

/// One attempt to read all settings, and what was seen on the way.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    figment: &'a Figment,
    /// The texts with two meanings that are to be read the second way.
    second: &'a BTreeSet<Key>,
    seen: RefCell<Seen>,
}

/// A value as it was written.
#[derive(Clone, Debug)]
pub(super) struct Set {
    /// A file's path or a variable's name.
    pub origin: String,
    /// None for a part of what was written.
    pub value: Option<Value>,
    pub is_text: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Each value that is no default.
    pub set: BTreeMap<Key, Set>,
    /// The fields of each struct that was asked for, and the variants of each enum with content.
    pub names: BTreeSet<Key>,
    /// What no type asked for.
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

    /// Reads what stands under `key`.
    pub fn read<T: DeserializeOwned>(&self, key: Key, value: Value) -> Result<T> {
        T::deserialize(self.node(key, value, false))
    }

    pub fn seen(self) -> Seen {
        self.seen.into_inner()
    }

    fn node(&self, key: Key, value: Value, parsed: bool) -> Node<'_> {
        let origin = self.figment.get_metadata(value.tag()).filter(|origin| layer(origin) > 0);
        let own = !parsed && value.as_dict().is_none_or(Dict::is_empty);
        let is_text = !parsed && origin.is_some_and(is_variable) && value.as_str().is_some();
        if let (Some(origin), true) = (origin, own) {
            let set = Set { origin: origin.name.to_string(), value: Some(value.clone()), is_text };
            self.seen.borrow_mut().set.insert(key.clone(), set);
        }
        Node { reading: self, key, value, is_text, parsed }
    }

    /// The latest layer that says something about `value`.
    fn layer(&self, value: &Value) -> u8 {
        match value {
            Value::Dict(_, dict) if !dict.is_empty() => {
                dict.values().map(|value| self.layer(value)).max().unwrap_or(0)
            }
            value => self.figment.get_metadata(value.tag()).map_or(0, layer),
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
struct Node<'a> {
    reading: &'a Reading<'a>,
    key: Key,
    value: Value,
    /// Whether it is a variable's text, to be read as its type wants.
    is_text: bool,
    /// Whether it was part of a text, and has its type from there; or is the name of a key.
    parsed: bool,
}

impl<'a> Node<'a> {
    fn text(&self) -> Option<&str> {
        self.value.as_str().filter(|_| self.is_text)
    }

    fn child(&self, name: String, value: Value) -> Self {
        let key = [&self.key[..], &[name]].concat();
        self.reading.node(key, value, self.parsed)
    }

    /// Where no deeper place is known, a mistake is here.
    fn locate<T>(key: &[String], result: Result<T>) -> Result<T> {
        result.map_err(|mut error| {
            if error.path.is_empty() {
                error.path = key.to_vec();
            }
            error
        })
    }

    /// Whether this text is to be read the second way.
    fn is_second(&self) -> bool {
        self.reading.seen.borrow_mut().ambiguous.insert(self.key.clone());
        self.reading.second.contains(&self.key)
    }

    /// The value as its own type says.
    fn typed<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let key = self.key.clone();
        let read = match self.value.clone() {
            Value::Dict(_, dict) => {
                let mut entries: Vec<_> = dict.into_iter().collect();
                // The defaults first: where a field has two names, the one that was set is the second.
                entries.sort_by_key(|(_, value)| self.reading.layer(value));
                visitor.visit_map(Entries::new(self, entries))
            }
            Value::Array(_, items) => {
                let mut items = Items::new(self, items);
                match visitor.visit_seq(&mut items) {
                    // A tuple takes as many as it needs.
                    Ok(_) if items.has_more() => Err(Error::invalid_length(items.count(), &"fewer")),
                    read => read,
                }
            }
            value => (&value).deserialize_any(visitor),
        };
        Self::locate(&key, read)
    }

    /// A text as JSON.
    fn json(self, expected: &dyn Expected) -> Result<Self> {
        let Some(text) = self.text() else { return Ok(self) };
        let tag = self.value.tag();
        let value = serde_json::from_str(text).map_err(|error| {
            let problem = match text.trim_start().starts_with(['{', '[']) {
                true => format!("is not valid JSON, at character {}", error.column()),
                false => format!("JSON is expected, for {expected}"),
            };
            let mut error: Error = Error::custom(problem);
            error.path.clone_from(&self.key);
            error
        })?;
        Ok(Self { value: tagged(value, tag), is_text: false, parsed: true, ..self })
    }

    /// A text as a list.
    fn list(self, expected: &dyn Expected) -> Result<Self> {
        let Some(text) = self.text().map(str::trim) else { return Ok(self) };
        // Addresses like [::1]:80 begin with a bracket, too.
        let inside = text.strip_prefix('[').map(str::trim_start);
        let must_be_json = inside.is_some_and(|inside| inside.starts_with(['"', '{', '[']));
        if must_be_json || inside.is_some_and(|_| serde_json::from_str::<Vec<Value>>(text).is_ok()) {
            return self.json(expected);
        }
        let tag = self.value.tag();
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let items = items.map(|item| Value::String(tag, item.to_owned())).collect();
        Ok(Self { value: Value::Array(tag, items), is_text: false, ..self })
    }

    /// The value of a setting that wants a number, a truth or the like.
    fn parsed<'de, V, T>(self, visitor: V, visit: impl FnOnce(V, T) -> Result<V::Value>) -> Result<V::Value>
    where
        V: Visitor<'de>,
        T: std::str::FromStr,
    {
        match self.text().map(|text| text.trim().parse()) {
            Some(Ok(value)) => Self::locate(&self.key, visit(visitor, value)),
            _ => self.typed(visitor),
        }
    }

    fn remember(&self, names: &[&str]) {
        let keys = names.iter().map(|name| [&self.key[..], &[(*name).to_owned()]].concat());
        self.reading.seen.borrow_mut().names.extend(keys);
    }
}

/// A value that was parsed from a text belongs to where the text was set.
fn tagged(value: Value, tag: Tag) -> Value {
    match value {
        Value::String(_, text) => Value::String(tag, text),
        Value::Char(_, char) => Value::Char(tag, char),
        Value::Bool(_, bool) => Value::Bool(tag, bool),
        Value::Num(_, num) => Value::Num(tag, num),
        Value::Empty(_, empty) => Value::Empty(tag, empty),
        Value::Dict(_, dict) => {
            Value::Dict(tag, dict.into_iter().map(|(name, value)| (name, tagged(value, tag))).collect())
        }
        Value::Array(_, items) => {
            Value::Array(tag, items.into_iter().map(|value| tagged(value, tag)).collect())
        }
    }
}

macro_rules! parse {
    ($($method:ident: $as:ty => $visit:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.parsed::<V, $as>(visitor, V::$visit)
        }
    )*};
}

macro_rules! text {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            // An empty path would be the working directory.
            if self.value.as_str() == Some("") && (&visitor as &dyn Expected).to_string() == "path string" {
                return Self::locate(&self.key, Err(Error::custom("is empty, expected a path")));
            }
            self.typed(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Error;

    /// serde does not know yet what it wants: a number, a truth or JSON is taken for what it looks like first.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let text = self.text().filter(|_| !self.parsed);
        let parsed = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
        match parsed.filter(|value| value.as_str().is_none()) {
            // The other way round: a text is sooner meant than nothing.
            Some(Value::Empty(..)) if !self.is_second() => self.typed(visitor),
            Some(Value::Empty(..)) => visitor.visit_none(),
            Some(_) if !self.is_second() => self.json(&visitor)?.typed(visitor),
            _ => self.typed(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.parsed(visitor, V::visit_bool)
    }

    parse! {
        deserialize_u8: u64 => visit_u64,
        deserialize_u16: u64 => visit_u64,
        deserialize_u32: u64 => visit_u64,
        deserialize_u64: u64 => visit_u64,
        deserialize_u128: u128 => visit_u128,
        deserialize_i8: i64 => visit_i64,
        deserialize_i16: i64 => visit_i64,
        deserialize_i32: i64 => visit_i64,
        deserialize_i64: i64 => visit_i64,
        deserialize_i128: i128 => visit_i128,
        deserialize_f32: f64 => visit_f64,
        deserialize_f64: f64 => visit_f64,
    }

    text! { deserialize_str deserialize_string deserialize_char deserialize_identifier }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.typed(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.typed(visitor)
    }

    /// `null` is none, where it is no text.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let key = self.key.clone();
        let read = match &self.value {
            Value::Empty(..) => visitor.visit_none(),
            _ if self.text() == Some("null") && !self.parsed && self.is_second() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        };
        Self::locate(&key, read)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.text() {
            Some("" | "null") => visitor.visit_unit(),
            _ if matches!(self.value, Value::Empty(_, Empty::None)) => visitor.visit_unit(),
            _ => self.typed(visitor),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        let key = self.key.clone();
        if name == secret::NAME {
            self.reading.seen.borrow_mut().secrets.insert(key);
            return self.typed(visitor); // a text, whatever it looks like
        }
        Self::locate(&key, visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.list(&visitor)?.typed(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value>
    where
        V: Visitor<'de>,
    {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.json(&visitor)?.typed(visitor)
    }

    fn deserialize_struct<V>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value>
    where
        V: Visitor<'de>,
    {
        self.remember(fields);
        self.json(&visitor)?.typed(visitor)
    }

    fn deserialize_enum<V>(
        mut self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value>
    where
        V: Visitor<'de>,
    {
        if self.text().is_some_and(|text| text.trim_start().starts_with('{')) {
            self = self.json(&visitor)?;
        }
        let key = self.key.clone();
        let read = match self.value.clone() {
            Value::String(_, name) => visitor.visit_enum(name.into_deserializer()),
            Value::Dict(_, dict) => {
                self.remember(variants);
                // A variant of the default gives way to the one that was set.
                let latest = dict.values().map(|value| self.reading.layer(value)).max();
                let is_latest = |value: &Value| Some(self.reading.layer(value)) == latest;
                let dict: Dict = dict.into_iter().filter(|(_, value)| is_latest(value)).collect();
                let mut rest = dict.into_iter();
                match (rest.next(), rest.next()) {
                    (Some((name, value)), None) => {
                        visitor.visit_enum(Variant(name.clone(), self.child(name, value)))
                    }
                    _ => Err(Error::invalid_value(Unexpected::Map, &"one variant")),
                }
            }
            _ => return self.typed(visitor),
        };
        Self::locate(&key, read)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        // A default that is written and not read is no mistake of the operator's.
        if self.parsed || self.reading.layer(&self.value) > 0 {
            self.reading.seen.borrow_mut().unknown.push(self.key);
        }
        visitor.visit_unit()
    }
}
