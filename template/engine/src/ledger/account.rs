//! Where did the time of one request go?
//!
//! Time is booked in pieces: each piece reaches from the last change to the present one. While anything of the
//! request is polled, the time is booked to `cpu`. Otherwise it is booked to what the request waits for, except for
//! the overlap with a stall of the event loop, which is booked to `loop_delay`. So the parts sum to the whole,
//! whatever runs at the same time. Branches that wait at the same time (`join!`, spawned tasks) share the time
//! between them. How long each branch has waited by itself is kept beside that, as `busy`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::instruments::Instruments;
use super::phase::{PHASES, Phase, Phases};

/// The account of one request, from its parsed head to its body's end.
#[derive(Debug)]
pub struct Account {
    instruments: Instruments,
    /// A worker's slot names the request by this key.
    key: u64,
    /// When the account began, in nanoseconds of the ledger's clock.
    opened: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The time is booked up to this moment, in nanoseconds of the ledger's clock.
    until: u64,
    /// What the stall clock showed at that moment.
    stalled: u64,
    /// How many polls are running.
    polls: u32,
    /// How many waits are open in each phase.
    waits: [u32; PHASES],
    /// How many waits are open in all phases together.
    waiting: u32,
    /// The phase of the request when nothing is polled and no wait is open.
    unnamed: Phase,
    /// The phase of the request before it was polled.
    before: Phase,
    shares: Phases,
    busy: Phases,
    gave_up_in: Option<Phase>,
    closed: bool,
}

/// What a closed account says.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    pub duration: Duration,
    /// The time of each phase. The times sum to `duration`.
    pub shares: Phases,
    /// The time that each phase has waited by itself. It is more than the share if branches waited at the same time.
    pub busy: Phases,
    /// The phase in which the request was given up, if it was given up.
    pub gave_up_in: Option<Phase>,
}

impl Statement {
    /// Whether branches waited at the same time. Time in which one branch waits while another is polled does not count,
    /// because it is short.
    #[must_use]
    pub fn overlaps(&self) -> bool {
        let together: Duration = self.busy.taken().map(|(_, time)| time).sum();
        let alone: Duration =
            self.busy.taken().map(|(phase, _)| Duration::from_nanos(self.shares[phase])).sum();
        together > alone + Duration::from_millis(1)
    }
}

impl Account {
    /// Opens an account that begins now, with a key of its own.
    #[must_use]
    pub fn open(instruments: &Instruments) -> Self {
        let clock = instruments.clock();
        let now = clock.now();
        let state = State {
            until: now,
            stalled: clock.stalled(now),
            // The code that opens the account works for the request.
            polls: 1,
            waits: [0; PHASES],
            waiting: 0,
            unnamed: Phase::Other,
            before: Phase::Cpu,
            shares: Phases::default(),
            busy: Phases::default(),
            gave_up_in: None,
            closed: false,
        };
        Self {
            instruments: instruments.clone(),
            key: instruments.key_of_request(),
            opened: now,
            state: Mutex::new(state),
        }
    }

