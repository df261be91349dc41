//! The worst inputs for a sanitizer.

/// Generates an input of about this many bytes.
type Generator = fn(usize) -> String;

/// The names and generators of the inputs.
pub(crate) const INPUTS: &[(&str, Generator)] = &[
    ("adoption-agency", |size| fill(size, |n| format!("<a href=/{n}><b><div></a>{n}</b>"))),
    ("active-formatting", |size| fill(size, |n| format!("<p><b id={n}><i><u><s><em>"))),
    ("foster-parenting", |size| fill(size, |_| "<table>a<tr>b<td>c".to_owned())),
    ("nested-tables", |size| fill(size, |_| "<table><tr><td>".to_owned())),
    ("attribute-copying", |size| {
        let repeated = "<p>a".repeat(size / 8);
        format!("<p><a href=\"{}\">{repeated}", "A".repeat(size - repeated.len() - 20))
    }),
    // The same kinds of work in a form that is accepted.
    ("many-attributes", |size| format!("<p {}>x</p>", fill(size - 9, |n| format!("{n:x} ")))),
    ("allowed-attributes", |size| {
        fill(size, |_| {
            "<a href=\"a\" style=\"color:red;width:1px\" class=\"mention b\" rel=\"me x\">a</a>".to_owned()
        })
    }),
    ("closed-tables", |size| fill(size, |_| "<table><tbody><tr><td>a</td></tr></tbody></table>".to_owned())),
    ("deep", |size| format!("{}{}", "<b>".repeat(199), fill(size - 597, |_| "<i>a</p></b>".to_owned()))),
    ("deep-items", |size| format!("{}{}", "<div>".repeat(198), fill(size - 990, |_| "<li>a".to_owned()))),
    ("removed-elements", |size| fill(size, |n| format!("<x{n:x}>a"))),
    ("references", |size| fill(size, |_| "&<x>a".to_owned())),
    ("ampersands", |size| "&".repeat(size)),
];

fn fill(size: usize, part: impl Fn(usize) -> String) -> String {
    let mut out = String::with_capacity(size);
    for n in 0.. {
        let part = part(n);
        if out.len() + part.len() > size {
            break;
        }
        out.push_str(&part);
    }
    out
}
