//! What can an error of the database mean to a request?

/// What an error of the database means to a request, for example whether to try again.
///
/// Most handlers do not need this type: `?` turns the error into a [`Problem`](crate::Problem), whose status is chosen
/// by the kind of trouble. Use this type where your code reacts to the error itself, for example to repeat a
/// transaction that the database gave up for the sake of another one:
///
/// ```
/// use longpole::{Db, Trouble, sqlx};
///
/// async fn move_all(db: &Db, from: i64, to: i64) -> Result<(), sqlx::Error> {
///     match attempt(db, from, to).await {
///         Err(error) if Trouble::of(&error) == Trouble::Conflict => attempt(db, from, to).await,
///         outcome => outcome,
///     }
/// }
///
/// async fn attempt(db: &Db, from: i64, to: i64) -> Result<(), sqlx::Error> {
///     let mut transaction = db.write.begin().await?;
///     sqlx::query("UPDATE books SET shelf = $1 WHERE shelf = $2").bind(to).bind(from).execute(&mut *transaction).await?;
///     transaction.commit().await
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The statement cannot be done, and the database is well. For example, the statement breaks a unique index, or a
    /// table does not exist. To repeat the statement does not help. The [`Problem`](crate::Problem) is 404, 409 or 500.
    ///
    /// Errors that do not come from the database are `Refused`, too: [`RowNotFound`](sqlx::Error::RowNotFound),
    /// [`PoolTimedOut`](sqlx::Error::PoolTimedOut) and [`PoolClosed`](sqlx::Error::PoolClosed). If your code has to tell
    /// them apart, match them before you ask for the trouble.
    Refused,
    /// Another request did the same, or holds what this request needs: a deadlock, or a transaction that cannot be
    /// serialized. Nothing was done. The whole transaction may work the next time. The same holds for a statement that a
    /// migration has made out of date while the service ran. The [`Problem`](crate::Problem) is 503. SQLite has no such
    /// errors.
    Conflict,
    /// Somebody else holds the lock for longer than `database.lock_timeout`, or the server has no place, memory or disk
    /// left. To repeat the statement at once makes it worse. The [`Problem`](crate::Problem) is 503.
    Busy,
    /// The statement took longer than `database.statement_timeout`. With PostgreSQL, also a transaction that waited for
    /// its next statement for longer than `database.idle_in_transaction_timeout`. The [`Problem`](crate::Problem) is 504.
    Slow,
    /// The database cannot be reached, refuses the login, or cannot use its files. Whether a statement that was under
    /// way was done is unknown. The [`Problem`](crate::Problem) is 503.
    Away,
}
