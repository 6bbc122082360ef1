//! How is a finding described?
//!
//! All formats use the same sentences. human.rs adds the source text.

use std::fmt::Write;

use crate::findings::{Finding, Kind};
use crate::place::Place;

/// Says what is wrong, in one sentence without a full stop.
pub fn message(finding: &Finding) -> String {
    match finding.kind {
        Kind::Blocking => {
            let through = finding.steps[..finding.steps.len() - 1]
                .iter()
                .map(|step| format!("`{}`", step.calls))
                .collect::<Vec<_>>()
                .join(", ");
            let through = if through.is_empty() { through } else { format!(", through {through}") };
            format!("`{}` blocks the event loop{through}", finding.path)
        }
        Kind::Guard => format!("a `{}` is alive across an `.await`", finding.path),
        Kind::AllowWithoutReason => "this exception gives no reason".to_owned(),
        Kind::UnusedAllow => "this exception excuses nothing".to_owned(),
    }
}

/// Says what to do about it.
pub fn cure(finding: &Finding, offload: &str) -> String {
    let wrap = |what: &str| format!("{what} in one `{offload}(move || …).await`");
    match finding.kind {
        Kind::AllowWithoutReason => return "write `// unblock: allow(REASON)`".to_owned(),
        Kind::UnusedAllow => {
            return "remove it, or move it to the line of the call that it is for".to_owned();
        }
        Kind::Guard => {
            return "end its scope or `drop` it before the `.await`, or use a lock of `tokio::sync`"
                .to_owned();
        }
        Kind::Blocking => {}
    }
    let direct = finding.steps.len() == 1;
    let instead = &finding.instead;
    let files = finding.category.starts_with("fs") || finding.category == "io";
    let offloads = instead.contains("spawn_blocking");
    match (direct, finding.calls_in_cause) {
        _ if finding.category == "block_on" => {
            "make the functions on the way async, and `.await` the future".to_owned()
        }
        (true, count) if files && count > 1 => {
            wrap(&format!("put this and the other blocking calls of `{}`", finding.within))
        }
        (true, _) if offloads => wrap("run it"),
        (true, _) if files => format!("use {instead}; for several calls, put all {}", wrap("of them")),
        (true, _) => format!("use {instead}; or run it in `{offload}`"),
        (false, count) if count > 1 => {
            wrap(&format!("run `{}`, which makes {count} blocking calls,", finding.steps[0].calls))
        }
        (false, _) if offloads => wrap(&format!("run `{}`", finding.steps[0].calls)),
        (false, _) => {
            format!("{}, or make it async with {instead}", wrap(&format!("run `{}`", finding.steps[0].calls)))
        }
    }
}

/// `path:line:col: message`.
pub fn short(finding: &Finding, offload: &str) -> String {
    let place = &finding.place;
    let text = format!("{}: {}", message(finding), cure(finding, offload));
    format!("{}:{}:{}: {}", place.file.display(), place.line, place.column, one_line(&text))
}

pub fn json(finding: &Finding, offload: &str) -> String {
    let mut value = serde_json::to_value(finding).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("message".to_owned(), message(finding).into());
        object.insert("help".to_owned(), cure(finding, offload).into());
    }
    value.to_string()
}

/// A workflow command of GitHub Actions. Line ends and some signs would end the command or start another one.
/// They are escaped as in <https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts>.
pub fn github(finding: &Finding, offload: &str) -> String {
    let place = &finding.place;
    let mut text = format!("{}\n", message(finding));
    for step in finding.steps.iter().skip(1) {
        let _ = writeln!(text, "{}:{}: {}", step.place.file.display(), step.place.line, step.calls);
    }
    text.push_str(&cure(finding, offload));
    format!(
        "::error file={},line={},endLine={},col={},title={}::{}",
        property(&place.file.to_string_lossy()),
        place.line,
        place.end_line,
        place.column,
        property("cargo unblock"),
        data(&text),
    )
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// The identifier of the kind of finding.
pub fn rule(kind: &Kind) -> &'static str {
    match kind {
        Kind::Blocking => "blocking",
        Kind::Guard => "guard-across-await",
        Kind::AllowWithoutReason => "allow-without-reason",
        Kind::UnusedAllow => "unused-allow",
    }
}

/// A SARIF 2.1.0 log:
/// <https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html>.
pub fn sarif(findings: &[Finding], offload: &str) -> String {
    let location = |place: &Place, text: Option<String>| {
        let mut location = serde_json::json!({
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&place.file.to_string_lossy()), "uriBaseId": "%SRCROOT%" },
                "region": {
                    "startLine": place.line,
                    "startColumn": place.column,
                    "endLine": place.end_line,
                    "endColumn": place.end_column,
                },
            },
        });
        if let Some(text) = text {
            location["message"] = serde_json::json!({ "text": text });
        }
        location
    };
    let results: Vec<_> = findings
        .iter()
        .map(|finding| {
            let steps: Vec<_> = finding
                .steps
                .iter()
                .map(|step| serde_json::json!({ "location": location(&step.place, Some(format!("`{}` calls `{}`", step.within, step.calls))) }))
                .collect();
            let mut result = serde_json::json!({
                "ruleId": rule(&finding.kind),
                "level": "error",
                "message": { "text": format!("{}: {}.", message(finding), cure(finding, offload)) },
                "locations": [location(&finding.place, None)],
            });
            if !steps.is_empty() {
                result["codeFlows"] = serde_json::json!([{ "threadFlows": [{ "locations": steps }] }]);
            }
            result
        })
        .collect();
    let kinds = [Kind::Blocking, Kind::Guard, Kind::AllowWithoutReason, Kind::UnusedAllow];
    let texts = [
        "Async code reaches a blocking call",
        "A lock guard is alive across an await",
        "An exception gives no reason",
        "An exception excuses nothing",
    ];
    let rules: Vec<_> = kinds
        .iter()
        .zip(texts)
        .map(|(kind, text)| serde_json::json!({ "id": rule(kind), "shortDescription": { "text": text } }))
        .collect();
    let log = serde_json::json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "cargo-unblock",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}")
}

/// A relative path as a URI reference.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.replace('\\', "/").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(byte as char);
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Step;

    fn hostile() -> Finding {
        let place =
            Place { file: "a,b:c\n::error::%.rs".into(), line: 1, column: 2, end_line: 1, end_column: 9 };
        let step = Step {
            place: place.clone(),
            within: "f".to_owned(),
            calls: "g\n::set-output name=x::y".to_owned(),
        };
        Finding {
            place,
            path: "std::fs::read\r\n::warning::".to_owned(),
            steps: vec![step.clone(), step],
            cause: "g".to_owned(),
            ..Finding::example()
        }
    }

    #[test]
    fn an_annotation_stays_one_line_and_one_command() {
        let text = github(&hostile(), "tokio::task::spawn_blocking");
        assert_eq!(text.lines().count(), 1);
        assert!(text.starts_with("::error file=a%2Cb%3Ac%0A%3A%3Aerror%3A%3A%25.rs,line=1,endLine=1,col=2,title=cargo unblock::"), "{text}");
        assert!(text.contains("%0A::set-output"), "{text}");
    }

    #[test]
    fn a_short_message_is_one_line() {
        let finding = hostile();
        let text = short(&finding, "tokio::task::spawn_blocking");
        // The path is the user's own; the message must not add lines to it.
        assert_eq!(text.replacen("a,b:c\n", "", 1).lines().count(), 1, "{text}");
    }

    #[test]
    fn a_uri_has_no_sign_that_means_something() {
        assert_eq!(uri("src/a b#?.rs"), "src/a%20b%23%3F.rs");
    }
}
