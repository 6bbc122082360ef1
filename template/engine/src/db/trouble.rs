//! What can an error of the database mean to a request?

/// What an error of the database means to a request, for example whether to try again.
///
/// ```
/// use longpole::{Trouble, sqlx};
///
/// let error = sqlx::Error::RowNotFound;
///
/// assert_eq!(Trouble::of(&error), Trouble::Refused);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The statement cannot be done. The database is well.
    Refused,
    /// Another request did the same, or holds what this request needs. The statement may work the next time.
    Conflict,
    /// Another client holds the lock, or the last place on the server, for longer than we wait.
    Busy,
    /// The statement took longer than `database.statement_timeout`.
    Slow,
    /// The database cannot be reached, or cannot use its files.
    Away,
}
