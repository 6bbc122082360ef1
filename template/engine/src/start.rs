//! What may the function be that builds the routes?
//!
//! A function of the links and the service's own settings. It may be async, and it may fail.

use std::error::Error;
use std::future::ready;

use axum::Router;

use crate::links::Links;

/// Why something cannot be done.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// The function that builds your routes, for [`Service::run`](crate::Service::run): of `&Links` and `&Settings`, async or
/// not. It returns a [`Router`], or a `Result` of it ([`IntoRoutes`]).
///
/// It is called once, when all links are open and the public port is bound, before the first request is served. This is
/// the place to build the state of the handlers and to start [background work](crate::Background). `Kind` is inferred.
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
/// It has a thread of its own, so a plain function may block. The port is taken before: who connects meanwhile waits, and
/// `/readyz` says that the service is starting. When a start fails, [background work](crate::Background) that it has begun
/// is told to end.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot start a service",
    note = "it has to be `fn(&longpole::Links, &Settings) -> axum::Router`; it may be async, and may return a `Result`",
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
    /// The function runs here and not in the future, so it may take its time: nobody polls it.
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

/// What the function of [`Start`] may return: a [`Router`], or a `Result` of it with any error. An error ends the process
/// with 1, and its text is on stderr and in the log.
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
