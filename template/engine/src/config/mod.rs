//! Which limits is this process running with, and what happens if one is wrong?
//!
//! Every bound of the service is a field of one of the structs here. The comment of the field says what you will see when
//! the bound is too high and when it is too low. Start with the command `check` of the service: it prints each value in
//! force and where it came from.

mod align;
mod faults;
mod layers;
pub(crate) mod load;
mod machine;
mod note;
mod range;
mod read;
mod redaction;
mod report;
pub(crate) mod secret;
mod secret_names;
mod sections;
mod settle;

pub(crate) use self::note::Note;
#[cfg(feature = "_database")]
pub(crate) use self::secret::SecretUrl;
#[cfg(feature = "_database")]
pub use self::sections::DatabaseConfig;
pub(crate) use self::sections::TAIL;
pub use self::sections::{
    AdminConfig, AdmissionConfig, Config, ForwardedHeader, HttpClientConfig, LogConfig, LogFormat, Network,
    OffloadConfig, ParseNetworkError, PlatformConfig, Rotation, ServerConfig, ShutdownConfig, WatchdogConfig,
};
