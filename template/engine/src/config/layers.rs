//! What do the program, the file and the environment say, and what is each value called?
//!
//! All are split into single settings. Each setting knows where it was set. figment lays the settings over the
//! defaults, and [`super::read`] finds out what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use figment::providers::Serialized;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};
use serde::Serialize;

const PROGRAM: &str = "program";
const FILE: &str = "file";
const VARIABLE: &str = "variable";
/// Where the defaults of the program are set. `check` and messages name this.
pub(super) const SET_DEFAULT: &str = "Service::set_default";

/// Where the settings of a program are looked for.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The prefix of the variables.
    pub prefix: String,
    /// The path of the file, relative to the working directory. The file may be absent.
    pub file: PathBuf,
    /// The defaults of the program, which win over the built-in defaults: a key as in the file, and the text of its
    /// value as in a variable.
    pub defaults: Vec<(String, String)>,
}

impl Default for Sources {
    fn default() -> Self {
        let file = PathBuf::from("config/service.toml");
        Self { prefix: "APP__".to_owned(), file, defaults: Vec::new() }
    }
}

impl Sources {
    /// Whether the prefix is valid: our variables are recognized by it, and what follows it is the key.
    ///
    /// # Errors
    /// The prefix is not valid. The error says what a prefix has to look like.
    pub fn are_sound(&self) -> Result<(), String> {
        let prefix = &self.prefix;
        let name = prefix.strip_suffix("__").unwrap_or_default();
        let is_of_name = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        let begins = name.starts_with(|c: char| c.is_ascii_uppercase());
        (begins && !name.ends_with('_') && name.bytes().all(is_of_name)).then_some(()).ok_or_else(|| {
            format!(
                "Service::env_prefix({prefix:?}): it begins with a capital letter, is of capital letters, digits and \
                 single _, and ends with __, such as \"APP__\""
            )
        })
    }

    /// The name of the variable that sets `key`.
    pub(super) fn variable(&self, key: &[String]) -> String {
        format!("{}{}", self.prefix, key.join("__").replace('-', "_").to_uppercase())
    }
}

/// The names that lead to a value, from the outermost to the innermost: `server`, `addr`.
pub(super) type Key = Vec<String>;
/// The values that are not tables, by key.
pub(super) type Leaves = BTreeMap<Key, Value>;

/// One value that is set.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// The path of the file, the name of the variable, or [`SET_DEFAULT`].
    pub origin: String,
    /// [`PROGRAM`], [`FILE`] or [`VARIABLE`].
    kind: &'static str,
    pub key: Key,
    pub value: Value,
}

impl Setting {
    pub fn is_variable(&self) -> bool {
        self.kind == VARIABLE
    }
}

impl Provider for &Setting {
    fn metadata(&self) -> Metadata {
        Metadata::from(self.origin.clone(), Source::Custom(self.kind.to_owned()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nest = |value, name: &String| Value::from(Dict::from([(name.clone(), value)]));
        let whole = self.key.iter().rev().fold(self.value.clone(), nest);
        Ok(Profile::Default.collect(whole.into_dict().unwrap_or_default()))
    }
}

/// The number of the layer: 0 for the defaults, and a higher number for a layer that overrides the lower ones.
pub(super) fn layer(origin: &Metadata) -> u8 {
    match origin.source.as_ref().and_then(Source::custom) {
        Some(PROGRAM) => 1,
        Some(FILE) => 2,
        Some(VARIABLE) => 3,
        _ => 0,
    }
}

/// Whether a value from there is a text, and its type says what the text means.
pub(super) fn is_text(origin: &Metadata) -> bool {
    matches!(origin.source.as_ref().and_then(Source::custom), Some(PROGRAM | VARIABLE))
}

/// Lays the settings over the defaults. If a key is set twice, the later setting wins.
pub(super) fn merged(defaults: &Value, settings: &[Setting]) -> Figment {
    settings.iter().fold(Figment::from(Serialized::defaults(defaults)), Figment::merge)
}

/// What the program, the file and the environment say, sorted into settings and faults.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub settings: Vec<Setting>,
    pub faults: Vec<String>,
    /// Variables without our prefix. One of them may be a setting with a spelling mistake.
    pub others: Vec<String>,
}

impl Layers {
    /// A default of the program that the file or a variable overrides is left out, so that an operator can mend it. Call this
    /// when both were read.
    pub fn read_program(&mut self, sources: &Sources) {
        let set = |(key, text): &(String, String)| Setting {
            origin: SET_DEFAULT.to_owned(),
            kind: PROGRAM,
            key: key.split('.').map(str::to_owned).collect(),
            value: Value::from(text.as_str()),
        };
        let is_overridden =
            |default: &Setting| self.settings.iter().any(|it| default.key.starts_with(&it.key));
        let left: Vec<_> =
            sources.defaults.iter().map(set).filter(|default| !is_overridden(default)).collect();
        self.settings.splice(..0, left); // first, so that the later layers win
    }

