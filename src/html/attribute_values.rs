use std::borrow::Cow;

use url::Url;

/// Hosts whose players may be embedded, and the paths of the players.
const PLAYERS: &[(&str, &str)] = &[
    ("www.youtube.com", "/embed/"),
    ("youtube.com", "/embed/"),
    ("www.youtube-nocookie.com", "/embed/"),
    ("youtube-nocookie.com", "/embed/"),
    ("player.vimeo.com", "/video/"),
];

/// Browser features that a player may use; not camera, microphone or location.
const FEATURES: &[&str] = &[
    "accelerometer",
    "autoplay",
    "clipboard-write",
    "encrypted-media",
    "fullscreen",
    "gyroscope",
    "picture-in-picture",
    "web-share",
];

/// Allowed values of `rel`.
const RELATIONS: &[&str] = &[
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

/// Returns the allowed part of an attribute's value, unchanged if all of it is allowed; `None` removes the attribute.
pub(super) fn allowed<'v>(element: &str, attribute: &str, value: &'v str) -> Option<Cow<'v, str>> {
    let if_so = |right: bool| right.then_some(Cow::Borrowed(value));
    match (element, attribute) {
        ("iframe", "src") => if_so(is_player(value)),
        ("iframe", "allow") => keep(value, ';', "; ", |policy| FEATURES.contains(&word(policy))),
        ("a", "rel") => Some(relations(value)),
        ("a", "target") => if_so(matches!(value, "_blank" | "_self")),
        ("input", "type") => if_so(value == "checkbox"),
        ("code" | "pre", "class") => keep(value, ' ', " ", is_language),
        (_, "src" | "poster" | "cite") => if_so(is_web(value)),
        (_, "srcset") => if_so(value.split(',').all(is_candidate)),
        (_, "style") => keep(value, ';', "; ", |declaration| is_style(element, declaration)),
        (_, "dir") => if_so(matches!(value, "ltr" | "rtl" | "auto")),
        _ => if_so(true),
    }
}

/// Returns the allowed parts of a list, unchanged if all of them are allowed.
fn keep<'v>(
    list: &'v str,
    separator: char,
    joined: &str,
    allowed: impl Fn(&str) -> bool,
) -> Option<Cow<'v, str>> {
    let parts = || list.split(separator).map(str::trim).filter(|part| !part.is_empty());
    let kept: Vec<_> = parts().filter(|part| allowed(part)).collect();
    match kept.len() {
        0 => None,
        all if all == parts().count() => Some(Cow::Borrowed(list)),
        _ => Some(Cow::Owned(kept.join(joined))),
    }
}

/// Returns the allowed relations, and `noopener` in any case.
fn relations(value: &str) -> Cow<'_, str> {
    let known = |relation: &&str| RELATIONS.contains(relation);
    let words = || value.split_ascii_whitespace();
    if words().all(|relation| known(&relation)) && words().any(|relation| relation == "noopener") {
        return Cow::Borrowed(value);
    }
    let mut kept: Vec<_> = words().filter(known).collect();
    if !kept.contains(&"noopener") {
        kept.push("noopener");
    }
    Cow::Owned(kept.join(" "))
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

/// Reports whether a URL is relative or on the web.
fn is_web(address: &str) -> bool {
    match Url::parse(address) {
        Ok(url) => matches!(url.scheme(), "http" | "https"),
        Err(error) => error == url::ParseError::RelativeUrlWithoutBase,
    }
}

/// Matches `<url> 750w`, `<url> 2x`, or a URL alone.
fn is_candidate(candidate: &str) -> bool {
    let mut words = candidate.split_ascii_whitespace();
    let address = words.next().is_some_and(is_web);
    let width = words.next().is_none_or(|width| width.strip_suffix(['w', 'x']).is_some_and(is_number));
    address && width && words.next().is_none()
}

/// Matches `language-rust` for syntax highlighting. Other classes could make content look like a part of the page.
fn is_language(class: &str) -> bool {
    class.strip_prefix("language-").is_some_and(|language| {
        !language.is_empty() && language.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#-_.".contains(&b))
    })
}

fn is_style(element: &str, declaration: &str) -> bool {
    let Some((property, value)) = declaration.split_once(':') else { return false };
    let value = value.trim();
    match (element, property.trim()) {
        ("table" | "col" | "td" | "th", "width" | "min-width") => is_length(value),
        ("mark", "background-color") | ("span" | "mark", "color") => is_color(value),
        ("col" | "span" | "mark", _) => false,
        (_, "text-align") => matches!(value, "left" | "right" | "center" | "justify" | "start" | "end"),
        _ => false,
    }
}

fn is_length(value: &str) -> bool {
    value.strip_suffix("px").or_else(|| value.strip_suffix('%')).is_some_and(is_number)
}

fn is_color(value: &str) -> bool {
    let hexadecimal =
        |digits: &str| matches!(digits.len(), 3 | 4 | 6 | 8) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let numbers = || {
        let inner = value.strip_prefix("rgb(").or_else(|| value.strip_prefix("rgba("))?.strip_suffix(')')?;
        Some(inner.split(',').map(str::trim).all(is_number))
    };
    value == "inherit" || value.strip_prefix('#').is_some_and(hexadecimal) || numbers().unwrap_or(false)
}

fn is_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    [whole, fraction]
        .iter()
        .all(|digits| (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Returns the first word.
fn word(text: &str) -> &str {
    text.split_ascii_whitespace().next().unwrap_or_default()
}
