//! Is each mistake told with its place, and is no secret repeated?

use serde_json::json;

use super::{load_both, load_file, load_variables, one};

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
