//! What does a log line look like?
//!
//! tracing-subscriber's own formats, with the request's ids added. JSON: `request_id` and `trace_id`
//! within a request, `timestamp`, `level`, `message` and the event's fields, `target`. Everything that
//! came from outside is escaped: nobody can forge a line.

use std::fmt;
use std::time::Duration;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::engine::context;

pub(super) struct WithRequest<F>(F);

pub(super) fn json() -> WithRequest<Format<Json>> {
    WithRequest(Format::default().json().flatten_event(true).with_current_span(false))
}

pub(super) fn text() -> WithRequest<Format<Full>> {
    WithRequest(Format::default().with_ansi(false))
}

impl<S, N> FormatEvent<S, N> for WithRequest<Format<Json>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        context::with_current(|request| {
            write!(
                to,
                "{{\"request_id\":\"{}\",\"trace_id\":\"{}\",",
                request.id.as_str(),
                request.trace.id()
            )
        })
        .unwrap_or_else(|| to.write_char('{'))?;
        let mut line = String::with_capacity(512);
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        to.write_str(line.strip_prefix('{').unwrap_or(&line))
    }
}

impl<S, N> FormatEvent<S, N> for WithRequest<Format<Full>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        for c in line.trim_end().chars() {
            // What came from outside must not move the cursor or begin a line.
            if c.is_control() { write!(to, "{}", c.escape_default())? } else { to.write_char(c)? }
        }
        context::with_current(|request| write!(to, " request_id={}", request.id.as_str()))
            .unwrap_or(Ok(()))?;
        to.write_char('\n')
    }
}

/// How durations stand in log lines, in fields named `…_ms`: milliseconds with up to three places.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}
