//! A value whose type is a secret is shown by nothing and nobody, whatever its key is called.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

use longpole::internals::{Loaded, Sources, load};
use longpole::{Secret, SecretUrl};
use serde::{Deserialize, Serialize};

use crate::common::setup;

const SECRET: &str = "hunter2";

#[test]
fn the_program_does_not_show_it() {
    let url = format!("db://app:{SECRET}@mirror.example/app?x={SECRET}");
    let setup = setup().set("app.partner", SECRET).set("app.mirror", &url).set("log.level", "trace");

    let check = setup.run(&["check"]);
    let service = setup.start();
    let log: String = service.log().iter().map(ToString::to_string).collect();
    let pages = ["/", "/status.json", "/metrics"].map(|path| service.ask(path).text()).concat();

    let check = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
    for line in
        ["app.partner = \"***\"  # APP__APP__PARTNER", "app.mirror = \"db://***@mirror.example/app?***\""]
    {
        assert!(check.contains(line), "{line} is not in {check}");
    }
    assert!(log.contains("drill: set up"), "the settings are logged: {log}");
    for text in [check, log, pages, service.stderr()] {
        assert!(!text.contains(SECRET), "{}", text.lines().find(|line| line.contains(SECRET)).unwrap());
    }
}

#[test]
fn the_program_refuses_one_without_repeating_it() {
    for (value, reason) in [
        ("1234567", "app.partner: expected a text in quotes"),
        ("[\"1234567\"]", "app.partner: expected a text"),
        ("{ inner = \"1234567\" }", "app.partner.inner: expected a text"),
        ("\"***\"", "app.partner: is what stands for a secret: write the secret itself"),
    ] {
        let output = setup().file("config/service.toml", &format!("[app]\npartner = {value}\n")).run(&[]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{value}: {stderr}");
        assert!(stderr.contains(reason) && !stderr.contains("1234567"), "{value}: {stderr}");
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Settings {
    initial: Secret,
    maybe: Option<Secret>,
    several: Vec<Secret>,
    by_name: BTreeMap<String, Secret>,
    pair: (String, Secret),
    site: SecretUrl,
    #[serde(flatten)]
    flat: Flat,
    either: Option<Either>,
    tenant: Option<Tenant>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Flat {
    flat: Secret,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(u8),
    Text(Secret),
}

/// An owner's type: what it says about a wrong value is not up to the engine, nor how it is serialized.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Secret", into = "String")]
struct Tenant(String);

impl TryFrom<Secret> for Tenant {
    type Error = String;

    fn try_from(secret: Secret) -> Result<Self, String> {
        match secret.expose_secret().strip_prefix("t-") {
            Some(tenant) => Ok(Self(tenant.to_owned())),
            None => Err(format!("{} does not begin with t-", secret.expose_secret())),
        }
    }
}

impl From<Tenant> for String {
    fn from(tenant: Tenant) -> Self {
        format!("a tenant of {} letters", tenant.0.len())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            initial: "hunter2 by default".into(),
            maybe: None,
            several: Vec::new(),
            by_name: BTreeMap::new(),
            pair: (String::new(), Secret::default()),
            site: "db://app:hunter2@host/path".into(),
            flat: Flat::default(),
            either: None,
            tenant: None,
        }
    }
}

fn read(file: &str, variables: &[(&str, &str)]) -> Result<Loaded<Settings>, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file.toml");
    fs::write(&path, file).unwrap();
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    load(&Sources::default(), Some(&path), variables)
}

#[test]
fn what_was_set_is_read_wherever_it_stands_and_shown_nowhere() {
    let file = "[app]\nseveral = ['hunter2a', 'hunter2b']\npair = ['hunter', 'hunter2']\nflat = 'hunter2'\n\
                [app.by_name]\nx = 'hunter2'\n";
    let variables = [
        ("APP__APP__MAYBE", "123456"),
        ("APP__APP__BY_NAME__Y", "hunter2"),
        ("APP__APP__EITHER", "hunter2"),
        ("APP__APP__TENANT", "t-hunter2"),
    ];

    let loaded = read(file, &variables).map_err(|faults| faults.join("\n")).unwrap();

    let app = &loaded.app;
    let values =
        [&app.initial, app.maybe.as_ref().unwrap(), &app.several[1], &app.by_name["x"], &app.by_name["y"]];
    let values = values.map(Secret::expose_secret);
    assert_eq!(values, ["hunter2 by default", "123456", "hunter2b", "hunter2", "hunter2"]);
    assert_eq!((app.pair.1.expose_secret(), app.flat.flat.expose_secret()), (SECRET, SECRET));
    assert!(matches!(&app.either, Some(Either::Text(text)) if text.expose_secret() == SECRET), "{app:?}");
    assert_eq!(app.site.expose_secret(), "db://app:hunter2@host/path");
    let report = loaded.report();
    for text in [&report, &format!("{app:?}"), &serde_json::to_string(app).unwrap()] {
        let text = text.replace("tenant: Some(Tenant(\"hunter2\"))", ""); // the owner's own
        assert!(!text.contains(SECRET) && !text.contains("123456"), "{text}");
    }
    for line in [
        "app.initial = \"***\"  # default",
        "app.maybe = \"***\"  # APP__APP__MAYBE",
        "app.several = [\"***\", \"***\"]",
        "app.pair = [\"hunter\", \"***\"]",
        "app.tenant = \"a tenant of 7 letters\"  # APP__APP__TENANT",
    ] {
        assert!(report.contains(line), "{line} is not in {report}");
    }
}

#[test]
fn what_is_refused_is_not_repeated_wherever_it_stands() {
    let file = "[app]\nmaybe = 1234567\nseveral = ['a', 1234567]\npair = ['a', 1234567]\nflat = 1234567\n\
                either = 1234567\n[app.by_name]\nx = 1234567\n[app.site]\ny = 1234567\n";
    let variables = [("APP__APP__TENANT", SECRET), ("APP__APP__INITIAL", "***")];

    let faults = read(file, &variables).map(|loaded| loaded.app).unwrap_err();

    for key in ["maybe", "several.1", "pair.1", "flat", "either", "by_name.x", "site.y", "tenant", "initial"]
    {
        let here = faults.iter().filter(|fault| fault.contains(&format!(": app.{key}: "))).count();
        assert_eq!(here, 1, "{key} in {faults:#?}");
    }
    let said = faults.join("\n");
    assert!(faults.len() == 9 && !said.contains("1234567") && !said.contains(SECRET), "{said}");
}
