//! Rules that an allow-list cannot express: elements that need a certain attribute.

/// The attribute of links that open a new window.
const REL: &str = " rel=\"noopener noreferrer\"";

/// Processes serialized HTML, in which `<` always begins a tag and `"` always ends a value, except in the text of an
/// `iframe`:
/// - removes each `iframe` without `src`, and the text of every `iframe`, which browsers and parsers treat differently;
/// - removes each `input` that is not a checkbox;
/// - adds `rel` to links that open a new window, so that the new page has no access to this one.
pub(super) fn finish(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((text, tag, after)) = next_tag(rest) {
        out.push_str(text);
        rest = after;
        match name(tag) {
            "iframe" => {
                rest = after.find("</iframe>").map_or("", |end| &after[end + "</iframe>".len()..]);
                if has(tag, "src") {
                    out.push_str(tag);
                    out.push_str("</iframe>");
                }
            }
            "input" if !tag.contains(" type=\"checkbox\"") => {}
            "a" if has(tag, "target") && !has(tag, "rel") => {
                out.push_str(&tag[..tag.len() - 1]);
                out.push_str(REL);
                out.push('>');
            }
            _ => out.push_str(tag),
        }
    }
    out.push_str(rest);
    out
}

/// Splits HTML into the text before the next tag, the tag, and the rest.
fn next_tag(html: &str) -> Option<(&str, &str, &str)> {
    let start = html.find('<')?;
    let end = start + html[start..].find('>')? + 1;
    Some((&html[..start], &html[start..end], &html[end..]))
}

/// Returns the name of a tag; that of an end tag begins with a slash.
fn name(tag: &str) -> &str {
    let inner = &tag[1..tag.len() - 1];
    inner.split(' ').next().unwrap_or(inner)
}

fn has(tag: &str, attribute: &str) -> bool {
    // Values contain no quotation mark, so this cannot match inside one.
    tag.contains(&format!(" {attribute}=\""))
}
