//! The settings, from the environment.

use std::env;
use std::net::SocketAddr;

use anyhow::Context;

pub struct Settings {
    pub addr: SocketAddr,
    pub database_url: String,
    pub greeting: String,
}

impl Settings {
    pub fn from_env() -> anyhow::Result<Self> {
        let addr = env::var("ADDR").unwrap_or("127.0.0.1:3000".to_owned());
        Ok(Self {
            addr: addr.parse().with_context(|| format!("ADDR is {addr}"))?,
            database_url: env::var("DATABASE_URL").context("DATABASE_URL")?,
            greeting: env::var("GREETING").unwrap_or("hello".to_owned()),
        })
    }
}
