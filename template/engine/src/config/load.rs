//! Where does a value come from, and why was mine refused?
//!
//! There are four layers: the built-in defaults, the defaults of the program (`Service::set_default`), the TOML file, and
//! the environment variables `APP__SECTION__KEY` ([`layers`](super::layers)). A later layer wins over an earlier one. The
//! types of the settings are the schema: they say what a text means ([`read`](super::read)). A key that no type asks for is refused, and the message names the
//! nearest key that exists. All mistakes are reported at once ([`settle`](super::settle)), and no message repeats the
//! value of a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use figment::value::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::align::align;
pub use super::layers::Sources;
use super::layers::{Key, Layers, Leaves, Setting, leaves, spelt, to_value};
use super::note::Note;
use super::read::Set;
use super::redaction::HIDDEN;
use super::secret::revealing;
use super::sections::Config;
use super::settle::{Settled, settle};

/// A configuration that is complete and consistent.
pub struct Loaded<A = ()> {
    pub config: Config,
    /// The owner's settings, the section `app`.
    pub app: A,
    pub(super) values: Leaves,
    /// Where each value was set that is not a built-in default: the path of the file, the name of the variable, or the
    /// program.
    pub(super) origins: BTreeMap<Key, String>,
    pub(super) notes: Vec<Note>,
}

/// Reads the layers. `file` is the file of `--config`, which must exist. The file of `sources` may be absent.
///
/// # Errors
/// All faults of all layers, not only the first fault. Each message says where the fault is, what it is, and what to do.
pub fn load<A>(
    sources: &Sources,
    file: Option<&Path>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Loaded<A>, Vec<String>>
where
    A: Default + Serialize + DeserializeOwned,
{
    let mut layers = Layers::default();
    layers.read_file(sources, file);
    layers.read_variables(sources, variables);
    layers.read_program(sources);
    let Layers { settings, mut faults, others } = layers;
    let defaults = revealing(|| sections(&Config::default(), &A::default()));

    let settled = settle::<A>(defaults.clone(), settings.clone());
    faults.extend(settled.texts(sources));
    for fault in overridden::<A>(sources, defaults, settings) {
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    // Platforms set variables like APP_PORT, so a variable is an error only if its name is almost one of our names.
    let misspelt = |name: &String| {
        Some(format!("{name}: is not read; did you mean {}?", settled.known.misspelt(sources, name)?))
    };
    faults.extend(others.iter().filter_map(misspelt));
    let Settled { read: Some((mut config, app)), mut set, secrets, .. } = settled else { return Err(faults) };
    if !faults.is_empty() {
        return Err(faults);
    }

    let keys: Vec<Key> = leaves(&sections(&config, &app)).into_keys().collect();
    // If a whole table or list was set, its values have the origin of the whole.
    let origin = |key: &Key| (1..=key.len()).rev().find_map(|length| set.get(&key[..length]));
    let origins: BTreeMap<_, _> =
        keys.into_iter().filter_map(|key| origin(&key).map(|set| (key, set.origin.clone()))).collect();
    let by_name = origins.iter().map(|(key, origin)| (spelt(key), origin.clone())).collect();
    let notes = align(&mut config, &by_name)?;
    let mut whole = sections(&config, &app);
    set.retain(|key, _| !notes.iter().any(|note| note.is_clamped(&spelt(key))));
    as_written(&mut whole, &set, &secrets);
    let values = leaves(&whole);
    Ok(Loaded { config, app, values, origins, notes })
}

impl<A> Loaded<A> {
    /// Splits off the owner's settings. The type of the rest is the same for every service.
    pub fn split(self) -> (Loaded, A) {
        let Self { config, app, values, origins, notes } = self;
        (Loaded { config, app: (), values, origins, notes }, app)
    }
}

/// Replaces values as their types write them by values as the operator wrote them: `1MiB` is more exact than `1.0 MiB`.
/// A secret stays hidden.
fn as_written(whole: &mut Value, set: &BTreeMap<Key, Set>, secrets: &BTreeSet<Key>) {
    for (key, Set { value, is_text, .. }) in set {
        let Some(written) = value else { continue };
        let place = key.iter().try_fold(&mut *whole, |value, name| match value {
            Value::Dict(_, dict) => dict.get_mut(name),
            _ => None,
        });
        let is_secret = secrets.iter().any(|secret| secret.starts_with(key));
        let is_replaced = |place: &Value| {
            place.as_dict().is_none() && !is_hidden(place) && (place.as_str().is_some() || !is_text)
        };
        if let Some(place) = place.filter(|place| !is_secret && is_replaced(place)) {
            *place = written.clone();
        }
    }
}

/// Whether the value contains a secret that is not shown.
fn is_hidden(value: &Value) -> bool {
    match value {
        Value::String(_, text) => text.contains(HIDDEN),
        Value::Array(_, items) => items.iter().any(is_hidden),
        Value::Dict(_, dict) => dict.values().any(is_hidden),
        _ => false,
    }
}

/// The faults of settings in the file that a variable overrides. They are reported, too.
fn overridden<A>(sources: &Sources, defaults: Value, settings: Vec<Setting>) -> Vec<String>
where
    A: Serialize + DeserializeOwned,
{
    let (variables, mut file): (Vec<_>, Vec<_>) = settings.into_iter().partition(Setting::is_variable);
    let both: Vec<Key> = file
        .iter()
        .map(|it| it.key.clone())
        .filter(|key| variables.iter().any(|it| it.key == *key))
        .collect();
    if both.is_empty() {
        return Vec::new();
    }
    let origins: Vec<String> = file.iter().map(|it| it.origin.clone()).collect();
    file.splice(..0, variables);
    let mut settled = settle::<A>(defaults, file);
    settled.faults.retain(|fault| origins.contains(&fault.origin) && both.contains(&fault.key));
    settled.texts(sources).collect()
}

fn sections(config: &Config, app: &impl Serialize) -> Value {
    let mut sections = to_value(config).into_dict().unwrap_or_default();
    sections.insert("app".to_owned(), to_value(app));
    Value::from(sections)
}
