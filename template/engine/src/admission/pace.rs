//! Would a request that comes now be let in within `admission.max_wait`?
//!
//! By Little's law, as many requests may wait as will be let in during the next `max_wait`. Nobody knows that number
//! beforehand, so the number of requests that were let in during the last `max_wait` takes its place. They are counted
//! while there is a queue. At the beginning of a queue there is no such number yet, so every request may wait until the
//! queue has lasted for `max_wait`.

use std::time::{Duration, Instant};

/// `max_wait` is divided into so many slices. Higher: a change of the pace is noticed more evenly. Lower: there is less
/// to add up.
const SLICES: usize = 10;
/// The pace varies, so a few more requests may wait than were let in lately: one more for each `MARGIN`. Higher: some
/// requests are refused that would have been let in. Lower: some requests wait in vain.
const MARGIN: usize = 8;

/// How many requests wait, and how many were let in from the queue lately.
#[derive(Debug)]
pub(super) struct Pace {
    waiting: usize,
    slice: Duration,
    /// So many requests may always wait, since all places may become free at once.
    at_least: usize,
    /// When the queue began that has lasted without a break.
    since: Instant,
    /// The newest slice, counted from `since`.
    newest: u64,
    let_in: [usize; SLICES],
}

impl Pace {
    pub fn new(max_wait: Duration, at_least: usize) -> Self {
        let slice = (max_wait / SLICES as u32).max(Duration::from_micros(1));
        Self { waiting: 0, slice, at_least, since: Instant::now(), newest: 0, let_in: [0; SLICES] }
    }

    /// A request comes. It begins to wait unless that would take too long; returns whether it waits.
    pub fn join(&mut self, now: Instant) -> bool {
        if self.waiting == 0 {
            (self.since, self.newest, self.let_in) = (now, 0, [0; SLICES]);
        }
        let may_wait = self.waiting < self.may_wait(now);
        self.waiting += usize::from(may_wait);
        may_wait
    }

    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// A request no longer waits, whether it was let in or not.
    pub fn leave(&mut self) {
        self.waiting -= 1;
    }

    /// A request that has waited is let in.
    pub fn let_in(&mut self, now: Instant) {
        self.turn_to(now);
        self.let_in[(self.newest % SLICES as u64) as usize] += 1;
    }

    /// How many requests may wait at most.
    fn may_wait(&mut self, now: Instant) -> usize {
        self.turn_to(now);
        if self.newest < SLICES as u64 {
            return usize::MAX; // the pace is not known yet
        }
        let lately: usize = self.let_in.iter().sum();
        (lately + lately / MARGIN).max(self.at_least)
    }

    /// Empties the slices that are too old.
    fn turn_to(&mut self, now: Instant) {
        let newest = (now.saturating_duration_since(self.since).as_nanos() / self.slice.as_nanos()) as u64;
        let passed = newest.saturating_sub(self.newest).min(SLICES as u64);
        for slice in 0..passed {
            self.let_in[((newest - slice) % SLICES as u64) as usize] = 0;
        }
        self.newest = newest.max(self.newest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_WAIT: Duration = Duration::from_millis(500);

    /// A queue from which a request is let in after each `pause`, for `time`.
    fn after(pace: &mut Pace, from: Instant, time: Duration, pause: Duration) -> Instant {
        let mut now = from;
        while now < from + time {
            now += pause;
            pace.let_in(now);
        }
        now
    }

    fn begun() -> (Pace, Instant) {
        let (mut pace, now) = (Pace::new(MAX_WAIT, 64), Instant::now());
        assert!(pace.join(now));
        (pace, now)
    }

    #[test]
    fn at_first_everybody_may_wait() {
        let (mut pace, now) = begun();
        assert_eq!(pace.may_wait(now), usize::MAX);
        assert_eq!(pace.may_wait(now + MAX_WAIT - Duration::from_millis(1)), usize::MAX);
        assert_eq!(pace.may_wait(now + MAX_WAIT), 64, "nobody was let in");
    }

    #[test]
    fn then_as_many_as_are_let_in_during_the_longest_wait() {
        let (mut pace, now) = begun();
        let now = after(&mut pace, now, 3 * MAX_WAIT, Duration::from_micros(50));
        let may_wait = pace.may_wait(now);
        assert!((9_000..=11_300).contains(&may_wait), "20,000 a second: {may_wait}");
    }

    #[test]
    fn a_pace_that_drops_is_noticed_within_the_longest_wait() {
        let (mut pace, now) = begun();
        let now = after(&mut pace, now, 2 * MAX_WAIT, Duration::from_micros(50));
        let now = after(&mut pace, now, MAX_WAIT, Duration::from_millis(2));
        let may_wait = pace.may_wait(now);
        assert!((250..=1_500).contains(&may_wait), "500 a second: {may_wait}");
        assert_eq!(pace.may_wait(now + MAX_WAIT), 64);
        assert_eq!(pace.may_wait(now + 100 * MAX_WAIT), 64);
    }

    #[test]
    fn after_a_quiet_time_it_begins_anew() {
        let (mut pace, now) = begun();
        let now = after(&mut pace, now, 2 * MAX_WAIT, Duration::from_millis(100));
        assert_eq!(pace.may_wait(now), 64);
        pace.leave();
        assert!(pace.join(now));
        assert_eq!(pace.may_wait(now), usize::MAX);
    }

    #[test]
    fn who_would_wait_in_vain_does_not_join() {
        let (mut pace, now) = begun();
        let later = now + 2 * MAX_WAIT;
        let joined = (0..200).filter(|_| pace.join(later)).count();
        assert_eq!(
            (joined, pace.waiting()),
            (63, 64),
            "as many as there are places, with the one who waits already"
        );
        pace.leave();
        assert!(pace.join(later));
    }
}
