//! Every log line is whole, is one line and is JSON, whatever a program hands to tracing.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use longpole::config::LogFormat;
use longpole::internals;
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use tracing::callsite::{Callsite, Identifier};
use tracing::field::{FieldSet, Value};
use tracing::metadata::Kind;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The one line that the log has after `act`, which logs one event.
fn line_as(format: LogFormat, act: impl FnOnce()) -> String {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::registry().with(internals::layer(format, move || writer.clone()));
    tracing::subscriber::with_default(subscriber, act);
    let mut text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.pop(), Some('\n'), "{text}");
    let moves = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
    assert!(!text.contains(moves), "{text:?} is not one line, or moves the cursor");
    text
}

/// The keys of the line as JSON, which must all be different, with the text of their values.
fn line(act: impl FnOnce()) -> BTreeMap<String, String> {
    let text = line_as(LogFormat::Json, act);
    parse(&text)
}

fn parse(text: &str) -> BTreeMap<String, String> {
    serde_json::from_str::<Object>(text).unwrap_or_else(|error| panic!("{error} in {text}")).0
}

struct Object(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut keys = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    let twice = keys.insert(key.clone(), value.get().to_owned());
                    assert_eq!(twice, None, "{key} stands there twice");
                }
                Ok(Object(keys))
            }
        }
        json.deserialize_map(Keys)
    }
}

struct Fails;

impl Debug for Fails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half a \"")?;
        Err(fmt::Error)
    }
}

impl Display for Fails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(self, f)
    }
}

struct Panics;

impl Debug for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half a \\")?;
        panic!("a panic in Debug")
    }
}

impl Display for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(self, f)
    }
}

/// An error with its source.
#[derive(Debug)]
struct Broken(&'static str, Option<Box<Broken>>);

impl Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

/// An error that is its own source.
#[derive(Debug)]
struct Circular;

impl Display for Circular {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("round")
    }
}

impl Error for Circular {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

/// An error that panics when it is asked for its source.
#[derive(Debug)]
struct Moody;

impl Display for Moody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mood")
    }
}

impl Error for Moody {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        panic!("no source")
    }
}

#[test]
fn milliseconds_are_decimals_with_three_places() {
    for (value, wanted) in [
        (-0.5, "-0.500"),
        (-1.25, "-1.250"),
        (-1234.5678, "-1234.568"),
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (-0.0001, "0.000"),
        (0.0005, "0.001"),
        (12.0, "12.000"),
        (1e15, "1000000000000000.000"),
        (1e20, "100000000000000000000.000"),
        (-1e20, "-100000000000000000000.000"),
        (f64::NAN, "null"),
        (f64::NEG_INFINITY, "null"),
    ] {
        assert_eq!(line(|| info!(skew_ms = value))["skew_ms"], wanted, "{value}");
    }
    let huge = &line(|| info!(big_ms = 1e300))["big_ms"];
    assert!(huge.len() == 305 && huge.ends_with(".000"), "{huge}");
    assert_eq!(huge.parse(), Ok(1e300));
    assert_eq!(line(|| info!(took_ms = 7_u64))["took_ms"], "7.000");
    assert_eq!(line(|| info!(took_ms = i64::MIN))["took_ms"], "-9223372036854775808.000");
    let as_millis = std::time::Duration::from_millis(7).as_millis();
    assert_eq!(line(|| info!(took_ms = as_millis))["took_ms"], "7.000");
    assert_eq!(line(|| info!(took_ms = "a while"))["took_ms"], "\"a while\"");
}

