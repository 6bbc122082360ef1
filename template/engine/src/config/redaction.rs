//! Which parts of a URL may be shown?

/// The text that stands for a value that is not shown.
pub const HIDDEN: &str = "***";

/// A URL with its host and path, but without user, password and parameters.
#[must_use]
pub fn without_secrets(url: &str) -> String {
    // If there is an `@` after a `?`, the `?` may be in a password, or the `@` in a parameter. We cannot tell which, so
    // we show nothing.
    if let (Some(at), Some(query)) = (url.rfind('@'), url.find('?'))
        && query < at
    {
        return HIDDEN.to_owned();
    }
    let (address, parameters) = url.split_once('?').map_or((url, false), |(address, _)| (address, true));
    let address = match (address.split_once("://"), address.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://{HIDDEN}{}", &address[at..]),
        // This is not a URL. It may be `user=… password=…`, or a URL in which a slash is missing.
        (None, _) if address.contains(['@', '=', ' ']) => return HIDDEN.to_owned(),
        _ => address.to_owned(),
    };
    // Parameters may hold a password, too.
    if parameters { format!("{address}?{HIDDEN}") } else { address }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_path_are_shown_and_nothing_else() {
        for (url, shown) in [
            ("sqlite:data/service.db", "sqlite:data/service.db"),
            ("sqlite:data/service.db?mode=ro", "sqlite:data/service.db?***"),
            ("db://host/path", "db://host/path"),
            ("db://user@host/path", "db://***@host/path"),
            ("db://user:password@host:5432/path?password=x", "db://***@host:5432/path?***"),
            ("db://user:p@ss@host/path", "db://***@host/path"),
            ("db://user:p?ss@host/path", "***"),
            ("db://host/path?password=a@b", "***"),
            ("db:/user:password@host/path", "***"),
            ("user:password@host/path", "***"),
            ("host=db user=app password=x", "***"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(url), shown, "{url}");
            assert_eq!(without_secrets(shown), shown, "of what is shown, nothing more is taken away");
        }
    }
}
