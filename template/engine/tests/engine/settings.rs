//! Settings of every shape that serde can hold: from the file, from variables leaf by leaf, and from JSON in variables.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use longpole::internals::{Loaded, Sources, load};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

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

/// Texts that look like something else, and any other.
fn text() -> impl Strategy<Value = String> {
    const ODD: &[&str] = &[
        "",
        "123456",
        "true",
        "1.50",
        "0123456",
        "null",
        "\"q\"",
        "[1, 2]",
        "{\"a\":1}",
        "a,b",
        " x ",
        "1e5",
    ];
    prop_oneof![proptest::sample::select(ODD).prop_map(str::to_owned), "[^\\x00]{0,12}"]
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9]{0,5}(_[a-z0-9]{1,3})?"
}

fn mail() -> impl Strategy<Value = Mail> {
    (text(), any::<u16>(), any::<Option<bool>>(), text()).prop_map(|(host, port, some, password)| Mail {
        host,
        port,
        password: some.map(|_| password),
    })
}

fn backend() -> impl Strategy<Value = Backend> {
    prop_oneof![
        Just(Backend::Off),
        any::<u32>().prop_map(Backend::Fixed),
        (any::<u8>(), text()).prop_map(|(n, text)| Backend::Pair(n, text)),
        ("[^\\x00]{1,9}", any::<Option<u8>>())
            .prop_map(|(path, times)| Backend::File { path: path.into(), times }),
    ]
}

fn tagged() -> impl Strategy<Value = Tagged> {
    prop_oneof![
        Just(Tagged::Plain),
        (text(), any::<u32>(), any::<Option<i16>>()).prop_map(|(name, size, ratio)| Tagged::Named {
            name,
            size,
            ratio: ratio.map(|ratio| f64::from(ratio) / 8.0),
        }),
    ]
}

