//! What does a value mean for the setting that it is given to?
//!
//! A variable is a text. Only the type of the setting knows whether `123456` is a number or a password. So this
//! deserializer lets the type decide how the text is read: a text is taken as it is, a number is parsed, a list is split
//! at commas, and a map or a struct is JSON. Values of the file and of the defaults have their types already.
//!
//! In some cases serde looks at a value before it knows the type: with untagged and tagged enums, and with flattened
//! structs. Then a text can mean two things. [`Reading::new`] is told which of these texts are to be read the second way.

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

/// Reads the value of `key`.
///
/// # Errors
/// The first mistake, and the key where it is.
pub fn read<T: DeserializeOwned>(reading: &Reading, key: Key, value: Value) -> Result<T, Error> {
    T::deserialize(Node::new(reading, key, value))
}