#[test]
fn every_type_has_a_value() {
    let line = line(|| {
        info!(
            large = u128::MAX,
            small = i128::MIN,
            most = u64::MAX,
            nan = f64::NAN,
            infinite = f64::INFINITY,
            tiny = f64::MIN_POSITIVE,
            yes = true,
            bytes = b"\xed\xa0\x80\"".as_slice(),
            surrogate = ?b"\xed\xa0\x80".escape_ascii().to_string(),
            breaks = "a\u{2028}b\u{85}c\nd",
            empty = tracing::field::Empty,
            nothing = None::<u8>,
        );
    });
    assert_eq!(line["large"], "\"340282366920938463463374607431768211455\"");
    assert_eq!(line["small"], "\"-170141183460469231731687303715884105728\"");
    assert_eq!(line["most"], "18446744073709551615");
    assert_eq!((line["nan"].as_str(), line["infinite"].as_str()), ("null", "null"));
    assert_eq!(line["tiny"].parse(), Ok(f64::MIN_POSITIVE));
    assert_eq!(line["yes"], "true");
    assert_eq!(line["bytes"], "\"[ed a0 80 22]\"");
    assert_eq!(line["breaks"], r#""a\u2028b\u0085c\nd""#);
    assert!(!line.contains_key("empty") && !line.contains_key("nothing"));
}

#[test]
fn an_error_keeps_its_sources() {
    let broken = Broken("not stored", Some(Box::new(Broken("disk", Some(Box::new(Broken("full", None)))))));
    let error: &(dyn Error + 'static) = &broken;
    assert_eq!(line(|| info!(error))["error"], "\"not stored: disk: full\"");
    let told = Broken("not stored: full", Some(Box::new(Broken("full", None))));
    let error: &(dyn Error + 'static) = &told;
    assert_eq!(line(|| info!(error))["error"], "\"not stored: full\"", "no source is told twice");
    let error: &(dyn Error + 'static) = &Circular;
    assert_eq!(line(|| info!(error))["error"], "\"round\"");
    assert!(line_as(LogFormat::Text, || info!(error)).ends_with(" error=round"));
}

#[test]
fn keys_are_escaped_and_never_the_same() {
    let line = line(|| {
        info!(
            r#type = 1,
            "a \"quoted\" name\n" = 2,
            timestamp = 3,
            field_timestamp = 4,
            dotted.name = 5,
            message = "the field",
            "the text"
        );
    });
    let json = |key: &str| line[key].as_str();
    assert_eq!((json("type"), json("a \"quoted\" name\n"), json("dotted.name")), ("1", "2", "5"));
    assert_eq!((json("field_field_timestamp"), json("field_timestamp")), ("3", "4"));
    let messages = [json("message"), json("field_message")];
    assert!(messages.contains(&"\"the text\"") && messages.contains(&"\"the field\""), "{messages:?}");
}

#[test]
fn a_value_that_fails_or_panics_leaves_a_whole_line() {
    for act in [
        (|| info!(before = 1, value = ?Fails, after = 2)) as fn(),
        || info!(before = 1, value = %Panics, after = 2),
    ] {
        let line = line(act);
        assert_eq!((line["before"].as_str(), line["after"].as_str()), ("1", "2"));
        assert!(line["value"].starts_with("\"half a \\"), "{}", line["value"]);
        assert!(line_as(LogFormat::Text, act).ends_with(" after=2"));
    }
    let error: &(dyn Error + 'static) = &Moody;
    assert!(line(|| info!(error, after = 2))["error"].starts_with("\"a mood… (a panic"));
    assert!(line(|| info!("{Panics}"))["message"].contains("was formatted: a panic in Debug)"));
    assert!(line(|| info!("{Fails}"))["message"].contains("could not be formatted"));
}

#[test]
fn a_line_that_only_looks_like_a_requests_is_escaped() {
    let line = line(|| info!(target: "request", phases = ?"x\"", busy = %"}", "request"));
    assert_eq!(line["phases"], r#""\"x\\\"\"""#);
    assert_eq!(line["busy"], "\"}\"");
}

#[test]
fn a_record_of_the_crate_log_has_its_own_level_and_target() {
    let write = || {
        let args = format_args!("two\nlines");
        let target = "a \"target\"\n";
        let record = tracing_log::log::Record::builder()
            .args(args)
            .level(tracing_log::log::Level::Debug)
            .target(target)
            .file(Some("file.rs"))
            .line(Some(7))
            .module_path(Some("module"))
            .build();
        tracing_log::format_trace(&record).unwrap();
    };
    let line = line(write);
    let keys: Vec<_> = line.keys().collect();
    assert_eq!(keys, ["level", "message", "target", "timestamp"]);
    assert_eq!((line["level"].as_str(), line["target"].as_str()), ("\"DEBUG\"", r#""a \"target\"\n""#));
    assert!(line_as(LogFormat::Text, write).ends_with(r#"Z DEBUG a "target"\n: two\nlines"#));
}

#[test]
fn spans_are_whole_too() {
    let line = line(|| {
        let span = info_span!(
            "a \"span\"",
            name = "its field",
            skew_ms = -0.5,
            value = ?Panics,
            later = tracing::field::Empty
        );
        span.record("later", 1e300);
        span.record("later", "\u{2028}");
        let _outer = span.enter();
        let _inner = info_span!("inner", nan = f64::NAN).entered();
        info!("inside");
    });
    let spans: Vec<Box<RawValue>> = serde_json::from_str(&line["spans"]).unwrap();
    let spans: Vec<_> = spans.iter().map(|span| parse(span.get())).collect();
    let [outer, inner] = &spans[..] else { panic!("{}", line["spans"]) };
    assert_eq!((outer["name"].as_str(), outer["field_name"].as_str()), (r#""a \"span\"""#, "\"its field\""));
    assert_eq!((outer["skew_ms"].as_str(), outer["later"].as_str()), ("-0.500", r#""\u2028""#));
    assert!(outer["value"].contains("panic"));
    assert_eq!((inner["name"].as_str(), inner["nan"].as_str()), ("\"inner\"", "null"));
}

/// An event with fields of any name, which the macros take only as literals.
fn log_event(target: &'static str, fields: &[(String, Box<dyn Value>); 4]) {
    struct Made(OnceLock<Metadata<'static>>);
    impl Callsite for Made {
        fn set_interest(&self, _: Interest) {}
        fn metadata(&self) -> &Metadata<'_> {
            self.0.get().unwrap()
        }
    }
    let names: Vec<&'static str> = fields.iter().map(|(name, _)| &*name.clone().leak()).collect();
    let made: &'static Made = Box::leak(Box::new(Made(OnceLock::new())));
    let set = FieldSet::new(names.leak(), Identifier(made));
    let metadata = made
        .0
        .get_or_init(|| Metadata::new("event", target, Level::INFO, None, None, None, set, Kind::EVENT));
    let keys: Vec<_> = metadata.fields().iter().collect();
    let value = |at: usize| (&keys[at], Some(&*fields[at].1));
    Event::dispatch(metadata, &metadata.fields().value_set(&[value(0), value(1), value(2), value(3)]));
}

fn any_name() -> impl Strategy<Value = String> {
    let own = prop::sample::select(vec![
        "message",
        "timestamp",
        "level",
        "target",
        "request_id",
        "trace_id",
        "spans",
        "field_level",
        "phases",
        "a",
        "r#a",
        "a_ms",
        "log.line",
        "a\"",
        "",
    ]);
    prop_oneof![own.prop_map(str::to_owned), any::<String>()]
}

fn any_value() -> impl Strategy<Value = Box<dyn Value>> {
    fn boxed(value: impl Value + 'static) -> Box<dyn Value> {
        Box::new(value)
    }
    let text = prop_oneof![any::<String>(), "[\\x00-\\x9f\u{2026}-\u{202f}\"\\\\é€😀]{0,9}"];
    prop_oneof![
        any::<i64>().prop_map(boxed),
        any::<u64>().prop_map(boxed),
        any::<i128>().prop_map(boxed),
        any::<u128>().prop_map(boxed),
        any::<f64>().prop_map(boxed),
        prop::num::f64::ANY.prop_map(boxed),
        any::<bool>().prop_map(boxed),
        text.clone().prop_map(boxed),
        text.clone().prop_map(|text| boxed(tracing::field::display(text))),
        text.prop_map(|text| boxed(tracing::field::debug(text))),
        any::<Vec<u8>>().prop_map(|bytes| boxed(bytes.into_boxed_slice())),
        any::<Vec<u8>>().prop_map(|bytes| boxed(tracing::field::debug(bytes))),
        Just(()).prop_map(|()| boxed(tracing::field::debug(Fails))),
        Just(()).prop_map(|()| boxed(Box::new(Circular) as Box<dyn Error + 'static>)),
    ]
}

proptest! {
    // No file of failing seeds is written, because the output of the test has the seed.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_logged(target in any::<String>(), names in [any_name(), any_name(), any_name(), any_name()], values in [any_value(), any_value(), any_value(), any_value()]) {
        let target: &'static str = target.leak();
        let mut values = values.into_iter();
        let fields = names.map(|name| (name, values.next().unwrap()));
        let line = line(|| log_event(target, &fields));
        prop_assert_eq!(serde_json::from_str::<String>(&line["target"]).unwrap(), target);
        let message = usize::from(!fields.iter().any(|(name, _)| name == "message"));
        prop_assert_eq!(line.len(), 3 + 4 + message, "a key for each field: {:?}", line);
        line_as(LogFormat::Text, || log_event(target, &fields));
    }
}
