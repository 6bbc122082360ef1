//! Which values must never be shown?
//!
//! Values of the two types here are never shown. No text that is made of them contains the value: neither texts for
//! people (`Debug`, `Display`) nor texts for programs (`Serialize`). Only `expose_secret` returns the value.
//!
//! The loader is the exception. It serializes the default settings to learn the defaults, so it has to see them as they
//! are. It does this within [`revealing`].

use std::cell::Cell;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::redaction::{HIDDEN, without_secrets};

/// The name under which both types ask serde for their text. The loader knows by this name that a setting is secret.
pub(super) const NAME: &str = "longpole::Secret";

/// The beginning of the message that refuses `***`, which stands for a secret.
pub(super) const NOT_IT: &str = "is what stands for a secret";
/// The words that stand for the value of a secret in the message that the value has the wrong type.
pub(super) const NOT_SHOWN: &str = "a value that is not shown";

/// A secret text among your settings: a password, a key, a token. For a URL with a password in it, take [`SecretUrl`],
/// which still shows the host.
///
/// No text that is made of it contains its value: `Debug` and `Serialize` write `***`, and there is no `Display`. So the
/// command `check`, the log, the status page and error messages cannot show the value, whatever the key is called.
/// A secret that is empty, like the default, is serialized as an empty text. [`expose_secret`](Self::expose_secret)
/// returns the value; call it where the value is sent, and keep the `Secret` everywhere else.
///
/// ```
/// use longpole::Secret;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, Default, Serialize, Deserialize)]
/// struct Settings {
///     /// APP__APP__MAIL_API_KEY=…
///     mail_api_key: Secret,
/// }
///
/// let settings = Settings { mail_api_key: Secret::from("hunter2") };
///
/// assert_eq!(format!("{settings:?}"), "Settings { mail_api_key: *** }");
/// assert_eq!(serde_json::to_string(&settings).unwrap(), r#"{"mail_api_key":"***"}"#);
/// assert_eq!(settings.mail_api_key.expose_secret(), "hunter2");
/// ```
///
/// The value has to be a text: `mail_api_key = 123` in the file is refused, and `mail_api_key = "123"` is right. The text
/// `***` is refused as well, because somebody has then copied a secret from a place where it is not shown.
///
/// When a `Secret` is dropped, the memory of its value is overwritten. The copies that exist while the configuration is
/// read are not overwritten.
#[derive(Clone, Default)]
pub struct Secret(SecretString);

/// A URL that may hold a password, such as `database.url`. Its host and its path may be shown, and the rest may not.
///
/// `Debug`, `Display` and `Serialize` write it without the user, the password and the parameters.
/// [`expose_secret`](Self::expose_secret) returns the whole URL. In all other respects, the type is like a [`Secret`].
///
/// ```
/// use longpole::SecretUrl;
///
/// let url = SecretUrl::from("redis://app:hunter2@cache.internal/0");
///
/// assert_eq!(url.to_string(), "redis://***@cache.internal/0");
/// assert_eq!(url.expose_secret(), "redis://app:hunter2@cache.internal/0");
/// ```
#[derive(Clone, Default)]
pub struct SecretUrl(Secret);

impl Secret {
    /// The value itself.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether there is no value: the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expose_secret().is_empty()
    }
}

impl SecretUrl {
    /// The whole URL.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether there is no URL: the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for SecretUrl {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for SecretUrl {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", without_secrets(self.expose_secret()))
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_secrets(self.expose_secret()))
    }
}

thread_local! {
    static REVEALS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`. While it runs, secrets are serialized on this thread as they are.
pub(super) fn revealing<T>(work: impl FnOnce() -> T) -> T {
    struct Until(bool);
    impl Drop for Until {
        fn drop(&mut self) {
            REVEALS.set(self.0);
        }
    }
    let _until = Until(REVEALS.replace(true));
    work()
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = if self.is_empty() { "" } else { HIDDEN };
        serializer.serialize_str(if REVEALS.get() { self.expose_secret() } else { shown })
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = without_secrets(self.expose_secret());
        serializer.serialize_str(if REVEALS.get() { self.expose_secret() } else { &shown })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, |text| text == HIDDEN).map(Self::from)
    }
}

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, |text| text.contains(HIDDEN) && without_secrets(text) == text).map(Self::from)
    }
}

fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
    is_redacted: fn(&str) -> bool,
) -> Result<String, D::Error> {
    let text = deserializer.deserialize_newtype_struct(NAME, Text)?;
    match is_redacted(&text) {
        true => Err(D::Error::custom(format!("{NOT_IT}: write the secret itself in the place of {HIDDEN}"))),
        false => Ok(text),
    }
}

/// Takes a text, and refuses any other value without repeating it. serde's own messages would repeat the value.
struct Text;

macro_rules! refuse {
    ($($method:ident: $value:ty,)*) => {$(
        fn $method<E: Error>(self, _: $value) -> Result<String, E> {
            Err(E::invalid_type(Unexpected::Other(NOT_SHOWN), &self))
        }
    )*};
}

impl<'de> Visitor<'de> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        // If we asked for a text, some formats would refuse a number themselves, with a message that repeats the number.
        deserializer.deserialize_any(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }

    refuse! {
        visit_bool: bool,
        visit_i64: i64,
        visit_i128: i128,
        visit_u64: u64,
        visit_u128: u128,
        visit_f64: f64,
        visit_bytes: &[u8],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_has_the_value() {
        let secret = Secret::from("hunter2");
        let url = SecretUrl::from("db://app:hunter2@host/path?x=hunter2");

        let json = serde_json::to_string(&(&secret, &url, Secret::default())).unwrap();

        assert_eq!(json, r#"["***","db://***@host/path?***",""]"#);
        assert_eq!(
            format!("{secret:?} {secret:#?} {url:?} {url}"),
            "*** *** \"db://***@host/path?***\" db://***@host/path?***"
        );
    }

    #[test]
    fn the_loader_sees_the_value() {
        let (secret, url) = (Secret::from("hunter2"), SecretUrl::from("db://app:hunter2@host"));

        let seen = revealing(|| serde_json::to_string(&(&secret, &url)).unwrap());

        assert_eq!(seen, r#"["hunter2","db://app:hunter2@host"]"#);
        assert!(!serde_json::to_string(&secret).unwrap().contains("hunter2"), "only as long as it asks");
    }

    #[test]
    fn what_is_no_text_is_refused_and_not_repeated() {
        for value in
            ["1234567", "-1234567", "1234567.5", "true", "[1234567]", "{\"1234567\":1234567}", "null"]
        {
            for error in [
                serde_json::from_str::<Secret>(value).unwrap_err(),
                serde_json::from_str::<SecretUrl>(value).unwrap_err(),
            ] {
                assert!(!error.to_string().contains("1234567"), "{error}");
            }
        }
    }

    #[test]
    fn what_stands_for_a_secret_is_none() {
        for text in ["***", "db://***@host", "db://host?***"] {
            let json = serde_json::to_string(text).unwrap();
            assert!(serde_json::from_str::<SecretUrl>(&json).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Secret>("\"***\"").unwrap_err().to_string().starts_with(NOT_IT));
        assert_eq!(serde_json::from_str::<Secret>("\"****\"").unwrap().expose_secret(), "****");
        let odd = serde_json::from_str::<SecretUrl>("\"db://user:***@host\"").unwrap();
        assert_eq!(odd.expose_secret(), "db://user:***@host", "a password, for all we know");
    }
}