fn either() -> impl Strategy<Value = Either> {
    // A text of digits is a number there, in whatever way it is written.
    prop_oneof![
        any::<u32>().prop_map(Either::Number),
        "[a-z]{5,9} [a-z, ]{0,9}".prop_map(Either::Word),
        mail().prop_map(Either::Table),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let plain = (text(), any::<Option<bool>>(), any::<u16>(), any::<i64>(), any::<i32>(), any::<bool>());
    let maybe = (any::<char>(), any::<Option<u32>>(), any::<Option<u8>>(), any::<u32>());
    let tables = (mail(), proptest::option::of(mail()), proptest::collection::vec(mail(), 0..3));
    let lists = (
        proptest::collection::vec(any::<u16>(), 0..4),
        proptest::collection::vec(text(), 0..4),
        (text(), any::<u16>()),
    );
    let maps = (
        proptest::collection::btree_map(name(), text(), 0..3),
        proptest::collection::btree_map(any::<u16>(), any::<bool>(), 0..3),
        proptest::collection::btree_map(name(), mail(), 0..2),
    );
    let enums = (backend(), tagged(), proptest::option::of(either()));
    let rest =
        (text(), any::<u32>(), any::<bool>(), 0..100_000_u64, "[^\\x00]{1,9}", any::<u16>(), any::<u8>());
    (plain, maybe, tables, lists, maps, enums, rest).prop_map(
        |(plain, maybe, tables, lists, maps, enums, rest)| Settings {
            text: plain.0.clone(),
            maybe_text: plain.1.map(|_| plain.0),
            number: plain.2,
            signed: plain.3,
            ratio: f64::from(plain.4) / 64.0,
            flag: plain.5,
            letter: if maybe.0 == '\0' { 'z' } else { maybe.0 },
            maybe_number: maybe.1,
            nested: maybe.2.map(Some),
            wrapped: Wrapped(maybe.3.into()),
            mail: tables.0,
            maybe_mail: tables.1,
            mails: tables.2,
            maybe_ports: Some(lists.0.clone()).filter(|ports| !ports.is_empty()),
            ports: lists.0,
            names: lists.1,
            tuple: lists.2,
            tenants: maps.0,
            by_number: maps.1,
            mail_by_name: maps.2,
            backend: enums.0,
            tagged: enums.1,
            either: enums.2,
            flat: Flat { flat_text: rest.0, flat_number: rest.1, flat_flag: rest.2 },
            pause: Duration::from_millis(rest.3),
            size: ByteSize::kib(rest.3 % 1000),
            dir: rest.4.into(),
            addr: SocketAddr::from(([0; 16], rest.5)),
            page_limit: rest.6,
            kebab: rest.6,
            new_name: rest.6,
            hidden: Some(rest.6),
            renamed: Renamed { new_name: rest.6, unshown: None },
        },
    )
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

/// What `settings` are as JSON, without what is none.
fn table(settings: &Settings) -> Map<String, Value> {
    fn without_null(value: Value) -> Value {
        match value {
            Value::Object(map) => {
                let some = map.into_iter().filter(|(_, value)| !value.is_null());
                Value::Object(some.map(|(name, value)| (name, without_null(value))).collect())
            }
            Value::Array(items) => Value::Array(items.into_iter().map(without_null).collect()),
            value => value,
        }
    }
    match without_null(serde_json::to_value(settings).unwrap()) {
        Value::Object(map) => map,
        other => panic!("{other}"),
    }
}

/// A variable for each value, with tables as JSON or taken apart.
fn variables(name: &str, value: &Value, is_whole: bool, into: &mut Vec<(String, String)>) {
    let text = match value {
        Value::Object(map) if map.is_empty() => return,
        Value::Object(map) if !is_whole => {
            for (key, value) in map {
                let key = key.to_uppercase().replace('-', "_");
                variables(&format!("{name}__{key}"), value, false, into);
            }
            return;
        }
        Value::String(text) => text.clone(),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_u64) && !is_whole => {
            items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        value => value.to_string(),
    };
    into.push((name.to_owned(), text));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_serde_can_hold_can_be_set(settings in settings()) {
        let table = table(&settings);

        let file = toml::Value::try_from(json!({ "app": table })).unwrap();
        let from_file = load_file(&toml::to_string(&file).unwrap());
        prop_assert_eq!(from_file.map(|loaded| loaded.app), Ok(settings.clone()));

        for is_whole in [false, true] {
            let mut set = Vec::new();
            for (key, value) in &table {
                let name = format!("APP__APP__{}", key.to_uppercase().replace('-', "_"));
                variables(&name, value, is_whole, &mut set);
            }
            let loaded = load_variables(&set);
            prop_assert_eq!(loaded.as_ref().map(|loaded| &loaded.app), Ok(&settings), "from {:?}", set);
            let report = loaded.map(|loaded| loaded.report()).unwrap_or_default();
            for (name, _) in &set {
                prop_assert!(report.contains(&format!("# {name}\n")), "{name} is the origin of nothing in\n{report}");
            }
        }
    }
}

#[test]
fn a_text_stays_as_it_is() {
    for text in ["123456", "true", "1.50", "0123456", "null", "\"q\"", "", " padded ", "[1]", "{}", "{\"a\""]
    {
        let set =
            [one("text", text), one("maybe_text", text), one("tenants.a", text), one("flat_text", text)]
                .concat();
        let app = load_variables(&set).map_err(|faults| faults.join("\n")).unwrap().app;
        assert_eq!((app.text, app.maybe_text), (text.to_owned(), Some(text.to_owned())));
        assert_eq!((&app.tenants["a"], &app.flat.flat_text), (&text.to_owned(), &text.to_owned()));
    }
}

/// The faults of one variable.
fn refused(key: &str, value: &str) -> Vec<String> {
    match load_variables(&one(key, value)) {
        Ok(_) => panic!("{key}={value} was accepted"),
        Err(faults) => faults,
    }
}

#[test]
fn a_wrong_value_is_refused_with_its_place_and_no_piece_of_json_is_repeated() {
    for (key, value, fault) in [
        ("number", "hunter2", "app.number: invalid type: found string \"hunter2\", expected u16"),
        ("number", "70000", "app.number: invalid value unsigned int `70000`, expected u16"),
        ("maybe_number", "", "app.maybe_number: invalid type: found string \"\", expected u32"),
        ("flag", "yes", "app.flag: invalid type: found string \"yes\", expected a boolean"),
        ("ports", "1,hunter2,3", "app.ports.1: expected u16"),
        ("ports", "[1, \"hunter2\"]", "app.ports.1: expected u16"),
        ("names", "[\"hunter2\"", "app.names: is not valid JSON, at character 10"),
        ("tuple", "hunter2", "app.tuple: has 1 items, expected a tuple of size 2"),
        ("tuple", "a,2,hunter2", "app.tuple: has 3 items, expected fewer"),
        ("mail", "hunter2", "app.mail: JSON is expected, for struct Mail"),
        ("mail", "{\"host\":\"h\",\"port\":\"hunter2\"}", "app.mail.port: expected u16"),
        ("mail", "{\"port\":25,\"password\":\"hunter2\"}", "app.mail.host: is missing"),
        (
            "mail",
            "{\"host\":\"h\",\"port\":25,\"pasword\":\"hunter2\"}",
            "app.mail.pasword: there is no such key; did you mean app.mail.password?",
        ),
        ("maybe_mail.port", "25", "app.maybe_mail.host: is missing"),
        ("mail.password.inner", "hunter2", "app.mail.password.inner: expected a string"),
        ("by_number.x", "true", "app.by_number.x: invalid type: found string \"x\", expected u16"),
        ("backend", "Of", "app.backend: must be one of Off, Fixed, Pair, File"),
        (
            "backend.fixed",
            "hunter2",
            "app.backend.Fixed: invalid type: found string \"hunter2\", expected u32",
        ),
        ("backend.fil.path", "x", "app.backend: must be one of Off, Fixed, Pair, File"),
        ("dir", "", "app.dir: is empty, expected a path"),
        ("pause", "5", "app.pause: \"5\" is not a duration: write it like \"250ms\" or \"30s\""),
    ] {
        let faults = refused(key, value);
        assert_eq!(faults, [format!("{}: {fault}", one(key, value)[0].0)], "{key}={value}");
        assert!(!value.starts_with(['{', '[']) || !faults[0].contains("hunter2"), "{faults:?}");
    }
    let name = one("maybe_mail.hots", "h")[0].0.clone();
    assert_eq!(
        refused("maybe_mail.hots", "h"),
        [format!("{name}: there is no such key; did you mean APP__APP__MAYBE_MAIL__HOST?")]
    );
    // Where serde does not say which one it was.
    let set = [
        one("text", "t"),
        one("flat_number", "hunter2"),
        one("flat_flag", "maybe"),
        one("tagged.kind", "named"),
        one("tagged.name", "n"),
        one("tagged.size", "hunter2"),
    ];
    let faults = load_variables(&set.concat()).map(|loaded| loaded.app).unwrap_err();
    for key in ["flat_number", "flat_flag", "tagged.size"] {
        let begin = format!("{}: app.{key}: expected ", one(key, "")[0].0);
        assert_eq!(
            faults.iter().filter(|fault| fault.starts_with(&begin)).count(),
            1,
            "{begin} in {faults:?}"
        );
    }
    assert_eq!(faults.len(), 3, "{faults:?}");
    for key in ["tagged.nam", "either.hots"] {
        let set =
            [one("tagged.kind", "plain"), one("either.host", "h"), one("either.port", "25"), one(key, "x")];
        let faults = load_variables(&set.concat()).map(|loaded| loaded.app).unwrap_err();
        assert!(faults.len() == 1 && faults[0].contains(": there is no such key"), "{faults:?}");
    }
    assert!(refused("flat_txt", "h")[0].ends_with("there is no such key; did you mean APP__APP__FLAT_TEXT?"));
}

#[test]
fn json_that_is_cut_short_is_never_repeated() {
    let whole = json!({ "host": "h", "port": 25, "password": "hunter2 and more" }).to_string();
    for key in ["mail", "maybe_mail", "mail_by_name", "mails", "tenants", "either", "backend", "tagged"] {
        for end in 1..whole.len() {
            for text in [
                whole[..end].to_owned(),
                format!("[{}", &whole[..end]),
                format!("{{\"File\":{}", &whole[..end]),
            ] {
                if let Err(faults) = load_variables(&one(key, &text)) {
                    assert!(!faults.join("").contains("hunter"), "{key}={text}: {faults:?}");
                }
            }
        }
    }
}

#[test]
fn every_mistake_of_every_layer_is_reported_once() {
    let file = "[app]\nnumber = 70000\nflag = 1\n[app.maybe_mail]\nport = 70000\nhots = 'h'\n\
                [app.tenants]\nx = 1\n[[app.mails]]\nhost = 'h'\nprt = 1\n[app.backend.File]\npath = ''\n";
    let set = [
        one("number", "5"),
        one("maybe_mail.host", "h"),
        one("by_number.5", "maybe"),
        one("ports", "x"),
        one("mail", "{"),
        one("pageLimit", "300"),
        one("nothing", ""),
    ];

    let faults = load_both(file, &set.concat()).map(|loaded| loaded.app).unwrap_err();

    for (place, key) in [
        ("file.toml", "app.number"), // although a variable takes its place
        ("file.toml", "app.flag"),
        ("file.toml", "app.maybe_mail.port"),
        ("file.toml", "app.maybe_mail.hots"),
        ("file.toml", "app.tenants.x"),
        ("file.toml", "app.mails.0.prt"),
        ("file.toml", "app.backend.File.path"),
        ("APP__APP__BY_NUMBER__5", "app.by_number.5"),
        ("APP__APP__PORTS", "app.ports"),
        ("APP__APP__MAIL", "app.mail"),
        ("APP__APP__PAGELIMIT", "app.pageLimit"),
        ("APP__APP__NOTHING", "there is no such key"),
    ] {
        let here = faults.iter().filter(|fault| fault.contains(&format!("{place}: {key}"))).count();
        assert_eq!(here, 1, "{place}: {key} in {faults:#?}");
    }
    assert_eq!(faults.len(), 12, "{faults:#?}");
}

#[test]
fn what_is_given_in_two_layers_is_one_setting_with_two_origins() {
    let file = "[app]\nold_name = 7\nrenamed.old_name = 8\nrenamed.unshown = 'u'\n[app.maybe_mail]\nhost = 'file'\nport = 1\n[app.tenants]\n'b.example' = 'b'\n\
                [app.backend.File]\npath = 'p'\n";
    let set = [one("maybe_mail.port", "25"), one("tenants.a", "a"), one("backend.fixed", "3")].concat();

    let loaded = load_both(file, &set).map_err(|faults| faults.join("\n")).unwrap();

    let app = &loaded.app;
    assert_eq!(app.maybe_mail.as_ref().map(|mail| (&*mail.host, mail.port)), Some(("file", 25)));
    assert_eq!(app.tenants.iter().map(|(a, b)| format!("{a}{b}")).collect::<String>(), "aab.exampleb");
    assert_eq!((&app.backend, app.new_name), (&Backend::Fixed(3), 7), "the later layer's variant; an alias");
    assert_eq!(app.renamed, Renamed { new_name: 8, unshown: Some("u".to_owned()) });
    let report = loaded.report();
    for (line, origin) in [
        ("app.renamed.new_name = 8", "file.toml"),
        ("app.maybe_mail.host = \"file\"", "file.toml"),
        ("app.maybe_mail.port = 25", "APP__APP__MAYBE_MAIL__PORT"),
        ("app.tenants.\"b.example\" = \"b\"", "file.toml"),
        ("app.backend.Fixed = 3", "APP__APP__BACKEND__FIXED"),
        ("app.new_name = 7", "file.toml"),
        ("app.number = 0", "default"),
    ] {
        let is_there = |it: &str| it.starts_with(&format!("{line}  # ")) && it.ends_with(origin);
        assert!(report.lines().any(is_there), "{line} of {origin} is not in\n{report}");
    }
}

#[test]
fn json_replaces_what_the_file_says_and_not_a_part_of_the_same_layer() {
    let file = "[app.maybe_mail]\nhost = 'file'\nport = 1\npassword = 'p'\n";
    let json = one("maybe_mail", "{\"host\":\"h\",\"port\":2}");

    let loaded = load_both(file, &json).map_err(|faults| faults.join("\n")).unwrap();
    let faults = load_variables(&[json, one("maybe_mail.port", "3")].concat()).map(|it| it.app).unwrap_err();

    assert_eq!(loaded.app.maybe_mail, Some(Mail { host: "h".to_owned(), port: 2, password: None }));
    assert!(
        loaded.report().contains("app.maybe_mail.port = 2  # APP__APP__MAYBE_MAIL\n"),
        "{}",
        loaded.report()
    );
    assert_eq!(
        faults,
        ["APP__APP__MAYBE_MAIL__PORT: is a part of APP__APP__MAYBE_MAIL, which is set as well: \
          set either the whole or its parts"]
    );
}

#[test]
fn an_empty_path_is_refused_and_a_size_keeps_its_bytes() {
    let set = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];

    let faults = load_variables(&set("APP__LOG__DIR", "")).map(|it| it.app).unwrap_err();
    let in_file = load_file("log.dir = ''").map(|it| it.app).unwrap_err();
    let exact =
        load_variables(&set("APP__SERVER__BODY_LIMIT", "1048577")).map_err(|it| it.join("\n")).unwrap();

    assert_eq!(faults, ["APP__LOG__DIR: log.dir: is empty, expected a path"]);
    assert!(in_file[0].ends_with("log.dir: is empty, expected a path"), "{in_file:?}");
    assert_eq!(exact.config.server.body_limit.as_u64(), 1_048_577);
}
