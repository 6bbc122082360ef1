//! Which database is copied for each test that begins with a migrated database?

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::admin::Home;
use super::name;

/// A database that has been migrated, and to which nobody can connect. It is dropped with the last database that was copied
/// from it. So nothing has to happen when the test program ends, and nothing is left behind.
#[derive(Debug)]
pub struct Template {
    home: Home,
    name: String,
}

impl Template {
    pub fn name(&self) -> &str {
        &self.name
    }

    fn make(home: &Home, migrate: impl FnOnce(&str)) -> Self {
        let name = name::new();
        let execute = |statement: &str| home.execute(&[statement]).unwrap_or_else(|error| panic!("{error}"));
        execute(&format!("CREATE DATABASE {name}"));
        let template = Self { home: home.clone(), name }; // from now on it is dropped, also if `migrate` panics
        migrate(&home.url_of(&template.name));
        // A database cannot be copied while somebody is connected to it.
        execute(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", template.name));
        template
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        self.home.remove(&self.name);
    }
}

/// The template of this key on this server. It is made if there is none.
pub fn of(home: &Home, key: &str, migrate: impl FnOnce(&str)) -> Arc<Template> {
    static TEMPLATES: Mutex<BTreeMap<(String, String), Known>> = Mutex::new(BTreeMap::new());
    // Other tests wait here until the template is made.
    let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
    let at = (home.url.clone(), key.to_owned());
    if let Some(template) = templates.get(&at).and_then(|known| known.template.upgrade()) {
        return template;
    }
    let template = Arc::new(Template::make(home, migrate));
    let kept = (!home.stays).then(|| Arc::clone(&template));
    templates.insert(at, Known { template: Arc::downgrade(&template), _kept: kept });
    template
}

struct Known {
    template: Weak<Template>,
    /// On a server that ends with the tests, the template need not be dropped. So it is made only once.
    _kept: Option<Arc<Template>>,
}
