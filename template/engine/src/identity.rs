//! Which program is this?

/// What a program is called in its log, its metrics and its database's list of connections. [`identity!`](crate::identity!)
/// fills it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The package's name, such as `my-service`.
    pub package: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// Where the status page finds Longpole's docs: the package's `homepage`, a URL or a path. May be empty.
    pub homepage: &'static str,
    /// The crate's name, such as `my_service`: the target of its log lines begins with it.
    pub crate_name: &'static str,
}

/// The [`Identity`] of the package in which this stands. Use it in `src/main.rs`.
///
/// ```
/// let identity = longpole::identity!();
///
/// assert_eq!(identity.package, env!("CARGO_PKG_NAME"));
/// ```
#[macro_export]
macro_rules! identity {
    () => {
        $crate::Identity {
            package: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            homepage: env!("CARGO_PKG_HOMEPAGE"),
            crate_name: env!("CARGO_CRATE_NAME"),
        }
    };
}
