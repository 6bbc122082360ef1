//! What has to be known of an open connection between two users?

use std::time::Duration;

use tokio::time::Instant;

use super::driver::{Brake, Raw};

/// A connection of the driver's with what belongs to it as long as it is open.
#[derive(Debug)]
pub(super) struct Session {
    pub raw: Raw,
    /// Ends a statement that takes too long, where the database does not do so itself.
    pub brake: Brake,
    /// When it is replaced by a new one, so that a failover behind the same name is noticed.
    expires: Instant,
}

impl Session {
    /// It lives for `lifetime` or up to a tenth less: connections that were opened together must not all be
    /// replaced at once.
    pub fn new(raw: Raw, brake: Brake, lifetime: Duration) -> Self {
        let lifetime = lifetime.mul_f64(1.0 - 0.1 * fastrand::f64());
        Self { raw, brake, expires: Instant::now() + lifetime }
    }

    pub fn has_expired(&self) -> bool {
        Instant::now() >= self.expires
    }
}
