//! Which program is this?

/// Who the program is: its name and version in the log, in metrics, towards other services and in the database's list of
/// connections. [`identity!`](crate::identity!) fills it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The package's name, such as `my-service`.
    pub package: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// Where the status page finds Longpole's docs: the `homepage` of the package, a URL or a path. Empty where there is
    /// none.
    pub homepage: &'static str,
    /// The crate's name, such as `my_service`: the target of its log lines begins with it.
    pub crate_name: &'static str,
}

/// Makes the [`Identity`] of the package in whose source it stands: write it in `src/main.rs`.
///
/// ```
/// let identity = longpole::identity!();
///
/// assert_eq!(identity.version, env!("CARGO_PKG_VERSION"));
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
