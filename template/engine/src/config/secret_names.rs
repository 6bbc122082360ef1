//! Which values look like secrets although their type does not say so?
//!
//! This is a net for secrets whose type is not [`Secret`](super::secret::Secret). A key counts as secret if its own name,
//! or the name of a table that the key is in, contains one of the words of [`SECRET`]. The key's own name does not count
//! if it ends in a word of [`HARMLESS`], because such a key only says something about a secret.

use figment::value::Value;

use super::redaction::{HIDDEN, without_secrets};

/// Words that make a key secret, without the `s` of a plural.
const SECRET: &str = "auth authorization bearer cookie credential cred hmac jwt key pass passcode passphrase passwd \
                      password pat pin private psk pw pwd salt seed secret signature token";
/// Texts that make a key secret if a word of its name ends in one of them: `apikey`, `dbpassword`.
const ENDS: [&str; 8] =
    ["apikey", "cookie", "credential", "passphrase", "passwd", "password", "secret", "token"];
/// Texts at the end of a word that say that the value is an address, which may contain a secret.
const ADDRESS: &str = "url uri dsn";
/// Words at the end of a name that only says something about a secret. `max` and `min` may also be at the beginning.
const HARMLESS: &str = "after age algorithm attempts count days dir enabled expiry file folder header hours interval \
                        issuer length lifetime limit max min minutes name path required rotation seconds size \
                        timeout ttl";

/// What a key's name says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    Open,
    /// A URL, whose host and path may be shown.
    Address,
    Secret,
}

pub(super) fn secrecy(key: &[String]) -> Secrecy {
    let Some((last, tables)) = key.split_last() else { return Secrecy::Open };
    let words = words(last);
    let is_about = words.last().is_some_and(|word| is_in(word, HARMLESS))
        || words.first().is_some_and(|word| ["max", "min"].contains(&&**word));
    // In a table of secrets, the owner chooses the names of the keys, so these names do not count.
    if tables.iter().any(|name| names_secret(name)) || (names_secret(last) && !is_about) {
        Secrecy::Secret
    } else if key.iter().any(|name| names_address(name)) {
        Secrecy::Address
    } else {
        Secrecy::Open
    }
}

/// Whether a value must not be repeated.
pub(super) fn is_secret(key: &[String]) -> bool {
    secrecy(key) != Secrecy::Open
}

fn names_secret(name: &str) -> bool {
    let words = words(name);
    let connection_string = words.windows(2).any(|two| two[0] == "connection" && two[1] == "string");
    connection_string
        || words
            .iter()
            .any(|word| is_in(word, SECRET) || ENDS.iter().any(|end| singular(word).ends_with(end)))
}

fn names_address(name: &str) -> bool {
    words(name).iter().any(|word| ADDRESS.split(' ').any(|end| singular(word).ends_with(end)))
}

/// Splits a name into words: `signingKeys`, `signing-keys` and `signing_keys` are two words each.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for char in name.chars() {
        if !char.is_alphanumeric() || (was_lower && char.is_uppercase()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (char.is_alphanumeric(), words.last_mut()) {
            word.extend(char.to_lowercase());
        }
        was_lower = char.is_lowercase() || char.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_in(word: &str, words: &str) -> bool {
    words.split(' ').any(|known| known == word || known == singular(word))
}

fn singular(word: &str) -> &str {
    word.strip_suffix('s').filter(|word| !word.ends_with('s')).unwrap_or(word)
}

/// The value as `check` shows it.
pub(super) fn redacted(key: &[String], value: &Value) -> Value {
    let below = |name: &str| [key, &[name.to_owned()]].concat();
    match value {
        Value::Dict(tag, dict) => {
            let redact = |(name, value): (&String, &Value)| (name.clone(), redacted(&below(name), value));
            Value::Dict(*tag, dict.iter().map(redact).collect())
        }
        Value::Array(tag, items) => {
            let redact = |item: &Value| redacted(key, item);
            Value::Array(*tag, items.iter().map(redact).collect())
        }
        Value::String(_, text) => match secrecy(key) {
            // `scheme://user:password@host` contains a password, whatever the key is called.
            Secrecy::Open if !(text.contains("://") && text.contains('@')) => value.clone(),
            Secrecy::Open | Secrecy::Address => Value::from(without_secrets(text)),
            Secrecy::Secret => Value::from(HIDDEN),
        },
        Value::Bool(..) | Value::Empty(..) => value.clone(),
        _ if secrecy(key) == Secrecy::Secret => Value::from(HIDDEN),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use figment::value::Dict;

    use super::*;

    fn of(key: &str) -> Secrecy {
        secrecy(&key.split('.').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_word_of_the_name_or_of_a_table_makes_a_secret() {
        for key in [
            "app.api_key",
            "app.signingKeys",
            "app.dbpassword",
            "app.keys.main",
            "app.auth.ttl",
            "app.connection-string",
        ] {
            assert_eq!(of(key), Secrecy::Secret, "{key}");
        }
        for key in ["database.url", "app.dsn", "app.mirrorUrls", "app.urls.main"] {
            assert_eq!(of(key), Secrecy::Address, "{key}");
        }
        for key in
            ["", "app.monkey", "app.key_file", "app.max_tokens", "app.tokenTtl", "server.request_timeout"]
        {
            assert_eq!(of(key), Secrecy::Open, "{key}");
        }
    }

    #[test]
    fn what_is_in_tables_and_lists_is_hidden_as_well() {
        let list = Value::from(vec![Value::from("hunter2"), Value::from(7)]);
        let table =
            Value::from(Dict::from([("tokens".to_owned(), list), ("size".to_owned(), Value::from(7))]));
        let shown = redacted(&["app".to_owned()], &table);
        let hidden = Value::from(vec![Value::from(HIDDEN), Value::from(HIDDEN)]);
        assert_eq!(
            shown,
            Value::from(Dict::from([("tokens".to_owned(), hidden), ("size".to_owned(), Value::from(7))]))
        );
        let odd = Value::from("db://user:hunter2@host/path");
        assert_eq!(redacted(&["app".to_owned()], &odd), Value::from("db://***@host/path"));
    }
}
