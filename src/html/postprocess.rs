//! Rules that an allow-list of attributes cannot express: an element that is worth nothing without one of them.

/// Said of links that open a window of their own.
const REL: &str = " rel=\"noopener noreferrer\"";

/// Takes what the serialiser wrote, where `<` begins a tag and `"` ends a value wherever they stand, other than in the
/// text of an `iframe`:
/// - an `iframe` without `src` goes, and no text stays in one: browsers and parsers disagree on what it is;
/// - an `input` that is no check box goes;
/// - a link that opens a window of its own does not give that window away.
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

/// The text before the next tag, the tag, and what follows.
fn next_tag(html: &str) -> Option<(&str, &str, &str)> {
    let start = html.find('<')?;
    let end = start + html[start..].find('>')? + 1;
    Some((&html[..start], &html[start..end], &html[end..]))
}

/// The name of a start tag; of an end tag, the name with its slash.
fn name(tag: &str) -> &str {
    let inner = &tag[1..tag.len() - 1];
    inner.split(' ').next().unwrap_or(inner)
}

fn has(tag: &str, attribute: &str) -> bool {
    // No value holds a quotation mark, so this cannot be found in one.
    tag.contains(&format!(" {attribute}=\""))
}
