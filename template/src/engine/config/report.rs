//! What does `NAME check` print?

use std::fmt::Write;

use figment::value::{Num, Value};

use super::align::Note;
use super::load::{Loaded, is_secret};

impl<A> Loaded<A> {
    /// Every effective value with where it came from (secrets redacted), then the alignment report.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.values {
            let clamped = self.notes.iter().find_map(|note| match note {
                Note::Clamped { key: clamped, text } if clamped == key => Some(text),
                _ => None,
            });
            let value = redact(key, &show(value));
            let _ = match (self.origins.get(key), clamped) {
                (Some(origin), _) => writeln!(text, "{key} = {value}  # {origin}"),
                (None, Some(how)) => writeln!(text, "{key} = {value}  # default, {how}"),
                (None, None) => writeln!(text, "{key} = {value}  # default"),
            };
        }
        text.push_str("\nalignment\n");
        for note in &self.notes {
            let _ = match note {
                Note::Holds(claim) => writeln!(text, "  ok       {claim}"),
                Note::Clamped { key, text: how } => writeln!(text, "  clamped  {key} {how}"),
                Note::Advice(advice) => writeln!(text, "  advice   {advice}"),
            };
        }
        text
    }
}

impl<A> Loaded<A> {
    /// Puts into the log what an operator would not expect: clamped defaults and advice.
    pub fn log(&self) {
        for note in &self.notes {
            match note {
                Note::Clamped { key, text } => tracing::warn!(key, "configuration: {text}"),
                Note::Advice(advice) => tracing::warn!("configuration: {advice}"),
                Note::Holds(_) => {}
            }
        }
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Char(_, c) => format!("{c:?}"),
        Value::Bool(_, b) => b.to_string(),
        Value::Num(_, Num::F32(n)) => n.to_string(),
        Value::Num(_, Num::F64(n)) => n.to_string(),
        Value::Num(_, n) => {
            n.to_i128().map_or_else(|| n.to_u128().unwrap_or_default().to_string(), |n| n.to_string())
        }
        Value::Array(_, items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Empty(..) | Value::Dict(..) => "{}".to_owned(),
    }
}

fn redact(key: &str, shown: &str) -> String {
    match is_secret(key) {
        false => shown.to_owned(),
        true if key.ends_with("url") => without_secrets(shown),
        true => "\"***\"".to_owned(),
    }
}

/// A URL with its host and path, but without user, password and parameters.
#[must_use]
pub fn without_secrets(url: &str) -> String {
    // Parameters may hold a password too.
    let (address, parameters) = url.split_once('?').map_or((url, ""), |(address, _)| (address, "?***"));
    let address = match (address.split_once("://"), address.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://***{}", &address[at..]),
        _ => address.to_owned(),
    };
    address + parameters
}
