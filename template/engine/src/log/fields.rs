//! How is a value written into a line, whatever the value is?
//!
//! A line must be whole, and must stay a single line, with every value: a number that is not finite, a name with a
//! quote in it, a `Debug` that fails or panics, a text that would move the cursor or begin another line.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Debug, Write};

use serde_json::value::RawValue;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, FormattedFields};

use super::escape::{Escaped, OnItsLine, push_escaped};
use super::guard::{push_guarded, with_sources};

/// Below this, the microseconds of a duration fit exactly into an `i64`, which is faster to write.
const LONGEST_MS: f64 = 1e12;

/// Writes fields as the inside of a JSON object, each with a comma in front.
pub(super) struct JsonFields<'a> {
    pub line: &'a mut String,
    /// Keys that the object has already.
    pub own_keys: &'static [&'static str],
    /// Fields whose values are JSON objects already.
    pub objects: &'static [&'static str],
    /// Whether this is a record of the crate `log`: then `log.target` and its like are in the line already.
    pub is_record: bool,
    pub saw_message: bool,
}

impl JsonFields<'_> {
    /// Writes the key. The caller then pushes the value behind the key.
    fn key(&mut self, field: &Field) -> &mut String {
        let name = plain(field.name());
        self.saw_message |= name == "message";
        self.line.push_str(",\"");
        if self.own_keys.contains(&name) || names(field).take(field.index()).any(|other| other == name) {
            push_escaped(self.line, &self.another_key(field));
        } else {
            push_escaped(self.line, name);
        }
        self.line.push_str("\":");
        self.line
    }

    /// The key of a field whose name is taken: the name with as many `field_` in front as it needs to be free.
    fn another_key(&self, field: &Field) -> String {
        let all: Vec<_> = names(field).collect();
        let mut made: Vec<String> = Vec::new();
        for (at, &name) in all.iter().enumerate().take(field.index() + 1) {
            if self.own_keys.contains(&name) || all[..at].contains(&name) {
                let mut key = format!("field_{name}");
                while all.contains(&key.as_str()) || made.contains(&key) {
                    key.insert_str(0, "field_");
                }
                made.push(key);
            }
        }
        made.pop().unwrap_or_default()
    }

    // `write!` returns a `Result`, although writing to a `String` cannot fail.
    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let _ = self.key(field).write_fmt(value);
    }

    fn put_whole(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let places = if is_millis(field) { ".000" } else { "" };
        self.put(field, format_args!("{value}{places}"));
    }

    /// Writes a number as text, since readers of JSON would round it.
    fn put_large(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if is_millis(field) {
            self.put_whole(field, value)
        } else {
            self.put(field, format_args!("\"{value}\""))
        }
    }
}

impl Visit for JsonFields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.is_record && field.name().starts_with("log.") {
            return;
        }
        let is_object = self.objects.contains(&field.name());
        let line = self.key(field);
        if is_object {
            let _ = write!(line, "{value:?}");
            return;
        }
        line.push('"');
        push_guarded(&mut Escaped(line), value);
        line.push('"');
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.is_record && field.name().starts_with("log.") {
            return;
        }
        let line = self.key(field);
        line.push('"');
        push_escaped(line, value);
        line.push('"');
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_str(field, &with_sources(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if !value.is_finite() {
            self.key(field).push_str("null");
        } else if is_millis(field) {
            push_millis(self.key(field), value);
        } else {
            self.put(field, format_args!("{value}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put_whole(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if self.is_record && field.name().starts_with("log.") {
            return;
        }
        self.put_whole(field, format_args!("{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put_large(field, format_args!("{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put_large(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, format_args!("{value}"));
    }
}

/// Writes fields as ` key=value`, and the message without a key.
pub(super) struct TextFields<'a> {
    pub line: &'a mut String,
    /// Whether this is a record of the crate `log`: then `log.target` and its like are in the line already.
    pub is_record: bool,
}

impl TextFields<'_> {
    /// Writes the key. The caller then pushes the value behind the key.
    fn key(&mut self, field: &Field) -> OnItsLine<'_> {
        let mut line = OnItsLine(self.line);
        let _ = match plain(field.name()) {
            "message" => line.write_char(' '),
            name => write!(line, " {name}="),
        };
        line
    }
}

impl Visit for TextFields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if !(self.is_record && field.name().starts_with("log.")) {
            push_guarded(&mut self.key(field), value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_debug(field, &format_args!("{}", with_sources(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if is_millis(field) && value.is_finite() {
            push_millis(self.key(field).0, value);
        } else {
            self.record_debug(field, &value);
        }
    }
}

/// Writes the fields of a span once, when the span is made, as the inside of a JSON object.
pub(super) struct JsonSpans;

impl<'writer> FormatFields<'writer> for JsonSpans {
    fn format_fields<R: RecordFields>(&self, mut to: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = String::new();
        let (own_keys, objects): (&[_], &[_]) = (&["name"], &[]);
        fields.record(&mut JsonFields {
            line: &mut line,
            own_keys,
            objects,
            is_record: false,
            saw_message: false,
        });
        to.write_str(&line)
    }

    /// The later value of a field replaces the earlier value.
    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)?;
        let object = format!("{{{}}}", current.as_str().trim_start_matches(','));
        let Ok(latest) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&object) else {
            return Ok(());
        };
        current.fields.clear();
        for (key, value) in latest {
            current.fields.push_str(",\"");
            push_escaped(&mut current.fields, &key);
            current.fields.push_str("\":");
            current.fields.push_str(value.get());
        }
        Ok(())
    }
}

/// Text lines do not show spans.
pub(super) struct NoSpans;

impl<'writer> FormatFields<'writer> for NoSpans {
    fn format_fields<R: RecordFields>(&self, _: Writer<'writer>, _: R) -> fmt::Result {
        Ok(())
    }
}

fn is_millis(field: &Field) -> bool {
    field.name().ends_with("_ms")
}

fn push_millis(line: &mut String, value: f64) {
    let _ = if value.abs() < LONGEST_MS {
        let micros = (value * 1e3).round() as i64;
        let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
        write!(line, "{sign}{}.{:03}", micros / 1000, micros % 1000)
    } else {
        write!(line, "{value:.3}")
    };
}

/// `r#type` is called `type`.
fn plain(name: &'static str) -> &'static str {
    name.strip_prefix("r#").unwrap_or(name)
}

/// The names of all fields of the event or span that this one belongs to.
fn names(field: &Field) -> impl Iterator<Item = &'static str> {
    field.callsite().0.metadata().fields().iter().map(|field| plain(field.name()))
}
