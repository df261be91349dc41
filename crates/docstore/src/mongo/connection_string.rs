//! Adapts connection strings that were written for other drivers.

use crate::{Error, Result};

/// Options that have no effect here, by their lowercase names, with the reason.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("compressors", "connections are not compressed"),
    ("connect", "the topology is detected; directConnection=true connects to one member"),
    (
        "sockettimeoutms",
        "heartbeats find a server that does not answer, and requests have a timeout of their own",
    ),
    ("timeoutms", "requests have a timeout of their own"),
    ("tlsdisablecertificaterevocationcheck", "certificates are not checked for revocation"),
    ("tlsdisableocspendpointcheck", "certificates are not checked for revocation"),
    ("uuidrepresentation", "no UUIDs are stored"),
    ("waitqueuetimeoutms", "requests have a timeout of their own"),
    ("zlibcompressionlevel", "connections are not compressed"),
];

/// Options whose values other drivers accept in any case.
const BOOLEANS: &[&str] = &[
    "directconnection",
    "journal",
    "loadbalanced",
    "retryreads",
    "retrywrites",
    "ssl",
    "tls",
    "tlsallowinvalidcertificates",
    "tlsinsecure",
];

/// Returns the connection string in the spelling of this driver, and a warning for each option that is left out: `known`
/// options stay. A string that may be malformed is returned as it is, because the name of an option could be part of a
/// password.
///
/// # Errors
/// [`Error::Invalid`] on an unknown option of encryption: without it the connection could be less secure than intended.
pub(crate) fn adapt(uri: &str, known: &[&str]) -> Result<(String, Vec<String>)> {
    let unchanged = || Ok((uri.to_owned(), Vec::new()));
    let Some((scheme, rest)) = uri.split_once("://") else { return unchanged() };
    let (user_info, hosts) = rest.rsplit_once('@').map_or((None, rest), |(user, hosts)| (Some(user), hosts));
    if user_info.is_some_and(|user_info| !is_escaped(user_info)) {
        return unchanged();
    }
    let Some((before, options)) = hosts.split_once('?') else { return unchanged() };
    let mut warnings = Vec::new();
    let mut kept = Vec::new();
    for option in options.split('&') {
        let Some((name, value)) = option.split_once('=') else {
            kept.push(option.to_owned());
            continue;
        };
        let lower = name.to_ascii_lowercase();
        let (lower, name) = match lower.as_str() {
            "j" => ("journal", "journal"),
            "wtimeout" => ("wtimeoutms", "wtimeoutMS"),
            other => (other, name),
        };
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        if lower == "connect" && value.eq_ignore_ascii_case("direct") {
            kept.push("directConnection=true".to_owned());
        } else if let Some((_, reason)) = WITHOUT_EFFECT.iter().find(|(option, _)| *option == lower) {
            warnings.push(format!("ignoring the option {name} of the connection string: {reason}"));
        } else if BOOLEANS.contains(&lower) {
            kept.push(format!("{name}={}", value.to_ascii_lowercase()));
        } else if known.contains(&lower) {
            kept.push(format!("{name}={value}"));
        } else if is_name && ["tls", "ssl", "tsl"].iter().any(|word| lower.contains(word)) {
            return Err(Error::Invalid(format!(
                "the connection string has an unknown option {name}; the options of encryption are tls, tlsCAFile, \
                 tlsCertificateKeyFile, tlsAllowInvalidCertificates and tlsInsecure"
            )));
        } else if is_name {
            warnings.push(format!("ignoring the unknown option {name} of the connection string"));
        } else {
            kept.push(option.to_owned());
        }
    }
    let user_info = user_info.map(|user_info| format!("{user_info}@")).unwrap_or_default();
    let separator = if kept.is_empty() { "" } else { "?" };
    Ok((format!("{scheme}://{user_info}{before}{separator}{}", kept.join("&")), warnings))
}

/// Reports whether the user name and password of a connection string are percent-encoded.
pub(crate) fn is_escaped(user_info: &str) -> bool {
    let mut parts = user_info.split(':');
    let pieces = [parts.next(), parts.next()];
    let percent = |text: &str| {
        text.split('%').skip(1).all(|after| {
            after.len() >= 2
                && after.is_char_boundary(2)
                && after.bytes().take(2).all(|b| b.is_ascii_hexdigit())
        })
    };
    parts.next().is_none()
        && pieces
            .into_iter()
            .flatten()
            .all(|piece| !piece.contains(['@', '/', '?', '#', '[', ']']) && percent(piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["appname", "wtimeoutms"];

    #[test]
    fn options_of_other_drivers_are_adapted_or_warned_about_by_name() {
        let (adapted, warnings) = adapt(
            "mongodb://u:p%40@h:1,i:2/d?compressors=zlib&j=true&wtimeout=9&retryReads=TRUE&tz_aware=true&connect=direct&appName=A",
            KNOWN,
        )
        .unwrap();
        let options = "journal=true&wtimeoutMS=9&retryReads=true&directConnection=true&appName=A";
        assert_eq!(adapted, format!("mongodb://u:p%40@h:1,i:2/d?{options}"));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(
            warnings[0].contains("compressors") && warnings[1].contains("unknown option tz_aware"),
            "{warnings:?}"
        );
        assert_eq!(adapt("mongodb://h/d?socketTimeoutMS=1", KNOWN).unwrap().0, "mongodb://h/d");
    }

    #[test]
    fn string_that_may_be_malformed_is_unchanged() {
        for uri in
            ["mongodb://u:s3cr?t=w@h/d", "mongodb://u:s3cr@t@h/d?tz_aware=1", "mongodb://h/d?x", "s3cret", ""]
        {
            assert_eq!(adapt(uri, KNOWN).unwrap(), (uri.to_owned(), Vec::new()));
        }
    }
}
