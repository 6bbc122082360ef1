//! To which trace does a request belong, when several services take part?

use axum::http::{HeaderMap, HeaderValue};

use super::id::{header_value, write_hex};

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
    let hex =
        |range: std::ops::Range<usize>| bytes[range].iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |range: std::ops::Range<usize>| bytes[range].iter().all(|&b| b == b'0');
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

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
