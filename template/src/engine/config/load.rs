//! Where does a value come from, and why was mine refused?
//!
//! Three layers, the later wins: built-in defaults, the TOML file, environment variables
//! `APP__SECTION__KEY`. The defaults are also the schema: a key that is not among them is refused,
//! with the nearest one that is. Every value is tried alone, so that all mistakes are reported at
//! once, and no message repeats the value of a secret.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use figment::Figment;
use figment::error::Kind;
use figment::providers::Serialized;
use figment::value::{Dict, Num, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Config, align};

/// The file that is read if it is there, relative to the working directory.
pub const DEFAULT_FILE: &str = "config/service.toml";
const PREFIX: &str = "APP__";

/// A configuration that is complete and consistent.
pub struct Loaded<A> {
    pub config: Config,
    /// The owner's settings, the section `app`.
    pub app: A,
    pub(super) values: BTreeMap<String, Value>,
    pub(super) origins: BTreeMap<String, Origin>,
    pub(super) notes: Vec<align::Note>,
}

/// Where a value was set. A key without one has its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    Variable(String),
}

/// One thing that is wrong, where, and what to do.
#[derive(Debug)]
pub struct Fault {
    pub origin: Option<Origin>,
    pub text: String,
}

/// Reads the layers. `file` is `--config`, which must exist; without it [`DEFAULT_FILE`] may be absent.
///
/// # Errors
/// Every fault of every layer, never only the first.
pub fn load<A>(
    file: Option<&Path>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Loaded<A>, Vec<Fault>>
where
    A: Default + Serialize + DeserializeOwned,
{
    let defaults = Figment::from(Serialized::defaults(Config::default()))
        .merge(Serialized::default("app", A::default()));
    let schema = Schema::of(&defaults);
    let mut faults = Vec::new();
    let mut set = read_file(file, &schema, &mut faults);
    set.extend(read_variables(variables, &schema, &mut faults));

    let mut figment = defaults.clone();
    let mut origins = BTreeMap::new();
    for (origin, key, value) in set {
        let one = Serialized::default(&key, &value);
        let alone = defaults.clone().merge(&one);
        if let Err(error) = extract::<A>(&alone) {
            faults.push(Fault::at(&origin, format!("{key}: {}", explain(&key, &error))));
        } else if let Some(rule) = extract::<A>(&alone).ok().and_then(|(c, _)| align::out_of_range(&c, &key))
        {
            faults.push(Fault::at(&origin, format!("{key}: {rule}")));
        }
        figment = figment.merge(&one);
        origins.insert(key, origin);
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let (mut config, app) =
        extract::<A>(&figment).map_err(|error| vec![Fault { origin: None, text: error.to_string() }])?;
    let notes = align::align(&mut config, &origins)?;
    let effective = Figment::from(Serialized::defaults(&config)).merge(Serialized::default("app", &app));
    let values = Schema::of(&effective).leaves;
    Ok(Loaded { config, app, values, origins, notes })
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
        Kind::Message(text) => text.clone(),
        Kind::UnknownVariant(_, known) => format!("must be one of {}", known.join(", ")),
        kind => kind.to_string(),
    }
}

/// Whether a key's value must not be shown. A URL may carry a password.
pub(super) fn is_secret(key: &str) -> bool {
    ["password", "secret", "token", "api_key", "credentials", "url", "dsn"]
        .iter()
        .any(|word| key.rsplit('.').next().is_some_and(|name| name.ends_with(word)))
}

type Setting = (Origin, String, Value);

fn read_file(file: Option<&Path>, schema: &Schema, faults: &mut Vec<Fault>) -> Vec<Setting> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let origin = Origin::File(path.to_owned());
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_none() => return Vec::new(),
        Err(error) => {
            faults.push(Fault::at(&origin, format!("cannot be read: {error}")));
            return Vec::new();
        }
    };
    // Parsed here rather than by figment, whose message quotes the line, secrets included.
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            faults.push(Fault::at(&origin, format!("line {line}: not valid TOML: {}", error.message())));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    match Value::serialize(&table) {
        Ok(Value::Dict(_, dict)) => schema.walk("", dict, &origin, &mut found, faults),
        _ => faults.push(Fault::at(&origin, "is not a TOML table".to_owned())),
    }
    found
}

