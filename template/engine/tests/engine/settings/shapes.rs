//! Can everything that serde can hold be set: from the file, from variables leaf by leaf, and from JSON in variables?

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    Backend, Either, Flat, Mail, Renamed, Settings, Tagged, Wrapped, load_file, load_variables, one,
};

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
