/// The maximum length of a URL of a picture, video or site, in characters.
pub const MAX_URL_LENGTH: u64 = 2048;
/// The schemes that a link may have.
const LINK_SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];
/// The schemes whose URLs contain a script.
const SCRIPT_SCHEMES: [&str; 3] = ["javascript:", "vbscript:", "data:"];

/// Reports whether a URL has the scheme `http` or `https`.
pub fn is_web_url(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// Reports whether a link may have this target: a URL of the web, an e-mail address, a telephone number, or a path of
/// this site, which has no scheme.
///
/// A colon before the first of `/`, `?` and `#` ends a scheme, as in RFC 3986. The scheme must be one of the four
/// exactly as written. Two slashes begin a URL of another host; to browsers a backslash is a slash, and they remove
/// control characters and the spaces around a URL.
pub fn is_link_target(url: &str) -> bool {
    let start = url.trim_start();
    let other_host = start.starts_with('\\') || start.starts_with("//") || start.starts_with("/\\");
    if other_host || url.contains(char::is_control) {
        return false;
    }
    let Some(end) = url.find([':', '/', '?', '#']) else { return true };
    !url[end..].starts_with(':') || LINK_SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(&url[..end]))
}

/// Reports whether a browser runs the URL as a script. Control characters are removed as browsers do.
pub fn is_script_url(url: &str) -> bool {
    let url: String = url
        .trim_start_matches(|c: char| c <= ' ')
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .map(|c| c.to_ascii_lowercase())
        .take(16)
        .collect();
    SCRIPT_SCHEMES.iter().any(|scheme| url.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_mail_telephone_and_relative_links_are_allowed() {
        for link in [
            "https://example.com",
            "HTTP://example.com",
            "mailto:a@example.com",
            "tel:+4912345",
            "/",
            "/about",
            "about",
            "../a:b",
            "#top",
            "?q=a:b",
            "a/b:c",
            "",
        ] {
            assert!(is_link_target(link), "{link}");
            assert!(!is_script_url(link), "{link}");
        }
    }

    #[test]
    fn paths_of_other_hosts_and_control_characters_are_rejected() {
        for evil in [
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "\\evil.example",
            " //evil.example",
            "///evil.example",
            "/\t/evil.example",
            "/about\r\nSet-Cookie: a=b",
            "/\u{7f}",
            "https://example.com/\n",
        ] {
            assert!(!is_link_target(evil), "{evil:?}");
        }
        assert!(is_link_target("/a//b") && is_link_target("/a\\b"));
    }

    #[test]
    fn script_urls_are_rejected_in_every_spelling() {
        for script in [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " javascript:alert(1)",
            "java\nscript:alert(1)",
            "\u{1}javascript:alert(1)",
            "javascript\t:alert(1)",
            "\n\tjava\r\nscript\n:alert(1)",
            "vbscript:msgbox(1)",
            "data:text/html,<script>alert(1)</script>",
            "javascript://example.com/%0aalert(1)",
        ] {
            assert!(!is_link_target(script) && is_script_url(script), "{script:?}");
        }
    }

    #[test]
    fn other_schemes_are_neither_links_nor_scripts() {
        for other in [
            "ftp://example.com",
            "file:///etc/passwd",
            "localhost:3000/x",
            "ht\ntps://example.com",
            " https://example.com",
        ] {
            assert!(!is_link_target(other) && !is_script_url(other), "{other:?}");
        }
    }
}
