//! What does the compiler's MIR text say?
//!
//! The output of `-Zunpretty=mir -Zmir-include-spans=yes -Ztrim-diagnostic-paths=no` is read line by line.
//! The analysis needs the calls, the drops, the values whose type is hidden, and what an async body keeps
//! across an `.await`. The text is not a stable interface. tests/golden holds what is read from the text of
//! known compilers, and the probe (probe.rs) checks each compiler.
//!
//! When a new compiler prints a line differently, look at lines.rs for headers, at statement.rs and
//! comment.rs for the lines of a body, and at text.rs for the signs within a line.

mod comment;
mod flow;
mod lines;
mod open;
mod statement;
mod text;

use std::io::{self, BufRead};

use rustc_hash::FxHashMap;

use self::open::Reader;
use crate::facts::Unit;

/// Reads all bodies. `unit` already says to which crate they belong.
pub fn read(mut text: impl BufRead, unit: &mut Unit) -> io::Result<()> {
    let mut reader = Reader { unit, strings: FxHashMap::default(), body: None };
    let mut line = Vec::new();
    loop {
        line.clear();
        if text.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line);
        reader.line(line.trim_end_matches(['\n', '\r']));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Origin, Span, Target};

    /// What is kept of a text, as text.
    fn facts(text: &[u8]) -> String {
        let mut unit = Unit::default();
        read(text, &mut unit).unwrap();
        let place = |span: &Span| format!("{}:{}", span.line, span.column);
        let mut shown = String::new();
        for body in &unit.bodies {
            let types: Vec<&str> = body.signature.iter().map(|&ty| unit.text(ty)).collect();
            shown += &format!("{} ({}) to line {}\n", unit.text(body.name), types.join(", "), body.last_line);
            for call in &body.calls {
                let callee = match call.callee {
                    Target::Function(callee, _) => format!("call {}", unit.text(callee)),
                    Target::Pointer(ty) => format!("call a {}", unit.text(ty)),
                    Target::Drop(ty) => format!("drop {}", unit.text(ty)),
                };
                let origins: String = call
                    .origins
                    .iter()
                    .flat_map(|(number, origins)| origins.iter().map(move |origin| (number, origin)))
                    .map(|(number, origin)| match origin {
                        Origin::Type(ty) => format!(", {number} was {}", unit.text(*ty)),
                        Origin::Parameter(of) => format!(", {number} is parameter {of}"),
                    })
                    .collect();
                let unwinding = if call.unwinding { " when it unwinds" } else { "" };
                shown += &format!("    {} {callee}{origins}{unwinding}\n", place(&call.name));
            }
            for cast in &body.casts {
                shown += &format!("    {} becomes {}\n", unit.text(cast.from), unit.text(cast.to));
            }
            for kept in &body.kept {
                shown += &format!(
                    "    {} keeps {} in state {}\n",
                    place(&kept.span),
                    unit.text(kept.ty),
                    kept.state
                );
            }
            for suspend in &body.suspends {
                shown += &format!("    {} suspends in state {}\n", place(&suspend.span), suspend.state);
            }
            if !body.creates.is_empty() {
                shown += &format!("    creates {:?}\n", body.creates);
            }
        }
        shown
    }

    const GOLDEN: &str = include_str!("../../tests/golden/facts.txt");

    #[test]
    fn the_formats_of_known_compilers_are_understood() {
        for text in [
            &include_bytes!("../../tests/golden/stable.mir")[..],
            include_bytes!("../../tests/golden/nightly.mir"),
        ] {
            assert_eq!(facts(text), GOLDEN);
        }
    }

    #[test]
    fn the_format_of_the_compiler_at_hand_is_understood() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
        let output = std::process::Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .current_dir(golden)
            .args(["--edition=2021", "--crate-type=lib", "sample.rs"])
            .args(crate::wrapper::PRINT)
            .env("RUSTC_BOOTSTRAP", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(facts(&output.stdout), GOLDEN);
    }

    #[test]
    fn no_text_makes_it_panic() {
        let hostile = [
            "fn (",
            "fn f(_1: ",
            "fn f(_1: A) -> {",
            "static : = {",
            "    let _x: ;",
            "        drop(",
            "        _1 = ",
            "        // + def_id: {closure#",
            "        _1 = {closure@",
            "        _1 = f(\"\\",
            "        _1 = f('\\",
            "}",
            "        (((*_1) as variant#9999999999999).1: T) = f() -> [return: bb1]; // scope 0 at a:1:1: 1:2",
            "        _1 = x as y (PointerCoercion(Unsize)); // scope 0 at a.rs:1:1: 1:2",
            "    bb0: {",
            "\u{fffd}",
        ];
        for first in hostile {
            for second in hostile {
                let text = format!("fn f(_1: A) -> B {{\n{first}\n{second}\n}}\n{first}\n{second}\n");
                read(text.as_bytes(), &mut Unit::default()).unwrap();
            }
        }
    }
}
