//! What is said about a setting that is wrong?
//!
//! The message says where the setting was set, its key, and what would be right. It never repeats the value of a secret,
//! nor a piece of JSON, because a secret may be in it.

use std::collections::BTreeSet;

use figment::error::{Actual, Kind};

use super::layers::{Key, Setting, Sources, spelt};
use super::secret;
use super::secret_names::is_secret;

/// The beginnings of messages of serde and of this loader that do not contain a value.
const OURS: [&str; 6] = [
    "data did not match any variant",
    "is not valid JSON",
    "is empty, expected",
    "JSON is expected",
    "must be an address or a network",
    secret::NOT_IT,
];

/// A setting that is wrong.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Where the setting was set.
    pub origin: String,
    pub key: Key,
    /// None for a key that does not exist.
    pub reason: Option<String>,
}

/// Says what is wrong with a value. Does not repeat the value if it may be a secret, or JSON that contains a secret.
pub(super) fn explain(
    place: &[String],
    whole: Option<&Setting>,
    kind: &Kind,
    secrets: &BTreeSet<Key>,
) -> String {
    let is_json =
        whole.and_then(|it| it.value.as_str()).is_none_or(|text| text.trim_start().starts_with(['{', '[']));
    let hides = is_json || is_secret(place) || secrets.contains(place);
    match kind {
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) if hides => {
            format!("expected {expected}")
        }
        Kind::InvalidLength(length, expected) => format!("has {length} items, expected {expected}"),
        Kind::UnknownVariant(_, known) => format!("must be one of {}", known.join(", ")),
        Kind::DuplicateField(name) => format!("{name} is set under two names"),
        Kind::Message(text) if OURS.iter().any(|begin| text.starts_with(begin)) => text.clone(),
        _ if hides => "is not valid (its value is not shown)".to_owned(),
        Kind::InvalidValue(Actual::Str(got), expected) if expected == "a duration" => {
            format!("{got:?} is not a duration: write it like \"250ms\" or \"30s\"")
        }
        Kind::InvalidValue(Actual::Str(got), expected) if expected == "parsable string" => {
            format!("{got:?} is not a size: write it like \"64KiB\" or \"1MiB\"")
        }
        kind => kind.to_string(),
    }
}

/// Every key that is known to exist.
#[derive(Clone, Debug)]
pub(super) struct Known(pub BTreeSet<Key>);

impl Known {
    /// The message for the operator.
    pub fn text(&self, sources: &Sources, Fault { origin, key, reason }: &Fault) -> String {
        let variable = |key: &[String]| sources.variable(key);
        match reason {
            Some(reason) => format!("{origin}: {}: {reason}", spelt(key)),
            None if *origin == variable(key) => {
                format!("{origin}: there is no such key{}", self.hint(key, variable))
            }
            None => format!("{origin}: {}: there is no such key{}", spelt(key), self.hint(key, spelt)),
        }
    }

    /// The known key whose variable differs from `name` only in its separators.
    pub fn misspelt(&self, sources: &Sources, name: &str) -> Option<String> {
        let bare = |name: &str| name.replace('_', "");
        self.keys().map(|key| sources.variable(key)).find(|right| bare(right) == bare(name))
    }

    /// Names the known key that is nearest to `key`, in the spelling of the layer. Empty if no key is near.
    fn hint(&self, key: &[String], spell: impl Fn(&[String]) -> String) -> String {
        let last = |key: &[String]| key.last().cloned().unwrap_or_default();
        let nearness = |known: &Key| {
            // If the section is missing or wrong, the last name alone may show which key is meant.
            let name = 0.95 * strsim::jaro_winkler(&last(known), &last(key));
            strsim::jaro_winkler(&spelt(known), &spelt(key)).max(name)
        };
        let nearest = self.keys().max_by(|a, b| nearness(a).total_cmp(&nearness(b)));
        let near = nearest.filter(|known| nearness(known) > 0.8);
        near.map_or(String::new(), |known| format!("; did you mean {}?", spell(known)))
    }

    /// The keys of the settings. The keys of sections are not among them.
    fn keys(&self) -> impl Iterator<Item = &Key> {
        let has_more =
            |key: &Key| self.0.iter().any(|other| other.len() > key.len() && other.starts_with(key));
        self.0.iter().filter(move |key| !has_more(key))
    }
}
