/// What a link may lead to outside the site.
const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];
/// Addresses that bring something to be run along with them.
const RUN: [&str; 3] = ["javascript:", "vbscript:", "data:"];

/// Whether an address is one of the web: its scheme is `http` or `https`.
pub fn is_web_url(address: &str) -> bool {
    address.starts_with("http://") || address.starts_with("https://")
}

/// Whether a link may lead there: to the web, to a mailbox, to a telephone, or to a place of the site itself, which is
/// whatever has no scheme.
///
/// A colon before the first of `/`, `?` and `#` ends a scheme, as in RFC 3986. It has to be one of the four as it is
/// written: browsers take tabs and line breaks out of an address, so nothing is taken for a scheme that only looks
/// like another.
pub fn is_link_target(address: &str) -> bool {
    let Some(end) = address.find([':', '/', '?', '#']) else { return true };
    !address[end..].starts_with(':')
        || SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(&address[..end]))
}

/// Whether a browser that is led there runs what the address says, read as browsers read it.
pub fn is_script_url(address: &str) -> bool {
    let address: String = address
        .trim_start_matches(|c: char| c <= ' ')
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .map(|c| c.to_ascii_lowercase())
        .take(16)
        .collect();
    RUN.iter().any(|scheme| address.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_web_to_people_and_to_the_site() {
        for link in [
            "https://example.com",
            "HTTP://example.com",
            "//example.com/x",
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
    fn links_run_nothing_however_it_is_written() {
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
    fn other_schemes_are_no_links_and_yet_run_nothing() {
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