    #[must_use]
    pub fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }

    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_nanos(self.instruments.clock().now().saturating_sub(self.opened))
    }

    /// What the request waits for now, or does now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.lock().phase()
    }

    /// The time of each phase until now. This can be asked in the middle of a poll, too.
    #[must_use]
    pub fn shares(&self) -> Phases {
        self.booked().1.shares
    }

    /// Notes that a poll begins. Returns the time, in nanoseconds of the ledger's clock.
    pub fn poll_begins(&self) -> u64 {
        let (now, mut state) = self.booked();
        if state.polls == 0 {
            state.before = state.phase();
        }
        state.polls += 1;
        now
    }

    /// Notes that a poll ends. `unnamed` is what the request does until the next poll, unless a wait names it. Only the
    /// future that answers the request knows that, so other tasks of the request pass `None`, which changes nothing.
    /// Returns the time, in nanoseconds of the ledger's clock.
    pub fn poll_ends(&self, unnamed: Option<Phase>) -> u64 {
        let (now, mut state) = self.booked();
        state.polls = state.polls.saturating_sub(1);
        state.unnamed = unnamed.unwrap_or(state.unnamed);
        now
    }

    pub fn enter(&self, phase: Phase) {
        let (_, mut state) = self.booked();
        state.waits[phase.index()] += 1;
        state.waiting += 1;
    }

    pub fn leave(&self, phase: Phase) {
        let (_, mut state) = self.booked();
        state.waits[phase.index()] -= 1;
        state.waiting -= 1;
    }

    /// Notes that the future which serves the request is about to be dropped. Returns the phase in which this was noted
    /// first.
    pub fn give_up(&self) -> Phase {
        let mut state = self.lock();
        // If the request is polled now, the poll only tells it that its time is over.
        let phase = if state.polls > 0 { state.before } else { state.phase() };
        *state.gave_up_in.get_or_insert(phase)
    }

    /// Closes the account. Tasks of the request may go on, but nothing is booked any more.
    pub fn close(&self) -> Statement {
        let (now, mut state) = self.booked();
        state.closed = true;
        let duration = Duration::from_nanos(now.saturating_sub(self.opened));
        let State { shares, busy, gave_up_in, .. } = *state;
        Statement { duration, shares, busy, gave_up_in }
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Books the time up to now. The clock is read under the lock, so that no piece is booked twice.
    fn booked(&self) -> (u64, MutexGuard<'_, State>) {
        let mut state = self.lock();
        let now = self.instruments.clock().now();
        if !state.closed {
            let stalled = self.instruments.clock().stalled(now);
            state.book(now, stalled);
        }
        (now, state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn book(&mut self, now: u64, stalled: u64) {
        let elapsed = now.saturating_sub(self.until);
        let stall = elapsed.min(stalled.saturating_sub(self.stalled));
        (self.until, self.stalled) = (now, stalled);
        if self.polls > 0 {
            self.shares += (Phase::Cpu, elapsed);
            return;
        }
        // A thread of the offload pool needs no event loop to go on.
        let stall = if self.waits[Phase::OffloadRun.index()] > 0 { 0 } else { stall };
        self.shares += (Phase::LoopDelay, stall);
        let rest = elapsed - stall;
        if self.waiting == 0 {
            self.shares += (self.unnamed, rest);
            return;
        }
        let mut left = (rest, u64::from(self.waiting));
        for phase in Phase::all() {
            let waits = u64::from(self.waits[phase.index()]);
            if waits > 0 {
                let share = left.0 * waits / left.1;
                left = (left.0 - share, left.1 - waits);
                self.shares += (phase, share);
                self.busy += (phase, rest * waits);
            }
        }
    }

    fn phase(&self) -> Phase {
        let waits =
            self.waits.iter().zip(Phase::all()).max_by_key(|(waits, phase)| (**waits, !phase.is_named()));
        match waits {
            Some((1.., phase)) => phase,
            _ if self.polls > 0 => Phase::Cpu,
            _ => self.unnamed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn state() -> State {
        let account = Account::open(&Instruments::new(&Config::default()));
        let mut state = account.state.into_inner().unwrap();
        (state.until, state.stalled, state.polls) = (0, 0, 0);
        state
    }

    fn taken(phases: &Phases) -> Vec<(&'static str, u128)> {
        phases.taken().map(|(phase, time)| (phase.name(), time.as_nanos())).collect()
    }

    #[test]
    fn what_waits_side_by_side_shares_the_time_and_keeps_its_own() {
        let mut state = state();
        for (phase, waits) in [(Phase::DbQuery, 2), (Phase::HttpUpstream, 1)] {
            state.waits[phase.index()] = waits;
            state.waiting += waits;
        }

        state.book(100, 0);

        assert_eq!(taken(&state.shares), [("db_query", 66), ("http_upstream", 34)]);
        assert_eq!(taken(&state.busy), [("db_query", 200), ("http_upstream", 100)]);
    }

    #[test]
    fn a_stall_is_taken_out_of_what_is_waited_for() {
        let mut state = state();
        state.enter_for_test(Phase::DbQuery);
        state.book(100, 30);
        state.book(110, 300); // the stall is longer than the wait: the beat was sent before the wait began

        assert_eq!(taken(&state.shares), [("db_query", 70), ("loop_delay", 40)]);
        assert_eq!(taken(&state.busy), [("db_query", 70)]);
    }

    #[test]
    fn a_thread_needs_no_event_loop() {
        let mut state = state();
        state.enter_for_test(Phase::OffloadRun);
        state.book(100, 30);

        assert_eq!(taken(&state.shares), [("offload_run", 100)]);
    }

    #[test]
    fn while_it_is_polled_it_computes() {
        let mut state = state();
        state.enter_for_test(Phase::DbQuery);
        state.polls = 1;
        state.book(100, 30);

        assert_eq!(taken(&state.shares), [("cpu", 100)]);
        assert_eq!(state.phase(), Phase::DbQuery, "what it will wait for again");
    }

    impl State {
        fn enter_for_test(&mut self, phase: Phase) {
            self.waits[phase.index()] += 1;
            self.waiting += 1;
        }
    }
}
