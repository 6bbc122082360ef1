//! Which of the layers wins, where a part of a setting is set in each?

use super::{Backend, Mail, Renamed, load_both, load_variables, one};

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
