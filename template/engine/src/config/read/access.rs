//! How does serde walk through tables, lists and enums?
//!
//! Each of them hands out its parts one after another. A part is a deserializer that knows its key.

use figment::error::Error;
use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess,
};

/// The result of reading a value.
pub type Result<T> = std::result::Result<T, Error>;

/// A value that knows the key of its setting.
pub trait Place {
    fn key(&self) -> &[String];

    /// Reads the value. If the error does not have a key yet, it gets the key of this value.
    fn locate<T>(self, read: impl FnOnce(Self) -> Result<T>) -> Result<T>
    where
        Self: Sized,
    {
        let key = self.key().to_vec();
        read(self).map_err(|mut error| {
            if error.path.is_empty() {
                error.path = key;
            }
            error
        })
    }
}

/// The entries of a table: names and values.
pub struct Entries<I, N> {
    rest: I,
    next: Option<N>,
}

impl<I, N> Entries<I, N> {
    pub fn new(rest: I) -> Self {
        Self { rest, next: None }
    }
}

impl<'de, I, N> MapAccess<'de> for Entries<I, N>
where
    I: Iterator<Item = (N, N)>,
    N: Deserializer<'de, Error = Error> + Place,
{
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        self.next = Some(value);
        name.locate(|name| seed.deserialize(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let value = self.next.take().ok_or_else(|| Error::custom("a value without a key"))?;
        value.locate(|value| seed.deserialize(value))
    }
}

/// The items of a list.
pub struct Items<I> {
    rest: I,
    taken: usize,
}

impl<I: ExactSizeIterator> Items<I> {
    pub fn new(rest: I) -> Self {
        Self { rest, taken: 0 }
    }

    pub fn has_more(&self) -> bool {
        self.rest.len() > 0
    }

    pub fn count(&self) -> usize {
        self.taken + self.rest.len()
    }
}

impl<'de, I> SeqAccess<'de> for Items<I>
where
    I: Iterator,
    I::Item: Deserializer<'de, Error = Error> + Place,
{
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(item) = self.rest.next() else { return Ok(None) };
        self.taken += 1;
        item.locate(|item| seed.deserialize(item)).map(Some)
    }
}

/// The single entry of an enum's table: the variant and its content.
pub struct Variant<N>(pub String, pub N);

impl<'de, N: VariantAccess<'de, Error = Error>> EnumAccess<'de> for Variant<N> {
    type Error = Error;
    type Variant = N;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, N)> {
        let name: StringDeserializer<Error> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self.1))
    }
}
