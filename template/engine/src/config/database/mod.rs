//! What is the database allowed to cost? The limits of the one that this build has.

use std::fmt;

use serde::Serialize;

use super::layers::to_value;
use super::secrets::redacted;

#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
pub use self::postgres::DatabaseConfig;
#[cfg(feature = "sqlite")]
pub use self::sqlite::DatabaseConfig;

/// For `Debug` of settings: what `check` would show.
///
/// # Errors
/// Those of `f`.
fn debug(name: &str, settings: &impl Serialize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let shown = redacted(&[], &to_value(settings));
    let mut debug = f.debug_struct(name);
    for (name, value) in shown.into_dict().unwrap_or_default() {
        debug.field(&name, &toml::Value::try_from(&value).unwrap_or(toml::Value::Boolean(false)));
    }
    debug.finish()
}
