//! Allowed values of attributes.

use std::borrow::Cow;

use url::Url;

use super::{contains, css};

/// The rule for the values of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Every value.
    Any,
    /// An address that a link may lead to.
    Link,
    /// An address of the site or the web.
    Web,
    /// Addresses of images with sizes, as in `srcset`.
    Candidates,
    /// The address of a player.
    Player,
    /// Features of the browser that a player may use.
    Features,
    /// The permissions of a player.
    Sandbox,
    /// The relation of a link.
    Relations,
    /// The window of a link.
    Target,
    /// A check box.
    Checkbox,
    /// The direction of writing.
    Direction,
    /// The alignment of a line or an image.
    Align,
    /// The vertical alignment in a cell.
    VerticalAlign,
    /// A color.
    Color,
    /// Declarations of styles.
    Style,
    /// Names of classes.
    Classes,
    /// An id.
    Id,
}

/// The schemes that links may have; the editor allows the same.
pub(super) const LINK_SCHEMES: &[&str] =
    &["http", "https", "ftp", "ftps", "mailto", "tel", "callto", "sms", "cid", "xmpp"];
/// The schemes of images and other files.
pub(super) const WEB_SCHEMES: &[&str] = &["http", "https"];

/// Hosts whose players may be embedded, and the paths of the players. They run scripts in their own origin, without
/// access to the page.
pub(super) const PLAYERS: &[(&str, &str)] = &[
    ("www.youtube.com", "/embed/"),
    ("youtube.com", "/embed/"),
    ("www.youtube-nocookie.com", "/embed/"),
    ("youtube-nocookie.com", "/embed/"),
    ("player.vimeo.com", "/video/"),
    ("player.twitch.tv", "/"),
    ("clips.twitch.tv", "/embed"),
];

/// Browser features that a player may use; not camera, microphone or location.
pub(super) const FEATURES: &[&str] = &[
    "accelerometer",
    "autoplay",
    "clipboard-write",
    "encrypted-media",
    "fullscreen",
    "gyroscope",
    "picture-in-picture",
    "web-share",
];

/// Allowed values of `sandbox`.
pub(super) const SANDBOX: &[&str] =
    &["allow-popups", "allow-presentation", "allow-same-origin", "allow-scripts"];

/// Allowed values of `rel`.
pub(super) const RELATIONS: &[&str] = &[
    "author",
    "bookmark",
    "external",
    "help",
    "license",
    "me",
    "nofollow",
    "noopener",
    "noreferrer",
    "sponsored",
    "tag",
    "ugc",
];

pub(super) const DIRECTIONS: &[&str] = &["auto", "ltr", "rtl"];
pub(super) const TARGETS: &[&str] = &["_blank", "_self"];
pub(super) const ALIGNMENTS: &[&str] = &[
    "absmiddle",
    "baseline",
    "bottom",
    "center",
    "char",
    "justify",
    "left",
    "middle",
    "right",
    "start",
    "end",
    "top",
];
pub(super) const VERTICAL_ALIGNMENTS: &[&str] = &["baseline", "bottom", "middle", "top"];

/// Classes that the editor writes. Others could make content look like a part of the page.
pub(super) const CLASSES: &[&str] =
    &["details", "emoji", "hashtag", "mention", "responsive-image", "tableWrapper"];
/// Beginnings of classes that the editor writes.
pub(super) const CLASS_PREFIXES: &[&str] = &["language-", "tiptap-"];

pub(super) const MAX_ID_LENGTH: usize = 200;

impl Rule {
    /// Returns the allowed part of a value; unchanged, without a copy, if all of it is allowed. `None` removes the
    /// attribute.
    pub(super) fn apply<'v>(self, element: &str, value: &'v str) -> Option<Cow<'v, str>> {
        let if_so = |right: bool| right.then_some(Cow::Borrowed(value));
        let one_of = |words: &[&str]| if_so(contains(words, value.trim_ascii()));
        match self {
            Self::Any => if_so(true),
            Self::Link => if_so(has_scheme_of(value, LINK_SCHEMES)),
            Self::Web => if_so(has_scheme_of(value, WEB_SCHEMES)),
            Self::Candidates => candidates(value),
            Self::Player => if_so(is_player(value)),
            Self::Features => keep_parts(value, |policy| {
                policy.split_ascii_whitespace().next().is_some_and(|feature| contains(FEATURES, feature))
            }),
            Self::Sandbox => keep_words(value, |word| contains(SANDBOX, word)),
            Self::Relations => keep_words(value, |word| contains(RELATIONS, word)),
            Self::Target => one_of(TARGETS),
            Self::Checkbox => one_of(&["checkbox"]),
            Self::Direction => one_of(DIRECTIONS),
            Self::Align => one_of(ALIGNMENTS),
            Self::VerticalAlign => one_of(VERTICAL_ALIGNMENTS),
            Self::Color => if_so(css::is_value(value)),
            Self::Style => keep_parts(value, |declaration| css::is_allowed(element, declaration)),
            Self::Classes => keep_words(value, is_class),
            Self::Id => if_so(is_id(value)),
        }
    }
}

/// Returns the allowed parts of a list between semicolons.
fn keep_parts(list: &str, allowed: impl Fn(&str) -> bool) -> Option<Cow<'_, str>> {
    let parts = list.split(';').map(str::trim_ascii).filter(|part| !part.is_empty());
    keep(list, parts, "; ", allowed)
}

/// Returns the allowed words of a list.
fn keep_words(list: &str, allowed: impl Fn(&str) -> bool) -> Option<Cow<'_, str>> {
    keep(list, list.split_ascii_whitespace(), " ", allowed)
}

