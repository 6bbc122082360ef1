//! By which names is a request found, in this log and in those of other services?
//!
//! A request is found by its id, which its client may have sent, and by its trace, which runs through several services.
//! The engine sends both along with calls to other services.

use std::ops::Range;

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

/// W3C `traceparent` (<https://www.w3.org/TR/trace-context/>): the caller's trace with a span of our own, or a new
/// trace.
#[derive(Clone, Copy, Debug)]
pub struct Trace([u8; 55]);

pub const TRACEPARENT: &str = "traceparent";

impl Trace {
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let parent = headers
            .get(TRACEPARENT)
            .and_then(|value| value.to_str().ok())
            .filter(|text| is_traceparent(text));
        // A trace that we start has the flags 00, because nobody has decided to record it.
        let mut own = *b"00-00000000000000000000000000000000-0000000000000000-00";
        match parent.map(str::as_bytes) {
            Some(parent) => {
                own[3..35].copy_from_slice(&parent[3..35]);
                own[53..].copy_from_slice(&parent[53..55]);
            }
            None => write_hex(&mut own[3..35], fastrand::u128(1..)),
        }
        write_hex(&mut own[36..52], fastrand::u64(1..).into());
        Self(own)
    }

    /// The trace's id, 32 lowercase hex digits.
    #[must_use]
    pub fn id(&self) -> &str {
        str::from_utf8(&self.0[3..35]).unwrap_or_default()
    }

    #[must_use]
    pub fn header(&self) -> HeaderValue {
        header_value(&self.0)
    }
}

/// Whether this is `00-<32 hex>-<16 hex>-<2 hex>`, with ids that are not all zero. A later version may append fields,
/// but begins in the same way.
fn is_traceparent(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hex = |range: Range<usize>| bytes[range].iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |range: Range<usize>| bytes[range].iter().all(|&b| b == b'0');
    bytes.len() >= 55
        && (bytes.len() == 55 || (bytes[55] == b'-' && &bytes[..2] != b"00"))
        && bytes[2] == b'-'
        && bytes[35] == b'-'
        && bytes[52] == b'-'
        && hex(0..2)
        && &bytes[..2] != b"ff"
        && hex(3..35)
        && hex(36..52)
        && hex(53..55)
        && !zero(3..35)
        && !zero(36..52)
}

/// Fills `digits` with the lowest digits of `number`.
fn write_hex(digits: &mut [u8], mut number: u128) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

fn header_value(text: &[u8]) -> HeaderValue {
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

    const SENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn continued(sent: &str) -> Trace {
        let name = HeaderName::from_static(TRACEPARENT);
        Trace::from_headers(&HeaderMap::from_iter([(name, HeaderValue::from_str(sent).unwrap())]))
    }

    fn text(trace: &Trace) -> &str {
        str::from_utf8(&trace.0).unwrap()
    }

    #[test]
    fn a_trace_is_continued_with_a_span_of_our_own_and_the_flags_of_the_caller() {
        let trace = continued(SENT);

        assert_eq!(trace.id(), "0af7651916cd43dd8448eb211c80319c");
        assert!(text(&trace).starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{}", text(&trace));
        assert!(text(&trace).ends_with("-01"), "{}", text(&trace));
        assert_ne!(&text(&trace)[36..52], "b7ad6b7169203331");
        assert!(is_traceparent(text(&trace)), "{}", text(&trace));
    }

    #[test]
    fn a_later_version_may_have_more_fields() {
        assert_eq!(continued(&format!("cc{}-what-comes-later", &SENT[2..])).id(), &SENT[3..35]);
    }

    #[test]
    fn what_is_no_traceparent_begins_a_new_trace() {
        let wrong = [
            String::new(),
            SENT[..54].to_owned(),
            format!("{SENT}-more"),      // version 00 has no more fields
            format!("ff{}", &SENT[2..]), // this version is forbidden
            format!("cc{}.more", &SENT[2..]),
            SENT.to_uppercase(),
            SENT.replace('-', "_"),
            SENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            SENT.replace("b7ad6b7169203331", &"0".repeat(16)),
            SENT.replace("0af7", "0ag7"),
        ];
        for sent in wrong {
            let trace = continued(&sent);
            assert_ne!(trace.id(), "0af7651916cd43dd8448eb211c80319c", "{sent}");
            assert!(is_traceparent(text(&trace)), "{sent} became {}", text(&trace));
            assert!(text(&trace).ends_with("-00"), "nobody asked us to record it: {}", text(&trace));
        }
    }
}
