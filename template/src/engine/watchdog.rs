//! How long was the event loop unavailable?
//!
//! A beat is sent from the control thread into the main runtime, and the time until a worker ran it is
//! the delay. Measured from outside, because inside a stalled runtime timers do not fire. The beat also
//! wakes an idle worker, which then looks after the sockets that a blocked one neglects
//! (https://github.com/tokio-rs/tokio/issues/4730).

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Histogram, histogram};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout};
use tracing::{info, warn};

use super::config;
use super::health::Health;
use super::http::exchange::Exchanges;
use super::log::millis;

/// While no request is in flight, beats are this much rarer. Higher: stalls of background work are seen
/// later. Lower: an idle service wakes up for nothing.
const IDLE_FACTOR: u32 = 10;

/// Beats until the main runtime is gone.
pub(super) async fn watch(main: Handle, health: Health, exchanges: Arc<Exchanges>, config: config::Watchdog) {
    let delays = histogram!("event_loop_delay_seconds");
    loop {
        let sent = Instant::now();
        health.beat_sent(sent);
        let (answer, answered) = oneshot::channel();
        #[expect(clippy::disallowed_methods, reason = "a beat belongs to no request")]
        main.spawn(async move {
            let _ = answer.send(Instant::now());
        });
        let Some(delay) = wait(sent, answered, &config).await else { return };
        health.beat_answered();
        record(&delays, delay, &config);
        let busy = exchanges.any_open();
        // Often enough to see the stall that a first request causes.
        let idle = (config.interval * IDLE_FACTOR).min(config.stall_warn / 2).max(config.interval);
        let pause = if busy { config.interval } else { idle };
        sleep_until((sent + pause).into()).await;
    }
}

/// The delay of the beat, or None if the runtime has ended. Warns while it lasts: afterwards may be too
/// late to look at the culprit.
async fn wait(
    sent: Instant,
    mut answered: oneshot::Receiver<Instant>,
    config: &config::Watchdog,
) -> Option<Duration> {
    let answer = match timeout(config.stall_warn, &mut answered).await {
        Ok(answer) => answer,
        Err(_) => {
            warn!(stalled_ms = millis(sent.elapsed()), "event loop stalled: a task blocks its worker");
            answered.await
        }
    };
    Some(answer.ok()?.saturating_duration_since(sent))
}

fn record(delays: &Histogram, delay: Duration, config: &config::Watchdog) {
    delays.record(delay);
    if delay > config.stall_warn {
        info!(stalled_ms = millis(delay), "event loop goes on");
    }
}
