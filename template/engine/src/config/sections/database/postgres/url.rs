//! What does `database.url` say, and can all of it be honoured?
//!
//! Parameters that cannot be honoured are refused when the configuration is loaded. The message names each of them and
//! says what is lost if the operator takes it out. Such parameters are common, because hosted databases hand out URLs
//! for libpq, which knows more parameters than sqlx. sqlx would ignore them and log their values, so we do not pass them
//! on to sqlx.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url; // the same type that sqlx reads
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::config::range::DAY;

/// Where the database is, and what the URL asks for that we do ourselves, because sqlx does not.
#[derive(Clone)]
pub struct Address {
    pub options: PgConnectOptions,
    /// The parameter of the URL. It has precedence over `database.connect_timeout`.
    pub connect_timeout: Option<Duration>,
    pub session: Session,
}

/// Which servers are wanted (`target_session_attrs`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Session {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
}

/// The parameters that sqlx reads.
const OF_SQLX: [&str; 12] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// The parameters that libpq and other clients read. For each parameter: its name, the values that ask for what we do
/// anyway, and what is lost if it has another value and is taken out.
const OF_OTHERS: [(&str, &[&str], &str); 34] = [
    (
        "channel_binding",
        &["disable", "prefer"],
        "the log-in is not bound to the TLS connection; sslmode=verify-full proves as well who answers",
    ),
    ("client_encoding", &["UTF8", "utf8", "UTF-8", "utf-8", "auto"], "nothing: the connection speaks UTF-8"),
    ("connection_limit", &[], "nothing: database.max_connections is the limit"),
    ("gssdelegation", &["0"], "the log-in by Kerberos, which is not possible"),
    ("gssencmode", &["disable", "prefer"], "the encryption by Kerberos; sslmode encrypts"),
    ("gsslib", &[], "the log-in by Kerberos, which is not possible"),
    (
        "keepalives",
        &["0"],
        "the kernel asks no idle connection; the service asks each one that was idle for a second",
    ),
    ("keepalives_count", &[], "the same as keepalives"),
    ("keepalives_idle", &[], "the same as keepalives"),
    ("keepalives_interval", &[], "the same as keepalives"),
    ("krbsrvname", &[], "the log-in by Kerberos, which is not possible"),
    ("load_balance_hosts", &["disable"], "one host is asked only"),
    ("passfile", &[], "the file is not read; the variable PGPASSFILE names one"),
    ("pgbouncer", &["false"], "nothing: a pooler is found out at the start"),
    ("pool_timeout", &[], "nothing: database.acquire_timeout is the limit"),
    ("replication", &["false", "off", "no", "0"], "the connection is an ordinary one"),
    (
        "require_auth",
        &[],
        "the server may ask for the password in any way; sslmode=verify-full proves who asks",
    ),
    ("requirepeer", &[], "nobody checks who owns the server's socket; the rights of its folder can"),
    ("schema", &["public"], "the schema: set options=-c%20search_path%3DNAME instead"),
    ("service", &[], "the service file is not read; write its content into the URL"),
    ("servicefile", &[], "the service file is not read; write its content into the URL"),
    ("ssl_max_protocol_version", &["TLSv1.3"], "newer versions of TLS are spoken, too"),
    (
        "ssl_min_protocol_version",
        &["TLSv1", "TLSv1.1", "TLSv1.2"],
        "TLS 1.2 is spoken, too; the server's ssl_min_protocol_version can refuse it",
    ),
    ("sslcertmode", &["allow"], "a certificate is shown where the server asks for one"),
    ("sslcompression", &["0"], "nothing: TLS is not compressed any more"),
    ("sslcrl", &[], "certificates that were revoked are accepted"),
    ("sslcrldir", &[], "certificates that were revoked are accepted"),
    ("sslkeylogfile", &[], "the keys of TLS are not written down"),
    ("sslnegotiation", &["postgres"], "one round trip more for each new connection"),
    ("sslpassword", &[], "the key file cannot be opened: give sslkey one without a passphrase"),
    ("sslsni", &["1"], "the name of the host is sent in clear"),
    ("statement_cache_size", &[], "nothing: database.statement_cache is the size"),
    ("tcp_user_timeout", &[], "nothing: the service gives up by database.statement_timeout"),
    ("uselibpqcompat", &[], "nothing: sslmode means what it means to libpq"),
];

/// The parameters that the service sets on each connection, and the setting that each value comes from.
const SET_HERE: [(&str, &str); 4] = [
    ("statement_timeout", "database.statement_timeout"),
    ("lock_timeout", "database.lock_timeout"),
    ("idle_in_transaction_session_timeout", "database.idle_in_transaction_timeout"),
    ("client_min_messages", "the service"),
];

const LIKE: &str = "write it like postgres://USER:PASSWORD@HOST:5432/NAME";