/// Returns the allowed parts of a list, unchanged if all of them are allowed.
fn keep<'v>(
    list: &'v str,
    parts: impl Iterator<Item = &'v str>,
    separator: &str,
    allowed: impl Fn(&str) -> bool,
) -> Option<Cow<'v, str>> {
    let mut all = 0;
    let kept: Vec<_> = parts.inspect(|_| all += 1).filter(|part| allowed(part)).collect();
    match kept.len() {
        kept if kept == all => Some(Cow::Borrowed(list)),
        0 => None,
        _ => Some(Cow::Owned(kept.join(separator))),
    }
}

/// Reports whether an address is relative or has one of these schemes. Browsers ignore tabs, line breaks and the control
/// characters at the beginning; here everything invisible at the beginning is ignored, which only makes it stricter.
fn has_scheme_of(address: &str, schemes: &[&str]) -> bool {
    let invisible = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let address = address.trim_start_matches(invisible);
    let Some(end) = address.find([':', '/', '?', '#', '\\']) else { return true };
    if address.as_bytes()[end] != b':' {
        return true;
    }
    let scheme: String = address[..end].chars().filter(|c| *c == ' ' || !invisible(*c)).collect();
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    !valid || contains(schemes, &scheme)
}

fn is_player(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let known = |(host, path): &(&str, &str)| url.host_str() == Some(*host) && url.path().starts_with(path);
    url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && PLAYERS.iter().any(known)
}

/// Parses `srcset` as the HTML standard says, and returns the allowed candidates.
fn candidates(list: &str) -> Option<Cow<'_, str>> {
    let mut rest = list;
    let (mut kept, mut all) = (Vec::new(), 0_usize);
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        if rest.is_empty() {
            break;
        }
        all += 1;
        let whole = rest;
        let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        let address = rest[..end].trim_end_matches(',');
        rest = &rest[end..];
        let mut descriptors = "";
        if address.len() == end {
            // Descriptors end at the next comma outside of parentheses.
            let mut open = 0_usize;
            let end = rest.find(|c| {
                match c {
                    '(' => open += 1,
                    ')' => open = open.saturating_sub(1),
                    _ => {}
                }
                c == ',' && open == 0
            });
            descriptors = &rest[..end.unwrap_or(rest.len())];
            rest = &rest[descriptors.len()..];
        }
        let candidate = whole[..whole.len() - rest.len()].trim_ascii();
        if has_scheme_of(address, WEB_SCHEMES) && descriptors.split_ascii_whitespace().all(is_descriptor) {
            kept.push(candidate.trim_end_matches(','));
        }
    }
    match kept.len() {
        0 => None,
        kept if kept == all => Some(Cow::Borrowed(list)),
        _ => Some(Cow::Owned(kept.join(", "))),
    }
}

/// Matches `750w`, `500h` and `1.5x`.
fn is_descriptor(descriptor: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match descriptor.as_bytes().last() {
        Some(b'w' | b'h') => digits(&descriptor[..descriptor.len() - 1]),
        Some(b'x') => descriptor[..descriptor.len() - 1].parse::<f64>().is_ok_and(f64::is_finite),
        _ => false,
    }
}

/// Matches a class that the editor writes, and `language-rust` for syntax highlighting.
fn is_class(class: &str) -> bool {
    let plain = |rest: &str| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#-_.".contains(&b))
    };
    CLASSES.contains(&class)
        || CLASS_PREFIXES.iter().any(|prefix| class.strip_prefix(prefix).is_some_and(plain))
}

fn is_id(id: &str) -> bool {
    let valid = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    !id.is_empty() && !id.starts_with('_') && id.chars().count() <= MAX_ID_LENGTH && id.chars().all(valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn srcset_is_parsed_as_in_the_standard() {
        for (list, kept) in [
            ("/a.webp 1200w, /b.webp 750w", Some("/a.webp 1200w, /b.webp 750w")),
            ("/t/w:400,h:300/a.webp 400w, /b 2x", Some("/t/w:400,h:300/a.webp 400w, /b 2x")),
            ("/a 1x, /b 2x,", Some("/a 1x, /b 2x,")),
            ("/a, /b 2x", Some("/a, /b 2x")),
            ("/a 400w 300h, /b 1.5x", Some("/a 400w 300h, /b 1.5x")),
            ("javascript:x 1x, /b 2x", Some("/b 2x")),
            ("/a wide, /b 2x", Some("/b 2x")),
            ("javascript:x 1x", None),
            ("/a,javascript:x 1x", Some("/a,javascript:x 1x")),
            (" , ", None),
        ] {
            assert_eq!(candidates(list).as_deref(), kept, "{list}");
        }
    }

    #[test]
    fn addresses_are_read_as_browsers_do() {
        for address in [
            "javascript:x",
            " \u{1}java\nscript:x",
            "\u{a0}javascript:x",
            "\u{200b}JavaScript:x",
            "java\tscript:x",
            "data:text/html,x",
            "vbscript:x",
            "blob:https://example.com/x",
            "file:///etc/passwd",
        ] {
            assert!(!has_scheme_of(address, LINK_SCHEMES), "{address:?}");
        }
        for address in [
            "/a:b",
            "a/b:c",
            "?a:b",
            "#a:b",
            "//example.com:80/",
            "HTTPS://example.com",
            "SMS:+4412",
            "",
            "1:2",
        ] {
            assert!(has_scheme_of(address, LINK_SCHEMES), "{address:?}");
        }
    }
}
