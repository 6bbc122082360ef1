//! Where does a value come from, and why was mine refused?
//!
//! Three layers, the later wins: built-in defaults, the TOML file, environment variables
//! `APP__SECTION__KEY`. The defaults are also the schema: a key that is not among them is refused,
//! with the nearest one that is. Every value is tried alone, so that all mistakes are reported at
//! once, and no message repeats the value of a secret.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::{fs, io};

use figment::Figment;
use figment::error::{Actual, Kind};
use figment::providers::Serialized;
use figment::value::{Dict, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Config, align};

/// The file that is read if it is there, relative to the working directory.
pub const DEFAULT_FILE: &str = "config/service.toml";
const PREFIX: &str = "APP__";

/// Values by key: `server.addr`.
pub(super) type Leaves = BTreeMap<String, Value>;
/// Where each value that is no default was set: a file's path or a variable's name.
pub(super) type Origins = BTreeMap<String, String>;

/// A configuration that is complete and consistent.
pub struct Loaded<A> {
    pub config: Config,
    /// The owner's settings, the section `app`.
    pub app: A,
    pub(super) values: Leaves,
    pub(super) origins: Origins,
    pub(super) notes: Vec<align::Note>,
}

/// Reads the layers. `file` is `--config`, which must exist; without it [`DEFAULT_FILE`] may be absent.
///
/// # Errors
/// Every fault of every layer, never only the first: where, what, and what to do.
pub fn load<A>(
    file: Option<&Path>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Loaded<A>, Vec<String>>
where
    A: Default + Serialize + DeserializeOwned,
{
    let defaults = Figment::from(Serialized::defaults(Config::default()))
        .merge(Serialized::default("app", A::default()));
    let mut layers = Layers { known: leaves(&defaults), set: Vec::new(), faults: Vec::new() };
    layers.read_file(file);
    layers.read_variables(variables);
    let Layers { set, mut faults, .. } = layers;

    let mut figment = defaults.clone();
    let mut origins = Origins::new();
    for (origin, key, value) in set {
        let one = Serialized::default(&key, &value);
        let alone = extract::<A>(&defaults.clone().merge(&one)).map_err(|error| explain(&key, &error));
        if let Err(reason) = alone.and_then(|(config, _)| align::in_range(&config, &key)) {
            faults.push(format!("{origin}: {key}: {reason}"));
        }
        figment = figment.merge(&one);
        origins.insert(key, origin);
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let (figment, notes) = align::align(figment, &origins)?;
    let (config, app) = extract(&figment).map_err(|error| vec![error.to_string()])?;
    Ok(Loaded { config, app, values: leaves(&figment), origins, notes })
}

fn extract<A: DeserializeOwned>(figment: &Figment) -> Result<(Config, A), Box<figment::Error>> {
    Ok((figment.extract()?, figment.extract_inner("app")?))
}

/// Says what is wrong with a value, without repeating it where it may be a secret.
fn explain(key: &str, error: &figment::Error) -> String {
    match &error.kind {
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) if is_secret(key) => {
            format!("expected {expected}")
        }
        _ if is_secret(key) => "is not valid (its value is not shown)".to_owned(),
        Kind::InvalidValue(Actual::Str(got), expected) if expected == "a duration" => {
            format!("{got:?} is not a duration: write it like \"250ms\" or \"30s\"")
        }
        Kind::InvalidValue(Actual::Str(got), expected) if expected == "parsable string" => {
            format!("{got:?} is not a size: write it like \"64KiB\" or \"1MiB\"")
        }
        Kind::UnknownVariant(_, known) => format!("must be one of {}", known.join(", ")),
        kind => kind.to_string(),
    }
}

/// Whether a key's value must not be shown. A URL may carry a password.
pub(super) fn is_secret(key: &str) -> bool {
    ["password", "secret", "token", "api_key", "credentials", "url", "dsn"]
        .iter()
        .any(|word| key.ends_with(word))
}

/// What the file and the environment say, sorted into settings and faults.
struct Layers {
    /// The keys that exist, each with its default.
    known: Leaves,
    /// Origin, key, value; a later one wins.
    set: Vec<(String, String, Value)>,
    faults: Vec<String>,
}

impl Layers {
    fn read_file(&mut self, file: Option<&Path>) {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let origin = path.display();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_none() => return,
            Err(error) => return self.faults.push(format!("{origin}: cannot be read: {error}")),
        };
        // Parsed here rather than by figment, whose message quotes the line, secrets included.
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
                let fault = format!("{origin}: line {line}: not valid TOML: {}", error.message());
                return self.faults.push(fault);
            }
        };
        for (key, value) in leaves(&Figment::from(Serialized::defaults(table))) {
            let section = format!("{key}.");
            if self.known.contains_key(&key) {
                self.set.push((origin.to_string(), key, value));
            } else if matches!(value, Value::Dict(..)) && self.known.keys().any(|k| k.starts_with(&section)) {
                // A section whose keys are all commented out.
            } else {
                let hint = self.hint(&key, str::to_owned);
                self.faults.push(format!("{origin}: {key}: there is no such key{hint}"));
            }
        }
    }

    fn read_variables(&mut self, variables: impl Iterator<Item = (OsString, OsString)>) {
        for (name, value) in variables {
            let name = name.to_string_lossy().into_owned();
            let Some(path) = name.strip_prefix(PREFIX) else {
                // Platforms inject names like APP_PORT; only what looks like one of ours is an error.
                let respelt = |key: &&String| name.replace('_', "") == variable(key).replace('_', "");
                if let Some(key) = self.known.keys().find(respelt) {
                    self.faults.push(format!("{name}: is not read; did you mean {}?", variable(key)));
                }
                continue;
            };
            let key = path.replace("__", ".").to_lowercase();
            match (self.known.get(&key).filter(|_| variable(&key) == name), value.into_string()) {
                (Some(default), Ok(text)) => {
                    let value = parse_like(default, text);
                    self.set.push((name, key, value));
                }
                (Some(_), Err(_)) => self.faults.push(format!("{name}: is not valid UTF-8")),
                (None, _) => {
                    let hint = self.hint(&key, variable);
                    self.faults.push(format!("{name}: there is no such key{hint}"));
                }
            }
        }
    }

    /// The known key that is nearest to `key`, if one is near, in the layer's own spelling.
    fn hint(&self, key: &str, spell: impl Fn(&str) -> String) -> String {
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let nearness = |known: &String| {
            // A section left out or another one written: the last word alone may tell.
            let name = 0.95 * strsim::jaro_winkler(&last(known), &last(key));
            strsim::jaro_winkler(known, key).max(name)
        };
        let nearest = self.known.keys().max_by(|a, b| nearness(a).total_cmp(&nearness(b)));
        let near = nearest.filter(|known| nearness(known) > 0.8);
        near.map_or(String::new(), |known| format!("; did you mean {}?", spell(known)))
    }
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// Reads a variable's text as the type its default has: "12345" stays a text where a text is wanted.
fn parse_like(default: &Value, text: String) -> Value {
    let parsed = match default {
        Value::String(..) => None,
        Value::Array(..) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::from(items.collect::<Vec<_>>()))
        }
        _ => serde_json::from_str(&text).ok(),
    };
    parsed.unwrap_or_else(|| Value::from(text))
}

/// Every value of a figment by its full key.
fn leaves(figment: &Figment) -> Leaves {
    fn flatten(prefix: &str, dict: Dict, leaves: &mut Leaves) {
        for (name, value) in dict {
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value {
                Value::Dict(_, inner) if !inner.is_empty() => flatten(&key, inner, leaves),
                leaf => drop(leaves.insert(key, leaf)),
            }
        }
    }
    let mut leaves = Leaves::new();
    flatten("", figment.extract().unwrap_or_default(), &mut leaves);
    leaves
}
