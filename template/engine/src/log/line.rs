//! What does a log line look like?
//!
//! A line is a JSON object with `timestamp`, `level`, `target`, `message` and the event's fields. Within a request, it
//! has the `request_id` and the `trace_id` as well. `spans` has the fields of the surrounding spans. Every text from
//! outside is escaped, so that nobody can forge a line. [`fields`](super::fields) says how a value is written.

use std::fmt::{self, Write};
use std::time::SystemTime;

use tracing::{Event, Metadata, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::escape::{OnItsLine, push_escaped};
use super::fields::{JsonFields, TextFields};
use super::request::MODULE;
use crate::request;

/// The keys of the line itself. A field with such a name gets `field_` in front of its name.
const OWN_KEYS: [&str; 6] = ["timestamp", "level", "target", "request_id", "trace_id", "spans"];

pub(super) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // A record of the crate `log` carries its level and target with it.
        let normal = event.normalized_metadata();
        let metadata = normal.as_ref().unwrap_or_else(|| event.metadata());
        let timestamp = humantime::format_rfc3339_micros(SystemTime::now());
        // The line is put together here and handed over as a whole, since `to` costs a virtual call for each piece.
        let mut line = String::with_capacity(512);
        write!(line, "{{\"timestamp\":\"{timestamp}")?;
        push_all(&mut line, &["\",\"level\":\"", metadata.level().as_str(), "\",\"target\":\""]);
        push_escaped(&mut line, metadata.target());
        line.push('"');
        let mut fields = JsonFields {
            line: &mut line,
            own_keys: &OWN_KEYS,
            objects: objects(event.metadata()),
            is_record: normal.is_some(),
            saw_message: false,
        };
        event.record(&mut fields);
        if !fields.saw_message {
            line.push_str(",\"message\":\"\"");
        }
        request::with_current(|request| {
            let (id, trace) = (request.id.as_str(), request.trace.id());
            push_all(&mut line, &[",\"request_id\":\"", id, "\",\"trace_id\":\"", trace, "\""]);
        });
        push_spans(ctx, &mut line);
        line.push_str("}\n");
        to.write_str(&line)
    }
}

/// The fields of an event that are JSON objects already. Only the line of a request has such fields, and no line that
/// only looks like it.
fn objects(metadata: &Metadata<'static>) -> &'static [&'static str] {
    if metadata.target() == "request" && metadata.module_path() == Some(MODULE) {
        &["phases", "busy"]
    } else {
        &[]
    }
}

fn push_all(line: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| line.push_str(part));
}

/// Adds the spans. The fields of a span were formatted when the span was made, as the inside of a JSON object.
fn push_spans<S, N>(ctx: &FmtContext<'_, S, N>, line: &mut String)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    let Some(scope) = ctx.event_scope() else { return };
    line.push_str(",\"spans\":[");
    for (index, span) in scope.from_root().enumerate() {
        push_all(line, &[if index == 0 { "" } else { "," }, "{\"name\":\""]);
        push_escaped(line, span.name());
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>().map_or("", |fields| fields.as_str());
        push_all(line, &["\"", fields, "}"]);
    }
    line.push(']');
}

/// A line for people: `2026-01-31T12:00:00.000000Z  INFO my_service::app: message key=value request_id=…`
pub(super) struct TextLine;

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let normal = event.normalized_metadata();
        let metadata = normal.as_ref().unwrap_or_else(|| event.metadata());
        let timestamp = humantime::format_rfc3339_micros(SystemTime::now());
        let mut line = String::new();
        write!(line, "{timestamp} {:>5} ", metadata.level())?;
        OnItsLine(&mut line).write_str(metadata.target())?;
        line.push(':');
        event.record(&mut TextFields { line: &mut line, is_record: normal.is_some() });
        request::with_current(|request| push_all(&mut line, &[" request_id=", request.id.as_str()]));
        line.push('\n');
        to.write_str(&line)
    }
}
