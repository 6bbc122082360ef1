//! Why does the schema not fit this program, and what can be done about it?

use crate::config::SecretUrl;
use std::borrow::Cow;

use super::driver;
use super::flaws::Flaws;
use super::trouble::Trouble;
use super::unusable::Unusable;

/// sqlx's own table, so that its command line tool and older programs see the same steps.
pub(super) const TABLE: &str = "_sqlx_migrations";

/// Why the schema cannot be brought to fit.
#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaFault {
    /// The database has a step that the program does not know.
    #[error("it has migration {0}, which this program does not know")]
    Newer(i64),
    /// A step's text is no longer the one that was applied.
    #[error("migration {0} was edited after it was applied")]
    Edited(i64),
    /// A step is pending, but this process must not apply it.
    #[error("migration {0} is pending and database.migrate_on_start is off")]
    Pending(i64),
    /// A step is pending, but a pooler changes servers under the session.
    #[error("migration {0} is pending, and needs a session that lasts")]
    NeedsSession(i64),
    /// A step outside a transaction has begun once, and did not end well.
    #[error("migration {version} runs outside a transaction, and is half done. {what}It is not repeated")]
    HalfDone {
        version: i64,
        /// Sentences, or an empty text.
        what: String,
    },
    /// A step did not run; nothing of it is left.
    #[error("migration {version} ({name}) fails, and nothing of it was kept: {error}")]
    Failed { version: i64, name: String, error: sqlx::Error },
    /// A step ran, and what it left behind cannot stay; nothing of it is left.
    #[error("migration {version} ({name}) is refused, and nothing of it was kept: {flaws}")]
    Flawed { version: i64, name: String, flaws: Flaws },
    /// Another replica went on applying its steps.
    #[error("another replica applies migrations")]
    Locked,
    /// There was no answer to the question which steps are applied.
    #[error("no answer")]
    Silent,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl SchemaFault {
    /// Makes the error for the operator, which also names the database and gives advice.
    pub fn explain(self, url: &SecretUrl) -> Unusable {
        match &self {
            Self::Silent => driver::silent(url),
            Self::Locked => Unusable::new(url, &self, &self.advice()).passing(),
            Self::Database(error) if may_pass(error) => driver::unusable(url, error),
            Self::Failed { version, name, error } if may_pass(error) => {
                driver::unusable(url, error).during(&format!("migration {version} ({name})"))
            }
            _ => Unusable::new(url, &self, &self.advice()),
        }
    }

    fn advice(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Newer(_) => {
                "The database is newer: deploy the program that brought it there, or a later one"
            }
            Self::Edited(_) => "Restore the file in `migrations` and write a new migration instead",
            Self::Pending(_) => "Run the `migrate` command of this program first",
            Self::NeedsSession(_) => {
                "Run the `migrate` command with a database.url that goes to the server itself"
            }
            Self::HalfDone { version, .. } => {
                return Cow::Owned(format!(
                    "Look at what it has left and put that right; then `DELETE FROM {TABLE} WHERE version = \
                     {version}` lets the next start run it again, and `UPDATE {TABLE} SET success = TRUE WHERE \
                     version = {version}` takes it as done"
                ));
            }
            Self::Flawed { .. } => driver::CURE_OF_FLAWS,
            Self::Locked => "Its log says how far it is. Wait for it, and start again",
            Self::Failed { .. } | Self::Silent | Self::Database(_) => "Is it a database of this service?",
        })
    }
}

/// Whether the same attempt may work a little later.
fn may_pass(error: &sqlx::Error) -> bool {
    matches!(Trouble::of(error), Trouble::Busy | Trouble::Away | Trouble::Conflict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_the_migration_and_says_what_to_do() {
        let edited = SchemaFault::Edited(7).explain(&"sqlite:a.db".into());
        assert!(!edited.is_passing());
        assert_eq!(
            edited.to_string(),
            "database.url sqlite:a.db: migration 7 was edited after it was applied. \
             Restore the file in `migrations` and write a new migration instead"
        );
        let what = "it ran to its end, but its note is gone. ".to_owned();
        let half_done = SchemaFault::HalfDone { version: 7, what }.explain(&"sqlite:a.db".into()).to_string();
        assert!(
            half_done.contains("half done. it ran to its end, but its note is gone. It is not repeated. ")
        );
        assert!(half_done.contains("`DELETE FROM _sqlx_migrations WHERE version = 7`"), "{half_done}");
    }

    #[test]
    fn what_may_pass_is_told_as_the_driver_tells_it() {
        let failed = |error| SchemaFault::Failed { version: 1, name: "items".to_owned(), error };
        let away = failed(sqlx::Error::WorkerCrashed).explain(&"sqlite:a.db".into());
        assert_eq!(away.is_passing(), driver::unusable(&"".into(), &sqlx::Error::WorkerCrashed).is_passing());
        assert!(away.to_string().starts_with("migration 1 (items): database.url sqlite:a.db: "), "{away}");
        let refused = failed(sqlx::Error::RowNotFound).explain(&"sqlite:a.db".into());
        assert!(!refused.is_passing());
        assert!(refused.to_string().contains("fails, and nothing of it was kept: "), "{refused}");
        assert!(SchemaFault::Locked.explain(&"sqlite:a.db".into()).is_passing());
        assert!(SchemaFault::Silent.explain(&"sqlite:a.db".into()).is_passing());
    }
}
