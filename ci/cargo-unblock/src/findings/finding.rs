//! What is known about one finding?

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
    /// The place where async code enters the chain. In a package that the user did not ask about, it is the
    /// place where the chain enters a package that the user asked about.
    pub place: Place,
    /// The async function.
    pub within: String,
    /// The blocking API's path.
    pub path: String,
    pub category: String,
    pub instead: String,
    /// The steps from the async code to the blocking call. For a guard, the last step is the `.await`.
    pub steps: Vec<Step>,
    /// The function that makes the blocking calls: findings with the same cause are one group.
    pub cause: String,
    /// How many blocking calls that function makes.
    pub calls_in_cause: usize,
}

#[cfg(test)]
impl Finding {
    /// A blocking call in `f` of a.rs, which calls it itself: tests change what they ask about.
    pub fn example() -> Finding {
        let place = Place { file: "a.rs".into(), line: 2, column: 3, end_line: 2, end_column: 6 };
        let step = Step { place: place.clone(), within: "f".to_owned(), calls: "std::fs::read".to_owned() };
        Finding {
            kind: Kind::Blocking,
            place,
            within: "f".to_owned(),
            path: "std::fs::read".to_owned(),
            category: "fs".to_owned(),
            instead: "tokio::fs::read".to_owned(),
            steps: vec![step],
            cause: "f".to_owned(),
            calls_in_cause: 1,
        }
    }
}
