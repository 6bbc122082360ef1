//! Why can the database not be used, and what can be done about it?

use std::fmt;

use crate::config::SecretUrl;

/// Why the database cannot be used, and what to do.
///
/// The error has no `source`, because its text names the cause between the URL and the advice. A log that joins an error
/// with its sources would tell the cause a second time.
#[derive(Debug)]
pub struct Unusable {
    text: String,
    /// Whether the database may be usable soon, so that waiting makes sense.
    passing: bool,
}

impl Unusable {
    pub(super) fn new(url: &SecretUrl, cause: &dyn fmt::Display, advice: &str) -> Self {
        let text = format!("database.url {url}: {cause}. {advice}");
        Self { text, passing: false }
    }

    /// The same error, for a cause that may be gone soon.
    pub(super) fn passing(self) -> Self {
        Self { passing: true, ..self }
    }

    pub(super) fn is_passing(&self) -> bool {
        self.passing
    }

    /// The same error, with what was done when it happened.
    pub(super) fn during(self, what: &str) -> Self {
        Self { text: format!("{what}: {self}"), ..self }
    }

    /// The same error, after the service has waited in vain for the database.
    pub(super) fn after(self, waited: &str) -> Self {
        Self { text: format!("{self} ({waited})"), ..self }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Unusable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_the_url_without_its_password_then_the_cause_and_the_advice() {
        let unusable =
            Unusable::new(&"postgres://me:secret@db/app".into(), &"no answer", "Is it running?").passing();
        assert!(unusable.is_passing());
        let text = unusable.to_string();
        assert!(!text.contains("secret"), "{text}");
        assert!(text.starts_with("database.url postgres://"), "{text}");
        assert!(text.ends_with(": no answer. Is it running?"), "{text}");
    }

    #[test]
    fn what_is_added_leaves_it_passing_as_it_was() {
        let unusable = Unusable::new(&"sqlite:a.db".into(), &"locked", "Wait").passing();
        let told = unusable.during("migration 1 (items)").after("waited for long");
        assert!(told.is_passing());
        assert_eq!(
            told.to_string(),
            "migration 1 (items): database.url sqlite:a.db: locked. Wait (waited for long)"
        );
    }
}
