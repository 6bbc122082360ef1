//! What may the function look like that builds the routes?
//!
//! The function gets the links and the owner's settings. It may be async, and it may fail.

use std::error::Error;
use std::future::ready;

use axum::Router;

use crate::links::Links;

/// Why a step of the start has failed.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// The function that builds your routes, for [`Service::run`](crate::Service::run).
///
/// You do not implement this trait. Every function and closure of the shapes below has it: the arguments are `&Links`
/// and a reference to your own settings, the result is a [`Router`] or a `Result` ([`IntoRoutes`]), and the function
/// may be async. `Kind` tells async functions from others; the compiler infers it.
///
/// The function is called once, when all links are open and the public port is bound, before the first request is
/// served. Build the state of the handlers here, and start [background tasks](crate::Background).
///
/// ```
/// use axum::Router;
/// use longpole::Links;
///
/// struct Settings {
///     rules: String,
/// }
///
/// fn start(_: &Links, _: &Settings) -> Router {
///     Router::new()
/// }
///
/// fn start_or_fail(_: &Links, settings: &Settings) -> Result<Router, std::io::Error> {
///     let _rules = std::fs::read(&settings.rules)?;
///     Ok(Router::new())
/// }
///
/// async fn start_slowly(links: &Links, settings: &Settings) -> Result<Router, longpole::CallError> {
///     let _rules = links.http.send(links.http.get(&settings.rules)).await?;
///     Ok(Router::new())
/// }
/// ```
///
/// The function runs on a thread of its own, so it may block, and no timeout ends it. Meanwhile clients can connect,
/// but get no answer yet, and `/readyz` is 503. If a signal comes, the function has 500 ms to return; then it is given
/// up, and the process ends with 0. If the function fails or panics, the process ends with 1. In all these
/// cases, [background tasks](crate::Background) that it has started are told to end.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot start a service",
    note = "it has to be `fn(&longpole::Links, &Settings) -> axum::Router`; it may be async, and may return a `Result`",
    note = "the error of a `Result` has to become `Box<dyn Error + Send + Sync>`: a `Box<dyn Error>` does not",
    note = "`Router` is axum's of the version that longpole re-exports, as `longpole::axum::Router`"
)]
pub trait Start<Settings, Kind> {
    /// Builds the routes.
    #[doc(hidden)]
    fn start(self, links: &Links, settings: &Settings) -> impl Future<Output = Result<Router, Failure>>;
}

#[doc(hidden)]
pub struct Plain;
#[doc(hidden)]
pub struct Awaited;

impl<S, F, R> Start<S, Plain> for F
where
    F: FnOnce(&Links, &S) -> R,
    R: IntoRoutes,
{
    /// The function runs here and not in the future that is returned. So it may block: nobody polls that future
    /// meanwhile.
    fn start(self, links: &Links, settings: &S) -> impl Future<Output = Result<Router, Failure>> {
        ready(self(links, settings).into_routes())
    }
}

impl<S, F, R> Start<S, Awaited> for F
where
    F: AsyncFnOnce(&Links, &S) -> R,
    R: IntoRoutes,
{
    async fn start(self, links: &Links, settings: &S) -> Result<Router, Failure> {
        self(links, settings).await.into_routes()
    }
}

/// What the function of [`Start`] may return: a [`Router`], or a `Result` with a [`Router`] and an error that becomes
/// `Box<dyn Error + Send + Sync>` by `into`. Give the router its state before, by `.with_state(…)`. An error ends the
/// process with 1; stderr and the log have its text and its sources.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a service is made of",
    note = "return `axum::Router` or `Result<axum::Router, _>`, with the state given by `.with_state(…)`"
)]
pub trait IntoRoutes {
    /// # Errors
    /// Why the service cannot start.
    #[doc(hidden)]
    fn into_routes(self) -> Result<Router, Failure>;
}

impl IntoRoutes for Router {
    fn into_routes(self) -> Result<Router, Failure> {
        Ok(self)
    }
}

impl<E: Into<Failure>> IntoRoutes for Result<Router, E> {
    fn into_routes(self) -> Result<Router, Failure> {
        self.map_err(Into::into)
    }
}
