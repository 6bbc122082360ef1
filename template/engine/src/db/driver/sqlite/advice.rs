//! Why can the file not be used, and what can be done about it?

use super::super::super::trouble::Trouble;
use super::super::super::unusable::Unusable;
use crate::config::SecretUrl;

/// Why the file cannot be used. Another process that holds its lock will release the lock.
pub fn unusable(url: &SecretUrl, error: &sqlx::Error) -> Unusable {
    let unusable = Unusable::new(url, error, "Is it a SQLite database that this user can read and write?");
    if Trouble::of(error) == Trouble::Busy { unusable.passing() } else { unusable }
}

/// The file was not opened in time.
pub fn silent(url: &SecretUrl) -> Unusable {
    let advice = "Does another process hold its lock, and does its disk answer?";
    Unusable::new(url, &"the file is not opened in time", advice).passing()
}
