//! How does the type of a setting decide how its value is read?

use figment::error::Error;
use figment::value::{Dict, Empty, Value};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, Unexpected,
    VariantAccess, Visitor,
};

use super::access::{Entries, Items, Place, Result, Variant};
use super::reading::Reading;
use super::text;
use crate::config::layers::Key;
use crate::config::secret;

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    reading: &'a Reading<'a>,
    key: Key,
    value: Value,
    /// Whether the value is the text of a variable, which is to be read as the type of the setting wants.
    is_text: bool,
    /// Whether the value was parsed from a text and has its type from there, or is the name of a key.
    parsed: bool,
}

impl Place for Node<'_> {
    fn key(&self) -> &[String] {
        &self.key
    }
}

impl<'a> Node<'a> {
    pub fn new(reading: &'a Reading<'a>, key: Key, value: Value) -> Self {
        let is_text = reading.note(&key, &value);
        Self { reading, key, value, is_text, parsed: false }
    }

    fn text(&self) -> Option<&str> {
        self.value.as_str().filter(|_| self.is_text)
    }

    fn child(&self, name: String, value: Value) -> Self {
        let key = [&self.key[..], &[name]].concat();
        match self.parsed {
            true => Self { reading: self.reading, key, value, is_text: false, parsed: true },
            false => Self::new(self.reading, key, value),
        }
    }

    /// An entry of a table: its name, which is read as a text, and its value.
    fn entry(&self, (name, value): (String, Value)) -> (Self, Self) {
        let value = self.child(name.clone(), value);
        self.reading.note_last(&value.key);
        (Self { value: name.into(), is_text: true, parsed: true, ..value.clone() }, value)
    }

    /// Whether this text is to be read the second way.
    fn is_second(&self) -> bool {
        self.reading.is_second(&self.key)
    }

    fn fails<T>(self, problem: String) -> Result<T> {
        self.locate(|_| Err(Error::custom(problem)))
    }

    /// Reads the value by the type that it has already.
    fn typed<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.locate(|node| match node.value.clone() {
            Value::Dict(_, dict) => {
                let mut entries: Vec<_> = dict.into_iter().collect();
                // The defaults come first. So if a field has two names, serde refuses the name that was set, and
                // `settle` removes the default.
                entries.sort_by_key(|(_, value)| node.reading.layer(value));
                visitor.visit_map(Entries::new(entries.into_iter().map(|entry| node.entry(entry))))
            }
            Value::Array(_, items) => {
                let items = items.into_iter().enumerate();
                let mut items = Items::new(items.map(|(index, item)| node.child(index.to_string(), item)));
                match visitor.visit_seq(&mut items) {
                    // A tuple takes only as many items as it needs, and does not report the rest.
                    Ok(_) if items.has_more() => Err(Error::invalid_length(items.count(), &"fewer")),
                    read => read,
                }
            }
            value => (&value).deserialize_any(visitor),
        })
    }

    /// Parses the value as JSON if it is a text.
    fn json(self, expected: &dyn Expected) -> Result<Self> {
        match self.text().map(|text| text::json(text, self.value.tag(), expected)) {
            None => Ok(self),
            Some(Ok(value)) => Ok(Self { value, is_text: false, parsed: true, ..self }),
            Some(Err(problem)) => self.fails(problem),
        }
    }

    /// Splits the value into a list if it is a text.
    fn list(self, expected: &dyn Expected) -> Result<Self> {
        let Some(text) = self.text() else { return Ok(self) };
        let Some(items) = text::items(text) else { return self.json(expected) };
        let tag = self.value.tag();
        let items = items.map(|item| Value::String(tag, item.to_owned())).collect();
        Ok(Self { value: Value::Array(tag, items), is_text: false, ..self })
    }

    /// Reads the value of a setting whose type is a number, true or false, or the like.
    fn parsed<'de, V, T>(self, visitor: V, visit: impl FnOnce(V, T) -> Result<V::Value>) -> Result<V::Value>
    where
        V: Visitor<'de>,
        T: std::str::FromStr,
    {
        match self.text().map(|text| text.trim().parse()) {
            Some(Ok(value)) => self.locate(|_| visit(visitor, value)),
            _ => self.typed(visitor),
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
            // An empty path would mean the working directory.
            if self.value.as_str() == Some("") && (&visitor as &dyn Expected).to_string() == "path string" {
                return self.fails("is empty, expected a path".to_owned());
            }
            self.typed(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Error;

    /// serde does not know the type yet. So a text that looks like a number, like true or false, or like JSON is first
    /// read as that, and only the second time as a text.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let text = self.text().filter(|_| !self.parsed);
        let parsed = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
        match parsed.filter(|value| value.as_str().is_none()) {
            // `null` is first read as a text, because a text is more likely than no value.
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

    /// The text `null` means no value if it cannot be read as a text.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.locate(|node| match &node.value {
            Value::Empty(..) => visitor.visit_none(),
            _ if node.text() == Some("null") && !node.parsed && node.is_second() => visitor.visit_none(),
            _ => visitor.visit_some(node),
        })
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
        if name == secret::NAME {
            self.reading.note_secret(self.key.clone());
            return self.typed(visitor); // a secret is a text, whatever it looks like
        }
        self.locate(|node| visitor.visit_newtype_struct(node))
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
        self.reading.note_names(&self.key, fields);
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
        self.locate(|node| match node.value.clone() {
            Value::String(_, name) => visitor.visit_enum(name.into_deserializer()),
            Value::Dict(_, dict) => {
                node.reading.note_names(&node.key, variants);
                // If another variant was set, the variant of the default is removed.
                let latest = dict.values().map(|value| node.reading.layer(value)).max();
                let is_latest = |value: &Value| Some(node.reading.layer(value)) == latest;
                let dict: Dict = dict.into_iter().filter(|(_, value)| is_latest(value)).collect();
                let mut rest = dict.into_iter();
                match (rest.next(), rest.next()) {
                    (Some((name, value)), None) => {
                        visitor.visit_enum(Variant(name.clone(), node.child(name, value)))
                    }
                    _ => Err(Error::invalid_value(Unexpected::Map, &"one variant")),
                }
            }
            _ => node.typed(visitor),
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        // If a type writes a default that it does not read, this is not a mistake of the operator.
        if self.parsed || self.reading.layer(&self.value) > 0 {
            self.reading.note_unknown(self.key);
        }
        visitor.visit_unit()
    }
}

impl<'de> VariantAccess<'de> for Node<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        <()>::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        self.locate(|node| seed.deserialize(node))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value>
    where
        V: Visitor<'de>,
    {
        self.deserialize_struct("", fields, visitor)
    }
}
