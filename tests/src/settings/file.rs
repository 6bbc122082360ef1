//! What does `config/service.toml` have to say about each setting?
//!
//! The comment above each key says what the setting is. The file of the template has the keys of SQLite. Its twin has
//! the keys of both databases, each under its condition.

use super::{Section, Setting};

/// Lines of a comment are at most this long.
const WIDTH: usize = 110;

/// Returns a file with new comments.
///
/// # Panics
/// A setting of the engine has no line, or a line sets nothing.
pub fn commented(file: &str, sections: &[Section]) -> String {
    let mut lines: Vec<String> = Vec::new();
    walk(file, |line, conditions| {
        let found = key(line).and_then(|(section, name, _)| find(sections, section, name, conditions));
        if let Some(setting) = found {
            while lines.last().is_some_and(|line| line.starts_with("# ")) {
                lines.pop();
            }
            lines.extend(comment(setting, conditions.is_without_database()));
        }
        lines.push(line.to_owned());
    });
    lines.join("\n") + "\n"
}

/// The default of a setting as the file writes it.
///
/// # Panics
/// The file has no default of this setting.
pub fn default(file: &str, sections: &[Section], section: &Section, setting: &Setting) -> String {
    let mut default = None;
    walk(file, |line, conditions| {
        let Some((of, name, value)) = key(line).filter(|_| !conditions.is_without_database()) else { return };
        let found = find(sections, of, name, conditions);
        let is_this = of == section.name && name == setting.name;
        if is_this
            && found.is_some()
            && conditions.database().is_none_or(|it| Some(it) == section.database.as_deref())
        {
            default = Some(value.trim_matches('"').to_owned());
        }
    });
    default.unwrap_or_else(|| panic!("config/service.toml does not have {}.{}", section.name, setting.name))
}

/// The conditions of the twin under which a line stands.
#[derive(Default)]
pub struct Conditions(Vec<String>);

impl Conditions {
    fn read(&mut self, line: &str) {
        let Some(tag) = line.trim().strip_prefix("{%") else { return };
        let tag = tag.trim_start_matches('-').trim_end_matches("%}").trim();
        match tag.split_once(' ').unwrap_or((tag, "")) {
            ("if", condition) => self.0.push(condition.to_owned()),
            ("unless", condition) => self.0.push(format!("not {condition}")),
            ("else", _) => {
                let condition = self.0.pop().expect("an if before the else");
                self.0.push(format!("not {condition}"));
            }
            ("endif" | "endunless", _) => drop(self.0.pop()),
            _ => {}
        }
    }

    fn has(&self, condition: &str) -> bool {
        self.0.iter().any(|known| known == condition)
    }

    fn is_without_database(&self) -> bool {
        self.has("database == \"none\"")
    }

    fn database(&self) -> Option<&'static str> {
        match () {
            () if self.has("database == \"postgres\"") => Some("postgres"),
            () if self.has("not database == \"postgres\"") => Some("sqlite"),
            () => None,
        }
    }
}

/// Each line with its conditions.
fn walk(file: &str, mut see: impl FnMut(&str, &Conditions)) {
    let mut conditions = Conditions::default();
    for line in file.lines() {
        conditions.read(line);
        see(line, &conditions);
    }
}

/// The section, the name and the value of a line such as `#server.addr = "127.0.0.1:8080"`.
fn key(line: &str) -> Option<(&str, &str, &str)> {
    let (key, value) = line.strip_prefix('#')?.split_once(" = ")?;
    let (section, name) = key.split_once('.').filter(|(section, _)| !section.contains(' '))?;
    Some((section, name, value))
}

/// The setting of this section and this name. None if it is a setting of the owner's.
fn find<'a>(
    sections: &'a [Section],
    section: &str,
    name: &str,
    conditions: &Conditions,
) -> Option<&'a Setting> {
    let database = conditions.database().unwrap_or("sqlite");
    let is_of = |it: &&Section| it.name == section && it.database.as_ref().is_none_or(|it| it == database);
    let found = sections.iter().find(is_of).and_then(|it| it.settings.iter().find(|it| it.name == name));
    assert!(found.is_some() || section == "app", "config/service.toml: there is no {section}.{name}");
    found
}

fn comment(setting: &Setting, is_without_database: bool) -> Vec<String> {
    let mut text = setting.comment.what.replace('`', "");
    if setting.is_word {
        text.push_str(&format!(" One of {}.", setting.range.replace('`', "")));
    }
    if let Some(default) = setting.comment.default().filter(|_| !is_without_database) {
        text.push_str(&format!(" The default is {}, shown here for four cores.", default.replace('`', "")));
    }
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= WIDTH => *line = format!("{line} {word}"),
            _ => lines.push(format!("# {word}")),
        }
    }
    lines
}
