//! Which phases has the owner named?
//!
//! Each name is a column of every account and a series of every route. So there are few names, and they are written
//! down in the code: nothing that a client sends can become a name.

use std::sync::OnceLock;

/// The most names that there may be. Higher: each account takes 20 bytes more for each name, and routes may have more
/// series. Lower: waits that the owner wants to tell apart are `other`.
pub const NAMES: usize = 8;

/// The most bytes of a name. Higher: log lines get longer. Lower: owners have to abbreviate.
const LONGEST: usize = 32;

/// The names, in the order in which they were first used.
static KNOWN: [OnceLock<&str>; NAMES] = [const { OnceLock::new() }; NAMES];

/// The name of a phase of the owner's: see [`Phase::named`](crate::Phase::named).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(u8);

/// Why a name cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the name of a phase begins with a to z, and has up to {LONGEST} of a to z, 0 to 9 and _")]
    Malformed,
    #[error("there are {NAMES} names of phases already")]
    TooMany,
}

impl Name {
    /// The same name is the same phase. A new name takes the next place.
    pub fn of(name: &'static str) -> Result<Self, NameError> {
        // The known names come first, because this is asked at each wait.
        let place = KNOWN.iter().position(|known| known.get() == Some(&name));
        if let Some(place) = place {
            return Ok(Self(place as u8));
        }
        if !is_well_formed(name) {
            return Err(NameError::Malformed);
        }
        // Meanwhile another thread may take a place, even for the same name.
        let place = KNOWN.iter().position(|known| *known.get_or_init(|| name) == name);
        place.map(|place| Self(place as u8)).ok_or(NameError::TooMany)
    }

    /// The name at this place, if the place is taken.
    pub fn at(place: usize) -> Option<Self> {
        KNOWN.get(place)?.get().map(|_| Self(place as u8))
    }

    pub fn place(self) -> usize {
        usize::from(self.0)
    }

    pub fn as_str(self) -> &'static str {
        KNOWN.get(self.place()).and_then(OnceLock::get).copied().unwrap_or_default()
    }
}

/// Whether a name can be a key in JSON and the value of a label without being escaped.
fn is_well_formed(name: &str) -> bool {
    let is_of_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.len() <= LONGEST
        && name.bytes().all(is_of_name)
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This is one test and not several, because the names belong to the process.
    #[test]
    fn few_names_are_known() {
        assert_eq!(Name::of("Mail"), Err(NameError::Malformed));
        for wrong in ["", "7up", "_x", "a-b", "a b", "a\"b", "ä", &"x".repeat(33)] {
            assert!(!is_well_formed(wrong), "{wrong}");
        }
        assert!(is_well_formed("mail_2") && is_well_formed(&"x".repeat(32)));

        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let known = names.map(|name| Name::of(name).unwrap());

        assert_eq!(known.map(Name::as_str), names);
        assert_eq!(known.map(Name::place), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(Name::of("c"), Ok(known[2]));
        assert_eq!(Name::of("one_too_many"), Err(NameError::TooMany));
        assert_eq!(Name::at(7), Some(known[7]));
        assert_eq!(Name::at(8), None);
    }
}
