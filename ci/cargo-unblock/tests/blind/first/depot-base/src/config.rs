use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Settings {
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}

impl Settings {
    /// Reads `base.conf` and the layers of the directory over it.
    pub fn load(dir: &Path) -> io::Result<Settings> {
        let mut settings = Settings::default();
        for name in ["base.conf", "site.conf", "local.conf"] {
            settings.apply_layer(&dir.join(name))?;
        }
        Ok(settings)
    }

    fn apply_layer(&mut self, path: &Path) -> io::Result<()> {
        for (k, v) in layer::pairs(path)? {
            self.values.insert(k, v);
        }
        Ok(())
    }

    /// Parses a text that is already there.
    pub fn from_text(text: &str) -> Settings {
        Settings { values: depot_util::textio::parse_pairs(text).into_iter().collect() }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.get("data_dir").map(PathBuf::from).unwrap_or_else(|| PathBuf::from("data"))
    }
}

mod layer {
    use std::io;
    use std::path::Path;

    pub(super) fn pairs(path: &Path) -> io::Result<Vec<(String, String)>> {
        let text = raw(path)?;
        Ok(depot_util::textio::parse_pairs(&text))
    }

    fn raw(path: &Path) -> io::Result<String> {
        match depot_util::textio::read_trimmed(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            other => other,
        }
    }
}

/// The async way to the same settings.
pub async fn load_async(dir: &Path) -> io::Result<Settings> {
    let mut settings = Settings::default();
    for name in ["base.conf", "site.conf", "local.conf"] {
        let text = tokio::fs::read_to_string(dir.join(name)).await?; //~ OK tokio::fs
        let layer = Settings::from_text(&text); //~ OK parses a text in memory
        settings.values.extend(layer.values);
    }
    Ok(settings)
}

/// The same on the blocking pool, with a function value in a closure.
pub async fn load_offloaded(dir: PathBuf) -> io::Result<Settings> {
    tokio::task::spawn_blocking(move || Settings::load(&dir)) //~ OK in the blocking pool
        .await
        .expect("loader panicked")
}

/// Looks like an async loader, but does all in place.
pub async fn load_in_place(dir: &Path) -> io::Result<Settings> {
    let settings = Settings::load(dir)?; //~ BAD(transitive) five calls down to read_to_string
    tokio::task::yield_now().await;
    Ok(settings)
}
