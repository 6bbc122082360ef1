//! What do the tables of docs/configuration.md have to say about each setting?
//!
//! A table stands between `<!-- settings: NAME -->` and `<!-- end of settings -->`. NAME is one section, or several. If
//! the section belongs to a database, a colon and the database follow.

use super::{Section, Setting, file};

const BEGIN: &str = "<!-- settings: ";
const END: &str = "<!-- end of settings -->";

/// Returns the page with new tables. `twin` is the twin of the configuration file, which has the defaults.
///
/// # Panics
/// A section has no table.
pub fn with_tables(page: &str, sections: &[Section], twin: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut told = Vec::new();
    let mut is_table = false;
    for line in page.lines() {
        is_table &= line != END;
        if !is_table {
            lines.push(line.to_owned());
        }
        let Some(names) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(" -->")) else {
            continue;
        };
        is_table = true;
        let names: Vec<_> = names.split(' ').collect();
        lines.extend([
            String::new(),
            "| key | default | range | what it is | too high | too low |".to_owned(),
        ]);
        lines.push("|---|---|---|---|---|---|".to_owned());
        for section in sections.iter().filter(|section| names.contains(&&*name(section))) {
            told.push(name(section));
            for setting in &section.settings {
                let prefix = if names.len() > 1 { format!("{}.", section.name) } else { String::new() };
                lines.push(row(&prefix, setting, &file::default(twin, sections, section, setting)));
            }
        }
        lines.push(String::new());
    }
    for section in sections {
        let times = told.iter().filter(|told| **told == name(section)).count();
        assert_eq!(times, 1, "tables of {} in docs/configuration.md", name(section));
    }
    lines.join("\n") + "\n"
}

fn name(section: &Section) -> String {
    let database = section.database.as_ref();
    database.map_or(section.name.clone(), |database| format!("{}:{database}", section.name))
}

fn row(prefix: &str, setting: &Setting, default: &str) -> String {
    let Setting { name, comment, range, .. } = setting;
    let default = comment.default().map_or_else(|| format!("`{default}`"), str::to_owned);
    let [high, low] = comment.extremes();
    format!(
        "| `{prefix}{name}` | {default} | {range} | {} | {high} | {low} |",
        comment.what.trim_end_matches('.')
    )
    .replace("|  |", "| |")
    .replace("|  |", "| |")
}
