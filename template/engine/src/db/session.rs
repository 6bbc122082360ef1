//! What does the pool have to know about an open connection between two users?

use std::time::Duration;

use tokio::time::Instant;

use super::driver::{Brake, Connector, Raw};

/// A connection of the driver's, with all that belongs to it as long as it is open.
#[derive(Debug)]
pub(super) struct DbSession {
    pub raw: Raw,
    /// Ends a statement that takes too long, if the database does not end it.
    pub brake: Brake,
    /// When the connection is replaced by a new one, so that a failover behind the same name is noticed.
    expires: Instant,
}

impl DbSession {
    pub async fn open(connector: &Connector) -> Result<Self, sqlx::Error> {
        Self::of(connector.connect().await?, connector).await
    }

    /// The session of a connection that this connector has just opened.
    pub async fn of(mut raw: Raw, connector: &Connector) -> Result<Self, sqlx::Error> {
        let brake = Brake::of(&mut raw).await?;
        Ok(Self { raw, brake, expires: Instant::now() + lifetime(connector.max_lifetime()) })
    }

    pub fn has_expired(&self, now: Instant) -> bool {
        now >= self.expires
    }
}

/// Up to a tenth less than `max`: connections that were opened together must not all be replaced at once.
fn lifetime(max: Duration) -> Duration {
    max.mul_f64(1.0 - 0.1 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn lifetimes_are_spread_over_the_last_tenth() {
        let lifetimes: BTreeSet<_> = (0..100).map(|_| lifetime(Duration::from_secs(1000))).collect();
        assert!(lifetimes.len() > 50, "{lifetimes:?}");
        let (least, most) = (Duration::from_secs(900), Duration::from_secs(1000));
        assert!(lifetimes.iter().all(|it| (least..=most).contains(it)), "{lifetimes:?}");
    }
}
