//! Was this program built to serve users?

use std::backtrace::Backtrace;
use std::ffi::OsStr;

/// This environment variable is `1` if somebody really wants a release with the drill.
pub const MEANT: &str = "LONGPOLE_DRILL";

const HAS_DRILL: bool = cfg!(all(feature = "drill", not(debug_assertions)));

/// What an operator has to know about the build, if anything. `meant` is the value of [`MEANT`].
///
/// # Errors
/// The drill is in a release, and [`MEANT`] does not say that this is wanted.
pub fn advice(meant: Option<&OsStr>) -> Result<Option<String>, String> {
    let what = "this release has the cargo feature `drill` (--all-features enables it): whoever reaches it can block \
        its event loop, hold its connections and make it panic";
    match meant {
        _ if !HAS_DRILL => Ok(None),
        Some(meant) if meant == "1" => Ok(Some(format!("{what}; {MEANT}=1 says that this is meant"))),
        _ => Err(format!("{what}. Build it without, or set {MEANT}=1 if that is what you want")),
    }
}

/// What is unwise about the profile that the program was built with.
pub fn profile() -> impl Iterator<Item = String> {
    let aborts = cfg!(panic = "abort").then_some(
        "the profile has panic = \"abort\": a panic in one request ends the process, and all other requests with it. \
         Take it out of Cargo.toml",
    );
    let is_bare = (!has_lines()).then_some(
        "the profile has no line tables: a backtrace names no file and no line. Write debug = \"line-tables-only\" \
         into [profile.release] of Cargo.toml, and strip nothing",
    );
    aborts.into_iter().chain(is_bare).map(str::to_owned)
}

/// Whether a backtrace names lines. This looks at a backtrace and not at the profile, since the line tables may be
/// stripped after the build. A backtrace reads the whole program, so only `check` does this.
fn has_lines() -> bool {
    Backtrace::force_capture().to_string().contains("release.rs:")
}
