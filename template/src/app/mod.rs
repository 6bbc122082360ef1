//! Your code: routes, handlers, queries and background work.
//!
//! Add a route or a background task in [`start`]. There is an example of each kind: [`hello`] waits for nothing, [`items`]
//! uses the database, [`quote`] asks another service, [`digest`] is CPU work, and [`item_count`] works in the background.
//! Delete the examples when you have routes of your own.

mod digest;
mod hello;
mod item_count;
mod items;
mod quote;
mod settings;

use axum::Router;
use longpole::{Db, HttpClient, Links, Migrations, Offload, step};

pub use self::settings::Settings;

/// Every handler can reach this as `State<App>`. A clone of it is cheap.
#[derive(Clone)]
struct App {
    db: Db,
    http: HttpClient,
    offload: Offload,
    settings: Settings,
}

/// Builds the routes and starts the background work. The engine calls this once, when all links are open.
pub fn start(links: &Links, settings: &Settings) -> Router {
    let db = links.db.clone();
    links.background.start("item count", |stop| item_count::keep(db, stop));

    let app = App {
        db: links.db.clone(),
        http: links.http.clone(),
        offload: links.offload.clone(),
        settings: settings.clone(),
    };
    let routes = Router::new().merge(hello::routes()).merge(items::routes());
    routes.merge(quote::routes()).merge(digest::routes()).with_state(app)
}

/// The steps that make the schema. Never edit a step that was released: add another step.
#[must_use]
pub fn migrations() -> Migrations {
    Migrations::new([step(1, "items", include_str!("../../migrations/0001_items.sql"))])
}
