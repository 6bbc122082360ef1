//! What does a log line look like?
//!
//! JSON: `timestamp`, `level`, `target`, `message`, the event's fields beside them, and within a request
//! its `request_id` and `trace_id`. Everything that came from outside is escaped: nobody can forge a
//! line. Fields of surrounding spans stand in `spans`.

use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::engine::context;

/// Keys of the line itself; a field of the same name gets `field_` in front.
const OWN_KEYS: [&str; 6] = ["timestamp", "level", "target", "request_id", "trace_id", "spans"];

pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let timestamp = humantime::format_rfc3339_micros(SystemTime::now());
        // Put together here and handed over whole: `to` is a virtual call for each piece.
        let mut line = String::with_capacity(512);
        write!(line, "{{\"timestamp\":\"{timestamp}")?;
        push_all(
            &mut line,
            &["\",\"level\":\"", metadata.level().as_str(), "\",\"target\":\"", metadata.target(), "\""],
        );
        let is_request = metadata.target() == "request";
        let mut fields = JsonFields { line, is_request, saw_message: false };
        event.record(&mut fields);
        let JsonFields { mut line, saw_message, .. } = fields;
        if !saw_message {
            line.push_str(",\"message\":\"\"");
        }
        context::with_current(|request| {
            let (id, trace) = (request.id.as_str(), request.trace.id());
            push_all(&mut line, &[",\"request_id\":\"", id, "\",\"trace_id\":\"", trace, "\""]);
        });
        push_spans(ctx, &mut line);
        line.push_str("}\n");
        to.write_str(&line)
    }
}

fn push_all(line: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| line.push_str(part));
}

/// The spans' fields were formatted once, when the span was made, as the inside of a JSON object.
fn push_spans<S, N>(ctx: &FmtContext<'_, S, N>, line: &mut String)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    let Some(scope) = ctx.event_scope() else { return };
    line.push_str(",\"spans\":[");
    for (index, span) in scope.from_root().enumerate() {
        push_all(line, &[if index == 0 { "" } else { "," }, "{\"name\":\"", span.name(), "\""]);
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>().map_or("", |fields| fields.as_str());
        match fields.trim_start_matches('{') {
            "" | "}" => line.push('}'),
            inner => push_all(line, &[",", inner]),
        }
    }
    line.push(']');
}

struct JsonFields {
    line: String,
    /// The line of a request, some of whose fields are JSON objects already.
    is_request: bool,
    saw_message: bool,
}

impl JsonFields {
    /// Writes the key; the value is to be pushed behind it.
    fn key(&mut self, field: &Field) -> &mut String {
        let name = field.name();
        self.saw_message |= name == "message";
        let prefix = if OWN_KEYS.contains(&name) { "field_" } else { "" };
        push_all(&mut self.line, &[",\"", prefix, name, "\":"]);
        &mut self.line
    }

    // Writing to a `String` cannot fail, but `write!` must be able to say so.
    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let _ = self.key(field).write_fmt(value);
    }
}

impl Visit for JsonFields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let is_object = self.is_request && matches!(field.name(), "phases" | "busy");
        let line = self.key(field);
        if is_object {
            let _ = write!(line, "{value:?}");
            return;
        }
        line.push('"');
        let _ = write!(Escaped(line), "{value:?}");
        line.push('"');
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let line = self.key(field);
        line.push('"');
        let _ = Escaped(line).write_str(value);
        line.push('"');
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if !value.is_finite() {
            self.key(field).push_str("null");
        } else if field.name().ends_with("_ms") {
            let micros = (value * 1e3).round() as i64;
            self.put(field, format_args!("{}.{:03}", micros / 1000, micros % 1000));
        } else {
            self.put(field, format_args!("{value}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, format_args!("{value}"));
    }
}

/// Writes text as the inside of a JSON string.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|b| b < b' ' || matches!(b, b'"' | b'\\' | 0x7f)) {
            self.0.push_str(&rest[..at]);
            match rest.as_bytes()[at] {
                special @ (b'"' | b'\\') => self.0.extend(['\\', char::from(special)]),
                b'\n' => self.0.push_str("\\n"),
                b'\t' => self.0.push_str("\\t"),
                control => write!(self.0, "\\u{control:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        self.0.push_str(rest);
        Ok(())
    }
}

/// For people: `2026-01-31T12:00:00.000000Z  INFO service::app: message key=value request_id=…`
pub(super) struct Text;

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let timestamp = humantime::format_rfc3339_micros(SystemTime::now());
        write!(to, "{timestamp} {:>5} {}: ", metadata.level(), metadata.target())?;
        let mut line = String::new();
        ctx.field_format().format_fields(Writer::new(&mut line), event)?;
        for c in line.chars() {
            // What came from outside must not move the cursor or begin a line.
            if c.is_control() { write!(to, "{}", c.escape_default())? } else { to.write_char(c)? }
        }
        context::with_current(|request| write!(to, " request_id={}", request.id.as_str()))
            .unwrap_or(Ok(()))?;
        to.write_char('\n')
    }
}

/// How durations stand in log lines, in fields named `…_ms`.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
