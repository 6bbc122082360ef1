//! Settings of every shape that serde can hold, and how they are loaded here.

mod layers;
mod mistakes;
mod shapes;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use longpole::internals::{Loaded, Sources, load};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Mail {
    host: String,
    port: u16,
    password: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Backend {
    Off,
    Fixed(u32),
    Pair(u8, String),
    File { path: PathBuf, times: Option<u8> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Tagged {
    Plain,
    Named { name: String, size: u32, ratio: Option<f64> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(u32),
    Word(String),
    Table(Mail),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Flat {
    flat_text: String,
    flat_number: u32,
    flat_flag: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Wrapped(u64);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Renamed {
    #[serde(alias = "old_name")]
    new_name: u8,
    #[serde(skip_serializing)]
    unshown: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    text: String,
    maybe_text: Option<String>,
    number: u16,
    signed: i64,
    ratio: f64,
    flag: bool,
    letter: char,
    maybe_number: Option<u32>,
    nested: Option<Option<u8>>,
    wrapped: Wrapped,
    mail: Mail,
    maybe_mail: Option<Mail>,
    ports: Vec<u16>,
    maybe_ports: Option<Vec<u16>>,
    names: Vec<String>,
    mails: Vec<Mail>,
    tuple: (String, u16),
    tenants: BTreeMap<String, String>,
    by_number: BTreeMap<u16, bool>,
    mail_by_name: BTreeMap<String, Mail>,
    backend: Backend,
    tagged: Tagged,
    either: Option<Either>,
    #[serde(flatten)]
    flat: Flat,
    #[serde(with = "humantime_serde")]
    pause: Duration,
    size: ByteSize,
    dir: PathBuf,
    addr: SocketAddr,
    #[serde(rename = "pageLimit")]
    page_limit: u8,
    #[serde(rename = "kebab-case")]
    kebab: u8,
    #[serde(alias = "old_name")]
    new_name: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hidden: Option<u8>,
    renamed: Renamed,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            text: "default".to_owned(),
            maybe_text: None,
            number: 0,
            signed: 0,
            ratio: 0.5,
            flag: false,
            letter: 'x',
            maybe_number: None,
            nested: None,
            wrapped: Wrapped(0),
            mail: Mail { host: "default".to_owned(), port: 25, password: None },
            maybe_mail: None,
            ports: Vec::new(),
            maybe_ports: None,
            names: Vec::new(),
            mails: Vec::new(),
            tuple: ("default".to_owned(), 1),
            tenants: BTreeMap::new(),
            by_number: BTreeMap::new(),
            mail_by_name: BTreeMap::new(),
            backend: Backend::File { path: "default".into(), times: None },
            tagged: Tagged::Plain,
            either: None,
            flat: Flat::default(),
            pause: Duration::from_secs(1),
            size: ByteSize::kib(1),
            dir: "default".into(),
            addr: SocketAddr::from(([127, 0, 0, 1], 1)),
            page_limit: 0,
            kebab: 0,
            new_name: 0,
            hidden: None,
            renamed: Renamed::default(),
        }
    }
}

fn load_file(text: &str) -> Result<Loaded<Settings>, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file.toml");
    fs::write(&file, text).unwrap();
    load(&Sources::default(), Some(&file), std::iter::empty())
}

fn load_both(text: &str, variables: &[(String, String)]) -> Result<Loaded<Settings>, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file.toml");
    fs::write(&file, text).unwrap();
    load(
        &Sources::default(),
        Some(&file),
        variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))),
    )
}

fn load_variables(variables: &[(String, String)]) -> Result<Loaded<Settings>, Vec<String>> {
    load_both("", variables)
}

fn one(key: &str, value: &str) -> Vec<(String, String)> {
    vec![(format!("APP__APP__{}", key.replace('.', "__").to_uppercase()), value.to_owned())]
}
