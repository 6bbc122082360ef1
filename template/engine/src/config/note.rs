//! What is said about settings that are accepted?

use std::fmt;

/// One line of the alignment report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A default that was changed because a set value left it no room.
    Clamped { key: &'static str, text: String },
    /// Nothing was changed, but the owner may want to change something.
    Advice(String),
    /// A relation that was checked and holds.
    Holds(String),
}

impl Note {
    /// Whether the note says that this setting was changed.
    pub fn is_clamped(&self, name: &str) -> bool {
        matches!(self, Self::Clamped { key, .. } if *key == name)
    }

    /// Writes the note into the log, unless it says that all is well.
    pub fn log(&self) {
        match self {
            Self::Clamped { key, text } => tracing::warn!(key, "configuration: {text}"),
            Self::Advice(advice) => tracing::warn!("configuration: {advice}"),
            Self::Holds(_) => {}
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds(claim) => write!(f, "  ok       {claim}"),
            Self::Clamped { key, text } => write!(f, "  clamped  {key} {text}"),
            Self::Advice(advice) => write!(f, "  advice   {advice}"),
        }
    }
}
