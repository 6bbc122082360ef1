//! What does a value mean for the setting that it is given to?
//!
//! A variable is a text. Whether `123456` is a number or a password is known to the type of the setting alone, so
//! this deserializer lets the type decide: a text stays as it is for a text, is parsed for a number, is split at
//! commas for a list, and is JSON for a map or a struct. What the file and the defaults say has its type already.
//!
//! Where serde looks at a value before it knows what it wants (untagged and tagged enums, flattened structs), a
//! text can mean two things. [`Reading::new`] is told which of these texts are to be read the second way.

#![expect(clippy::result_large_err, reason = "figment's error; the settings are read once, at the start")]

mod access;
mod node;
mod reading;
mod text;

use figment::error::Error;
use figment::value::Value;
use serde::de::DeserializeOwned;

use self::node::Node;
pub use self::reading::{Reading, Seen, Set};
use super::layers::Key;

/// Reads what stands under `key`.
///
/// # Errors
/// The first mistake, with its place.
pub fn read<T: DeserializeOwned>(reading: &Reading, key: Key, value: Value) -> Result<T, Error> {
    T::deserialize(Node::new(reading, key, value))
}