    pub fn read_file(&mut self, sources: &Sources, file: Option<&Path>) {
        let path = file.unwrap_or(&sources.file);
        let origin = path.display();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_none() => return,
            Err(error) => return self.faults.push(format!("{origin}: cannot be read: {error}")),
        };
        // We parse the file here, because a message of figment quotes the whole line, and a secret may be in it.
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
                let fault = format!("{origin}: line {line}: not valid TOML: {}", error.message());
                return self.faults.push(fault);
            }
        };
        let set = |(key, value)| Setting { origin: origin.to_string(), kind: FILE, key, value };
        self.settings.extend(leaves(&to_value(&table)).into_iter().map(set));
    }

    pub fn read_variables(
        &mut self,
        sources: &Sources,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) {
        for (name, value) in variables {
            let name = name.to_string_lossy().into_owned();
            let Some(path) = name.strip_prefix(&sources.prefix) else {
                self.others.push(name);
                continue;
            };
            let key: Key = path.to_lowercase().split("__").map(str::to_owned).collect();
            let Ok(text) = value.into_string() else {
                self.faults.push(format!("{name}: is not valid UTF-8"));
                continue;
            };
            let right = sources.variable(&key);
            if right != name || key.contains(&String::new()) {
                self.faults.push(format!("{name}: there is no such key; did you mean {right}?"));
                continue;
            }
            self.settings.push(Setting { origin: name, kind: VARIABLE, key, value: Value::from(text) });
        }
        self.refuse_both_whole_and_part();
    }

    /// Refuses a variable that sets a part of what another variable sets as a whole. Variables have no order, so neither
    /// of the two could win.
    fn refuse_both_whole_and_part(&mut self) {
        let variables: Vec<_> = self.settings.iter().filter(|it| it.is_variable()).cloned().collect();
        self.settings.retain(|part| {
            let above =
                |whole: &&Setting| part.key.len() > whole.key.len() && part.key.starts_with(&whole.key);
            let whole = variables.iter().filter(|_| part.is_variable()).find(above);
            self.faults.extend(whole.map(|whole| {
                let (part, whole) = (&part.origin, &whole.origin);
                format!(
                    "{part}: is a part of {whole}, which is set as well: set either the whole or its parts"
                )
            }));
            whole.is_none()
        });
    }
}

/// How a key is written in the file.
pub(super) fn spelt(key: &[String]) -> String {
    let quoted = |name: &String| match name.contains('.') || name.is_empty() {
        true => format!("{name:?}"),
        false => name.clone(),
    };
    key.iter().map(quoted).collect::<Vec<_>>().join(".")
}

/// Gives each variable's key the spelling that the type of the settings has, because a variable has no small letters and
/// no `-`. Returns whether any key was changed.
pub(super) fn respell(settings: &mut [Setting], known: &BTreeSet<Key>) -> bool {
    let file = settings.iter().filter(|setting| !setting.is_variable()).map(|setting| &setting.key);
    let known: BTreeSet<Key> = known.iter().chain(file).cloned().collect();
    let mut changed = false;
    for setting in settings.iter_mut().filter(|setting| setting.is_variable()) {
        let mut key = Key::new();
        for name in &setting.key {
            let below = known.iter().filter(|known| known.len() > key.len() && known.starts_with(&key));
            let mut names = below.map(|known| &known[key.len()]);
            let alike = |known: &&String| plain(known) == plain(name);
            let exact = names.clone().any(|known| known == name);
            let spelling = names.find(alike).filter(|_| !exact).unwrap_or(name).clone();
            key.push(spelling);
        }
        changed |= key != setting.key;
        setting.key = key;
    }
    changed
}

fn plain(name: &str) -> String {
    name.replace('-', "_").to_lowercase()
}

/// Serializes `value`. figment refuses a map whose keys are not texts, so such a value goes through JSON, which accepts
/// the map.
pub(super) fn to_value(value: &impl Serialize) -> Value {
    Value::serialize(value)
        .or_else(|_| {
            serde_json::to_value(value).map(|value| Value::serialize(value).unwrap_or(Value::from("")))
        })
        .unwrap_or_else(|_| Value::from(Dict::new()))
}

/// All values in `value` that are not tables, and the empty tables.
pub(super) fn leaves(value: &Value) -> Leaves {
    fn flatten(key: &mut Key, value: &Value, leaves: &mut Leaves) {
        match value {
            Value::Dict(_, inner) if !inner.is_empty() => {
                for (name, value) in inner {
                    key.push(name.clone());
                    flatten(key, value, leaves);
                    key.pop();
                }
            }
            leaf => drop(leaves.insert(key.clone(), leaf.clone())),
        }
    }
    let mut leaves = Leaves::new();
    flatten(&mut Key::new(), value, &mut leaves);
    leaves.remove(&Key::new());
    leaves
}