/// Reads `url`. The messages repeat only the names of parameters, because the rest may be secret.
pub(super) fn read(url: &str) -> Result<Address, String> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(format!("is not a PostgreSQL URL: {LIKE}"));
    }
    let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
    let authority = place.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if authority.rsplit('@').next().is_some_and(|hosts| hosts.contains(',')) {
        return Err("names several hosts, of which only one can be asked: name one".to_owned());
    }
    if !parameters.split('&').filter(|one| !one.is_empty()).all(is_parameter) {
        let problem = "behind the ? stands something that is no parameter";
        return Err(format!("{problem}: write %3F, %26, %40 and %23 for ?, &, @ and #"));
    }
    let mut url = Url::parse(url).map_err(|error| format!("is not a URL, {error}: {LIKE}"))?;
    if url.fragment().is_some() {
        return Err("has a # in it: write %23".to_owned());
    }

    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let (mut connect_timeout, mut session) = (None, Session::Any);
    let (mut kept, mut fallback) = (Vec::new(), None);
    let mut problems = Vec::new();
    for (name, value) in pairs {
        let read = match &*name {
            "connect_timeout" => seconds(&value).map(|time| connect_timeout = time),
            "target_session_attrs" => Session::named(&value).map(|wanted| session = wanted),
            "fallback_application_name" => {
                fallback = Some(value);
                Ok(())
            }
            _ if OF_SQLX.contains(&&*name) => {
                let read = check(&name, &value);
                kept.push((name, value));
                read
            }
            _ => done_anyway(&name, &value),
        };
        problems.extend(read.err());
    }
    if !problems.is_empty() {
        return Err(problems.join("; "));
    }
    if kept.iter().all(|(name, _)| name != "application_name") {
        kept.extend(fallback.map(|name| ("application_name".to_owned(), name)));
    }
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    let options = PgConnectOptions::from_url(&url).map_err(|_| format!("is not a PostgreSQL URL: {LIKE}"))?;
    Ok(Address { options, connect_timeout, session })
}

/// Whether the text looks like `name=value`. A text that does not may be a part of a password.
fn is_parameter(one: &str) -> bool {
    let is_of_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    one.split_once('=').is_some_and(|(name, _)| name.bytes().all(is_of_name))
}

/// Finds the mistakes in sqlx's own parameters that sqlx would find late, or would report together with the value.
fn check(name: &str, value: &str) -> Result<(), String> {
    let modes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
    match name {
        "sslmode" if !modes.contains(&value) => Err(format!("sslmode must be one of {}", modes.join(", "))),
        "sslrootcert" if value == "system" => Err("sslrootcert=system cannot be honoured: without it Mozilla's \
             list of authorities is used; name a file such as /etc/ssl/certs/ca-certificates.crt for the system's"
            .to_owned()),
        "host" if value.contains(',') => {
            Err("host names several hosts, of which only one can be asked: name one".to_owned())
        }
        "hostaddr" if value.parse::<IpAddr>().is_err() => Err("hostaddr must be an IP address".to_owned()),
        "port" if value.parse::<u16>().is_err() => Err("port must be from 0 to 65535".to_owned()),
        "options" => {
            // `-c name=value`, `-cname=value` and `--name=value` mean the same.
            let name = |word: &str| {
                let word = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).unwrap_or(word);
                word.split('=').next().unwrap_or_default().replace('-', "_").to_lowercase()
            };
            let set: Vec<_> = value.split_whitespace().map(name).collect();
            let ours = SET_HERE.iter().find(|(name, _)| set.iter().any(|set| set == name));
            ours.map_or(Ok(()), |(name, by)| {
                Err(format!("options sets {name}, which {by} sets on each connection: take it out there"))
            })
        }
        _ => Ok(()),
    }
}

/// Whether the service does anyway what a parameter asks for that sqlx does not know.
fn done_anyway(name: &str, value: &str) -> Result<(), String> {
    match OF_OTHERS.iter().find(|(known, ..)| *known == name) {
        Some((_, done, _)) if done.contains(&value) => Ok(()),
        Some((_, _, lost)) => Err(format!("{name} cannot be honoured: take it out; what that costs: {lost}")),
        None => Err(format!("there is no parameter {name:?}: take it out")),
    }
}

/// Reads whole seconds. As in libpq, 0 and less set no bound. Then `database.connect_timeout` counts.
fn seconds(value: &str) -> Result<Option<Duration>, String> {
    match value.trim().parse::<i64>() {
        Ok(seconds) if seconds <= 0 => Ok(None),
        Ok(seconds) if seconds.unsigned_abs() <= DAY.as_secs() => {
            Ok(Some(Duration::from_secs(seconds.unsigned_abs())))
        }
        _ => Err("connect_timeout must be whole seconds, at most a day".to_owned()),
    }
}

impl Session {
    fn named(value: &str) -> Result<Self, String> {
        match value {
            // There is only one host, so there is nothing to prefer.
            "any" | "prefer-standby" => Ok(Self::Any),
            "read-write" => Ok(Self::ReadWrite),
            "read-only" => Ok(Self::ReadOnly),
            "primary" => Ok(Self::Primary),
            "standby" => Ok(Self::Standby),
            _ => Err("target_session_attrs must be one of any, read-write, read-only, primary, standby, \
                      prefer-standby"
                .to_owned()),
        }
    }

    /// The query by which a wanted server is recognized: it returns true.
    pub fn question(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::ReadWrite => Some("SELECT current_setting('transaction_read_only') = 'off'"),
            Self::ReadOnly => Some("SELECT current_setting('transaction_read_only') = 'on'"),
            Self::Primary => Some("SELECT NOT pg_is_in_recovery()"),
            Self::Standby => Some("SELECT pg_is_in_recovery()"),
        }
    }
}
