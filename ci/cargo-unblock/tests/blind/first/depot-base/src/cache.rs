use std::collections::HashMap;
use std::sync::Mutex;

/// Texts by key, loaded by the caller's function when absent.
#[derive(Default)]
pub struct TextCache {
    map: Mutex<HashMap<String, String>>,
}

impl TextCache {
    pub fn peek(&self, key: &str) -> Option<String> {
        self.map.lock().unwrap().get(key).cloned()
    }

    pub fn put(&self, key: &str, text: String) {
        self.map.lock().unwrap().insert(key.to_owned(), text);
    }

    pub fn get_or_load(&self, key: &str, load: impl FnOnce() -> String) -> String {
        if let Some(found) = self.peek(key) {
            return found;
        }
        let text = load();
        self.put(key, text.clone());
        text
    }
}

/// A cache that was given its loader when it was made.
pub struct LoadingCache {
    map: Mutex<HashMap<String, String>>,
    loader: Box<dyn Fn(&str) -> String + Send + Sync>,
}

impl LoadingCache {
    pub fn new(loader: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        LoadingCache { map: Mutex::default(), loader: Box::new(loader) }
    }

    /// The texts of the files below the directory.
    pub fn of_files(dir: &'static str) -> Self {
        LoadingCache::new(move |key| std::fs::read_to_string(format!("{dir}/{key}")).unwrap_or_default())
    }

    pub fn fetch(&self, key: &str) -> String {
        let known = self.map.lock().unwrap().get(key).cloned();
        known.unwrap_or_else(|| {
            let text = (self.loader)(key);
            self.map.lock().unwrap().insert(key.to_owned(), text.clone());
            text
        })
    }

    /// Only what is there already.
    pub fn cached(&self, key: &str) -> Option<String> {
        self.map.lock().unwrap().get(key).cloned()
    }
}
