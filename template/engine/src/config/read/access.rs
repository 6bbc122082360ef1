//! The tables, lists and enums of a [`Node`], as serde walks through them.

use std::vec;

use figment::error::Error;
use figment::value::Value;
use serde::de::value::StringDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use super::{Node, Result};

pub(super) struct Entries<'a> {
    node: Node<'a>,
    rest: vec::IntoIter<(String, Value)>,
    next: Option<Node<'a>>,
}

impl<'a> Entries<'a> {
    pub fn new(node: Node<'a>, entries: Vec<(String, Value)>) -> Self {
        Self { node, rest: entries.into_iter(), next: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        let node = self.node.child(name.clone(), value);
        self.node.reading.seen.borrow_mut().last = node.key.clone();
        let name = Node { value: name.into(), is_text: true, parsed: true, ..node.clone() };
        self.next = Some(node);
        let key = name.key.clone();
        Node::locate(&key, seed.deserialize(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let node = self.next.take().ok_or_else(|| Error::custom("a value without a key"))?;
        let key = node.key.clone();
        Node::locate(&key, seed.deserialize(node))
    }
}

pub(super) struct Items<'a> {
    node: Node<'a>,
    rest: vec::IntoIter<Value>,
    index: usize,
}

impl<'a> Items<'a> {
    pub fn new(node: Node<'a>, items: Vec<Value>) -> Self {
        Self { node, rest: items.into_iter(), index: 0 }
    }

    pub fn has_more(&self) -> bool {
        self.rest.len() > 0
    }

    pub fn count(&self) -> usize {
        self.index + self.rest.len()
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(value) = self.rest.next() else { return Ok(None) };
        let node = self.node.child(self.index.to_string(), value);
        self.index += 1;
        let key = node.key.clone();
        Node::locate(&key, seed.deserialize(node)).map(Some)
    }
}

/// The one entry of an enum's table: the variant and its content.
pub(super) struct Variant<'a>(pub String, pub Node<'a>);

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Error;
    type Variant = Node<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Node<'a>)> {
        let name: StringDeserializer<Error> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self.1))
    }
}

impl<'de> VariantAccess<'de> for Node<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        <()>::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        let key = self.key.clone();
        Self::locate(&key, seed.deserialize(self))
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