fn read_variables(
    variables: impl Iterator<Item = (OsString, OsString)>,
    schema: &Schema,
    faults: &mut Vec<Fault>,
) -> Vec<Setting> {
    let mut found = Vec::new();
    for (name, value) in variables {
        let name = name.to_string_lossy().into_owned();
        let origin = Origin::Variable(name.clone());
        let Some(path) = name.strip_prefix(PREFIX) else {
            // Platforms inject names like APP_PORT; only what looks like one of ours is an error.
            if let Some(key) = name.strip_prefix("APP_").and_then(|rest| schema.respelt(rest)) {
                faults.push(Fault::at(&origin, format!("is not read; did you mean {}?", variable(&key))));
            }
            continue;
        };
        let key = path.replace("__", ".").to_lowercase();
        let (Some(default), true) = (schema.leaves.get(&key), variable(&key) == name) else {
            let near = schema.respelt(path).or_else(|| schema.nearest(&key));
            let hint = near.map_or(String::new(), |key| format!("; did you mean {}?", variable(&key)));
            faults.push(Fault::at(&origin, format!("there is no such key{hint}")));
            continue;
        };
        match value.into_string() {
            Ok(text) => found.push((origin, key, parse_like(default, text))),
            Err(_) => faults.push(Fault::at(&origin, "is not valid UTF-8".to_owned())),
        }
    }
    found
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// Reads a variable's text as the type its default has: "12345" stays a text where a text is wanted.
fn parse_like(default: &Value, text: String) -> Value {
    let parsed = match default {
        Value::Num(_, Num::F32(_) | Num::F64(_)) => text.parse::<f64>().ok().map(Value::from),
        Value::Num(..) => text.parse::<i64>().ok().map(Value::from),
        Value::Bool(..) => text.parse::<bool>().ok().map(Value::from),
        Value::Array(..) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::from(items.map(str::to_owned).collect::<Vec<_>>()))
        }
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::from(text))
}

/// The keys that exist, each with its default.
struct Schema {
    leaves: BTreeMap<String, Value>,
}

impl Schema {
    fn of(defaults: &Figment) -> Self {
        let mut leaves = BTreeMap::new();
        if let Ok(all) = defaults.extract::<Dict>() {
            flatten("", all, &mut leaves);
        }
        Self { leaves }
    }

    fn is_section(&self, key: &str) -> bool {
        key == "app"
            || self.leaves.keys().any(|leaf| leaf.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    /// Sorts what a file holds into settings and faults.
    fn walk(
        &self,
        prefix: &str,
        dict: Dict,
        origin: &Origin,
        found: &mut Vec<Setting>,
        faults: &mut Vec<Fault>,
    ) {
        for (name, value) in dict {
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value {
                Value::Dict(_, inner) if self.is_section(&key) => {
                    self.walk(&key, inner, origin, found, faults)
                }
                _ if self.is_section(&key) => {
                    faults.push(Fault::at(origin, format!("{key}: is a section, write [{key}]")));
                }
                value if self.leaves.contains_key(&key) => found.push((origin.clone(), key, value)),
                _ => {
                    let hint =
                        self.nearest(&key).map_or(String::new(), |near| format!("; did you mean {near}?"));
                    faults.push(Fault::at(origin, format!("{key}: there is no such key{hint}")));
                }
            }
        }
    }

    /// The key that was meant but written with other separators: `SERVER_ADDR` for `server.addr`.
    fn respelt(&self, name: &str) -> Option<String> {
        let bare = |text: &str| text.replace(['_', '.'], "").to_lowercase();
        self.leaves.keys().find(|key| bare(key) == bare(name)).cloned()
    }

    fn nearest(&self, key: &str) -> Option<String> {
        let closeness = |leaf: &&String| {
            let whole = strsim::jaro_winkler(leaf, key);
            // A section left out or another one written: the last word alone may tell.
            let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
            (whole.max(0.95 * strsim::jaro_winkler(&last(leaf), &last(key))) * 1e6) as u64
        };
        self.leaves.keys().filter(|leaf| closeness(leaf) > 800_000).max_by_key(closeness).cloned()
    }
}

fn flatten(prefix: &str, dict: Dict, leaves: &mut BTreeMap<String, Value>) {
    for (name, value) in dict {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, inner) => flatten(&key, inner, leaves),
            leaf => drop(leaves.insert(key, leaf)),
        }
    }
}

impl Fault {
    fn at(origin: &Origin, text: String) -> Self {
        Self { origin: Some(origin.clone()), text }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}
