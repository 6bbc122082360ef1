//! Which parts of a URL may be shown?

/// The text that stands for a value that is not shown.
pub const HIDDEN: &str = "***";

/// A URL with its host and path, but without user, password and parameters.
#[must_use]
pub fn without_secrets(url: &str) -> String {
    // Parameters may hold a password, and so may a fragment. Some drivers have parameters after a `;`.
    let end = url.find(['?', '#', ';']).unwrap_or(url.len());
    // If there is an `@` after that, the `?` may be in a password, or the `@` in a parameter. We cannot tell which, so we
    // show nothing.
    if url.rfind('@').is_some_and(|at| end < at) {
        return HIDDEN.to_owned();
    }
    let (address, parameters) = url.split_at(end);
    let address = match (address.split_once("://"), address.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://{HIDDEN}{}", &address[at..]),
        // This is not a URL. It may be `user=… password=…`, or a URL in which a slash is missing.
        (None, _) if address.contains(['@', '=', ' ']) => return HIDDEN.to_owned(),
        _ => address.to_owned(),
    };
    match parameters.chars().next() {
        Some(separator) => format!("{address}{separator}{HIDDEN}"),
        None => address,
    }
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
            ("sqlserver://db;user=sa;password=x", "sqlserver://db;***"),
            ("https://host/callback#token=x", "https://host/callback#***"),
            ("db://user:password@host:5432/path?password=x", "db://***@host:5432/path?***"),
            ("db://user:p@ss@host/path", "db://***@host/path"),
            ("db://user:p?ss@host/path", "***"),
            ("db://user:p#ss@host/path", "***"),
            ("db://user:p;ss@host/path", "***"),
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
