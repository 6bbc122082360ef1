//! What does a log line look like?
//!
//! JSON: `timestamp`, `level`, `target`, `message`, the event's fields beside them, and within a request
//! its `request_id` and `trace_id`. Everything that came from outside is escaped: nobody can forge a
//! line. Fields of surrounding spans stand in `spans`.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
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
        to.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut to)?;
        write!(to, "\",\"level\":\"{}\",\"target\":\"{}\"", metadata.level(), metadata.target())?;
        let mut fields = JsonFields { to: to.by_ref(), saw_message: false, result: Ok(()) };
        event.record(&mut fields);
        let JsonFields { saw_message, result, .. } = fields;
        result?;
        if !saw_message {
            to.write_str(",\"message\":\"\"")?;
        }
        context::with_current(|request| {
            write!(to, ",\"request_id\":\"{}\",\"trace_id\":\"{}\"", request.id.as_str(), request.trace.id())
        })
        .unwrap_or(Ok(()))?;
        write_spans(ctx, &mut to)?;
        to.write_str("}\n")
    }
}

/// The spans' fields were formatted once, when the span was made, as the inside of a JSON object.
fn write_spans<S, N>(ctx: &FmtContext<'_, S, N>, to: &mut Writer<'_>) -> fmt::Result
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    let Some(scope) = ctx.event_scope() else { return Ok(()) };
    for (index, span) in scope.from_root().enumerate() {
        to.write_str(if index == 0 { ",\"spans\":[" } else { "," })?;
        write!(to, "{{\"name\":\"{}\"", span.name())?;
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>().map_or("", |fields| fields.as_str());
        let inner = fields.trim_start_matches('{');
        match inner {
            "" | "}" => to.write_char('}')?,
            inner => write!(to, ",{inner}")?,
        }
    }
    if ctx.lookup_current().is_some() { to.write_char(']') } else { Ok(()) }
}

struct JsonFields<'w> {
    to: Writer<'w>,
    saw_message: bool,
    result: fmt::Result,
}

impl JsonFields<'_> {
    /// `value` writes itself as JSON, escaped.
    fn put(&mut self, field: &Field, value: impl fmt::Display) {
        let name = field.name();
        self.saw_message |= name == "message";
        let prefix = if OWN_KEYS.contains(&name) { "field_" } else { "" };
        self.result = self.result.and_then(|()| write!(self.to, ",\"{prefix}{name}\":{value}"));
    }
}

impl Visit for JsonFields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::from(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() && field.name().ends_with("_ms") {
            self.put(field, format_args!("{value:.3}"));
        } else {
            self.put(field, Value::from(value));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
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
        SystemTime.format_time(&mut to)?;
        write!(to, " {:>5} {}: ", metadata.level(), metadata.target())?;
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
