//! How far has the process come, from its start to its end?
//!
//! One value says it. The probes, the acceptor, the connections, the edge, background work and handlers watch this
//! value and nothing else. Only three places move it: `service.rs` (serving), the signal in `control.rs` (draining),
//! and `shutdown.rs` (what follows). When something does not stop, look for the stage that it waits for.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The stages in their order. A stage may be skipped, and no stage comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Links are being opened, and routes are put together.
    Starting,
    /// Requests are served.
    Serving,
    /// The signal has come. New connections are still accepted, and each answer asks its client to connect elsewhere.
    /// Answers that last are told to end.
    Draining,
    /// New connections are not accepted. Requests in flight finish, and everything else closes.
    Stopping,
    /// The grace is over. What is still running is cut off.
    Aborting,
    /// No request is left. Background work ends, then the pools close.
    Closing,
}

/// The stage that the process is in. Clones share it.
#[derive(Clone, Debug)]
pub struct Life {
    stage: watch::Sender<Stage>,
    /// Cancelled at `Stage::Draining`, for code that waits with a token.
    draining: CancellationToken,
    /// Cancelled at `Stage::Closing`, for the same reason.
    closing: CancellationToken,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            stage: watch::Sender::new(Stage::Starting),
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
        }
    }
}

impl Life {
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Moves on to `to`. If the process has come further already, nothing changes.
    pub fn advance(&self, to: Stage) {
        // The tokens come first: code that sees the stage must not get a token that is behind it.
        if to >= Stage::Draining {
            self.draining.cancel();
        }
        if to >= Stage::Closing {
            self.closing.cancel();
        }
        self.stage.send_if_modified(|stage| {
            let is_further = to > *stage;
            *stage = to.max(*stage);
            is_further
        });
    }

    /// A receiver that is told of each change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Waits until the process has come to `stage`.
    pub async fn reached(&self, stage: Stage) {
        let _ = self.watch().wait_for(|now| *now >= stage).await; // it cannot fail, because `self` has a sender
    }

    /// Cancelled once the process drains.
    #[must_use]
    pub fn draining(&self) -> CancellationToken {
        self.draining.child_token() // if one user cancels its token, the others must not stop
    }

    /// Cancelled once the process closes.
    #[must_use]
    pub fn closing(&self) -> CancellationToken {
        self.closing.child_token()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_never_goes_back() {
        let life = Life::default();

        life.advance(Stage::Draining); // a signal during the start
        life.advance(Stage::Serving);

        assert_eq!(life.stage(), Stage::Draining);
    }

    #[test]
    fn a_skipped_stage_has_been_reached_too() {
        let life = Life::default();
        let (draining, closing) = (life.draining(), life.closing());

        life.advance(Stage::Stopping);
        assert!(draining.is_cancelled() && !closing.is_cancelled());

        life.advance(Stage::Closing);
        assert!(closing.is_cancelled());
    }

    #[test]
    fn a_token_that_is_cancelled_by_its_user_stops_nobody_else() {
        let life = Life::default();

        life.draining().cancel();

        assert!(!life.draining().is_cancelled());
    }

    #[tokio::test]
    async fn a_later_stage_wakes_what_waits_for_an_earlier_one() {
        let life = Life::default();

        tokio::join!(life.reached(Stage::Stopping), async { life.advance(Stage::Aborting) });
    }
}
