//! By which name is a request found in every log?
//!
//! It is found by the id that its client has sent, so that the logs of both fit together. Otherwise the service makes
//! an id.

use axum::http::{HeaderMap, HeaderValue};

/// The `x-request-id` that the client has sent, if it has 1 to 64 characters of `[A-Za-z0-9._-]`. Otherwise 32 hex
/// digits by chance.
#[derive(Clone, Copy, Debug)]
pub struct RequestId {
    text: [u8; 64],
    len: usize,
}

pub const REQUEST_ID: &str = "x-request-id";

impl RequestId {
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let well_formed = |value: &&HeaderValue| {
            (1..=64).contains(&value.len())
                && value.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
        };
        let mut text = [0; 64];
        let len = match headers.get(REQUEST_ID).filter(well_formed) {
            Some(taken) => {
                text[..taken.len()].copy_from_slice(taken.as_bytes());
                taken.len()
            }
            None => {
                write_hex(&mut text[..32], fastrand::u128(..));
                32
            }
        };
        Self { text, len }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.text[..self.len]).unwrap_or_default()
    }

    #[must_use]
    pub fn header(&self) -> HeaderValue {
        header_value(self.as_str().as_bytes())
    }
}

/// Fills `digits` with the lowest digits of `number`.
pub(super) fn write_hex(digits: &mut [u8], mut number: u128) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

pub(super) fn header_value(text: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn id_of(sent: &str) -> String {
        let name = HeaderName::from_static(REQUEST_ID);
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_str(sent).unwrap())]);
        RequestId::from_headers(&headers).as_str().to_owned()
    }

    #[test]
    fn a_well_formed_id_is_taken() {
        for sent in ["a", "order-7.retry_2", &"x".repeat(64)] {
            assert_eq!(id_of(sent), sent);
        }
    }

    #[test]
    fn an_id_that_could_forge_a_line_is_replaced() {
        for sent in ["", &"x".repeat(65), "a b", "a\"b", "a/b", "a,b", "\u{e9}"] {
            let id = id_of(sent);
            assert_eq!(id.len(), 32, "{sent:?} became {id}");
            assert!(id.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()), "{id}");
        }
    }

    #[test]
    fn ids_of_ours_differ() {
        let none = HeaderMap::new();
        assert_ne!(RequestId::from_headers(&none).as_str(), RequestId::from_headers(&none).as_str());
    }

    #[test]
    fn hex_keeps_leading_zeros() {
        let mut digits = [0; 8];
        write_hex(&mut digits, 0xbeef);
        assert_eq!(&digits, b"0000beef");
    }
}
