//! What does `NAME check` print?

use std::fmt::Write;

use figment::value::Value;

use super::layers::{Key, spelt};
use super::load::Loaded;
use super::note::Note;
use super::secret_names::redacted;

impl<A> Loaded<A> {
    /// Every effective value and where it came from, and then the alignment report. Secrets are redacted.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = String::new();
        for (at, value) in self.values.iter().filter(|(_, value)| value.as_dict().is_none()) {
            let key = &spelt(at);
            let clamped = self.notes.iter().find_map(|note| match note {
                Note::Clamped { key: clamped, text } if clamped == key => Some(text),
                _ => None,
            });
            let value = show(at, value);
            let _ = match (self.origins.get(at), clamped) {
                (Some(origin), Some(how)) => writeln!(text, "{key} = {value}  # {origin}, {how}"),
                (Some(origin), None) => writeln!(text, "{key} = {value}  # {origin}"),
                (None, Some(how)) => writeln!(text, "{key} = {value}  # default, {how}"),
                (None, None) => writeln!(text, "{key} = {value}  # default"),
            };
        }
        text.push_str("\nalignment\n");
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        text
    }

    /// The lines of the alignment report.
    pub fn alignment(&self) -> Vec<String> {
        self.notes.iter().map(|note| note.to_string().trim().to_owned()).collect()
    }

    /// Adds advice to the alignment report and to the log.
    pub fn advise(&mut self, advice: String) {
        self.notes.push(Note::Advice(advice));
    }

    /// Writes into the log what an operator would not expect: clamped defaults and advice.
    pub fn log(&self) {
        self.notes.iter().for_each(Note::log);
    }
}

fn show(key: &Key, value: &Value) -> String {
    toml::Value::try_from(redacted(key, value)).map_or_else(|_| "none".to_owned(), |value| value.to_string())
}
