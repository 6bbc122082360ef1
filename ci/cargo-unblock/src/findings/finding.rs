//! What is known of one finding?

use crate::place::Place;

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Async code reaches a blocking call.
    Blocking,
    /// A guard is alive across an await.
    Guard,
    /// An exception says no reason.
    AllowWithoutReason,
    /// An exception excuses nothing.
    UnusedAllow,
}

/// One call on the way.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    pub place: Place,
    /// The function that the call stands in.
    pub within: String,
    /// What is called.
    pub calls: String,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    pub kind: Kind,
    /// Where async code enters the chain, or what was asked about.
    pub place: Place,
    /// The async function.
    pub within: String,
    /// The blocking API's path.
    pub path: String,
    pub category: String,
    pub instead: String,
    /// From the async code to the blocking call; for a guard, the await.
    pub steps: Vec<Step>,
    /// The function that holds the blocking calls: what findings have in common.
    pub cause: String,
    /// How many blocking calls that function makes.
    pub calls_in_cause: usize,
}
