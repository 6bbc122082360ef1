//! What is the service told about where it runs?

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::range::{DAY, MILLISECOND, Range, Ranges};

/// What this service is told about where it runs; only the alignment report uses it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlatformConfig {
    /// How long after SIGTERM the platform kills the process (Kubernetes: `terminationGracePeriodSeconds`). The value is only
    /// compared: `shutdown.grace` has to end a second earlier.
    ///
    /// Too high: a `shutdown.grace` is accepted that the platform does not grant.
    /// Too low: a `shutdown.grace` is refused that the platform would grant.
    #[serde(with = "humantime_serde")]
    pub termination_grace: Duration,
    /// Copies of this service. The value is only used for advice about what the copies need together.
    ///
    /// Too high: `check` warns of database connections that nobody opens.
    /// Too low: `check` does not see that the copies together ask for more than the database grants.
    pub replicas: u32,
}

impl PlatformConfig {
    pub(super) const RANGES: Ranges<Self> = &[
        ("termination_grace", Range::Time(|s| s.termination_grace, MILLISECOND, DAY)),
        ("replicas", Range::Count(|s| s.replicas.into(), 1, 10_000)),
    ];
}

impl Default for PlatformConfig {
    fn default() -> Self {
        Self { termination_grace: Duration::from_secs(30), replicas: 1 }
    }
}
