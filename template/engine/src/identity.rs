//! Which program is this?

/// The name and the version of your program. They stand in the log, in the metric `build_info`, on the status page, in
/// the header `user-agent` of calls to other services, and in the database's list of connections.
/// [`identity!`](crate::identity!) fills the fields in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The package's name, such as `my-service`.
    pub package: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// The place of Longpole's docs, a URL or a path. The status page points to it. The macro takes the `homepage` of
    /// your package, or an empty text if there is none. If your package has another homepage, set this field: `Identity
    /// { homepage: "https://…/docs", ..longpole::identity!() }`.
    pub homepage: &'static str,
    /// The crate's name, such as `my_service`. The target of the crate's log lines begins with this name.
    pub crate_name: &'static str,
}

/// Makes the [`Identity`] of the package whose source contains the call. Call it in your `src/main.rs`: in a library,
/// it would name the library.
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
