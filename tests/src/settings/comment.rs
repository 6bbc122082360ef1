//! What does the doc comment of a setting say?
//!
//! Its first paragraph says what the setting is. Labelled lines follow: `Too high:` and `Too low:`, `true:` and
//! `false:`, and `Default:` where the default is computed.

use syn::{Attribute, Expr, Lit, Meta};

const LABELS: [&str; 7] = ["Default", "Too high", "Too low", "Too many", "Too few", "true", "false"];

pub struct Comment {
    /// What the setting is.
    pub what: String,
    labelled: Vec<(&'static str, String)>,
}

impl Comment {
    /// # Panics
    /// The field has no comment, or the comment has something else after its first paragraph.
    pub fn of(key: &str, attributes: &[Attribute]) -> Self {
        let mut lines = attributes.iter().filter_map(line);
        let what = lines.by_ref().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        assert!(!what.is_empty(), "{key} is not described: it has no doc comment");
        let mut labelled: Vec<(&str, String)> = Vec::new();
        for line in lines {
            let label = LABELS.iter().find_map(|label| {
                Some((*label, line.strip_prefix(label)?.strip_prefix(": ")?.trim_end_matches('.').to_owned()))
            });
            match (label, labelled.last_mut()) {
                (Some(labelled_line), _) => labelled.push(labelled_line),
                (None, Some((_, text))) if !line.is_empty() => {
                    *text = format!("{text} {}", line.trim_end_matches('.'));
                }
                _ => panic!("{key}: its comment has a line without a label: {line:?}"),
            }
        }
        let fits = |text: &str| !text.contains('|');
        let fit = fits(&what) && labelled.iter().all(|(_, text)| fits(text));
        assert!(fit, "{key}: its comment does not fit into a table");
        Self { what, labelled }
    }

    fn labelled(&self, label: &str) -> Option<&str> {
        self.labelled.iter().find(|(known, _)| *known == label).map(|(_, text)| &**text)
    }

    pub fn has(&self, label: &str) -> bool {
        self.labelled(label).is_some()
    }

    /// How a default is computed that depends on something.
    pub fn default(&self) -> Option<&str> {
        self.labelled("Default")
    }

    /// What happens when the value is too high and when it is too low, or what its two values mean.
    pub fn extremes(&self) -> [String; 2] {
        [["Too high", "Too many", "true"], ["Too low", "Too few", "false"]].map(|labels| {
            labels
                .iter()
                .find_map(|label| {
                    let text = self.labelled(label)?;
                    Some(match *label {
                        "Too high" | "Too low" => text.to_owned(),
                        "true" | "false" => format!("`{label}`: {text}"),
                        _ => format!("{}: {text}", label.to_lowercase()),
                    })
                })
                .unwrap_or_default()
        })
    }
}

fn line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(doc) = &attribute.meta else { return None };
    let Expr::Lit(literal) = &doc.value else { return None };
    match &literal.lit {
        Lit::Str(line) if doc.path.is_ident("doc") => Some(line.value().trim().to_owned()),
        _ => None,
    }
}
