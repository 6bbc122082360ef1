//! What stands in the source text that the compiler does not print?
//!
//! The trait and type that an `impl` header names, the names that a crate declares, where a macro is defined and
//! invoked, and the comments that allow a finding. The sources are read as tokens and not by Rust's grammar: the
//! compiler has accepted the text before. When a name is not found, look at the file here that reads it, and first at
//! blank.rs, which decides what of a text is code.

mod blank;
mod declarations;
mod exports;
mod header;
mod macros;
mod source;
mod workspace;

pub use self::header::header;
pub use self::source::Source;
pub use self::workspace::Sources;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_makes_it_panic() {
        for text in [
            "",
            "'",
            "\"",
            "r#\"",
            "/*",
            "'\\",
            "impl<",
            "impl<T> for",
            "\u{e9}'\u{e9}",
            "b'\\''",
            "macro_rules!",
            "/*/*\n*/",
        ] {
            let source = Source::new(text);
            source.between(1, 1, 9, 9);
            source.macro_around(1);
            source.invocations("a", 1, 9);
            header(text);
        }
    }
}
