use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::Builder;

use super::attribute_values;

/// Allowed elements. `svg` and `math` are not among them, because their contents are parsed by other rules.
const ELEMENTS: &str = "a abbr audio b bdi bdo blockquote br caption cite code col colgroup dd del details dfn div dl \
    dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i iframe img input ins kbd label li mark ol p \
    picture pre q s samp section small source span strike strong sub summary sup table tbody td \
    tfoot th thead time tr u ul var video wbr";

/// Elements that are removed with their content. The content of other elements that are not allowed stays.
const WITH_CONTENT: &str = "applet embed math noembed noframes noscript object plaintext script style svg template textarea \
    title xmp";

/// Allowed attributes of every element. The editor's `data-` attributes are listed one by one, since page libraries act on
/// others. `id` is not allowed, because it could shadow a global variable of the page's script.
const ANYWHERE: &str = "data-align data-caption data-checked data-color data-id data-label data-language data-latex \
    data-mention-suggestion-char data-placeholder data-text-align data-type data-width \
    data-youtube-video dir lang title";

/// Allowed attributes of single elements.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("a", "href hreflang rel target"),
    ("audio", "controls loop muted preload src"),
    ("blockquote", "cite style"),
    ("code", "class"),
    ("col", "span style width"),
    ("colgroup", "span"),
    ("del", "cite datetime"),
    ("details", "open"),
    ("div", "style"),
    ("figcaption", "style"),
    ("figure", "style"),
    ("h1", "style"),
    ("h2", "style"),
    ("h3", "style"),
    ("h4", "style"),
    ("h5", "style"),
    ("h6", "style"),
    (
        "iframe",
        "allow allowfullscreen autoplay disablekbcontrols enableiframeapi endtime frameborder \
         height ivloadpolicy loading loop modestbranding origin playlist referrerpolicy sandbox src \
         start width",
    ),
    ("img", "alt decoding fetchpriority height loading sizes src srcset width"),
    ("input", "checked disabled type"),
    ("ins", "cite datetime"),
    ("li", "style value"),
    ("mark", "style"),
    ("ol", "reversed start type"),
    ("p", "style"),
    ("pre", "class"),
    ("q", "cite"),
    ("source", "height media sizes src srcset type width"),
    ("span", "style"),
    ("table", "style"),
    ("td", "colspan colwidth rowspan style"),
    ("th", "colspan colwidth rowspan scope style"),
    ("time", "datetime"),
    ("video", "autoplay controls height loop muted playsinline poster preload src width"),
];

/// Allowed URL schemes.
const SCHEMES: &str = "http https mailto tel";

/// Embedded players run scripts in their own origin, without access to the page.
const SANDBOX: &str = "allow-scripts allow-same-origin allow-presentation allow-popups";

static ALLOWED: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(set(ELEMENTS))
        .clean_content_tags(set(WITH_CONTENT))
        .generic_attributes(set(ANYWHERE))
        .tag_attributes(ATTRIBUTES.iter().map(|(element, names)| (*element, set(names))).collect())
        .url_schemes(set(SCHEMES))
        .set_tag_attribute_values(HashMap::from([("iframe", HashMap::from([("sandbox", SANDBOX)]))]))
        // `attribute_values::allowed` filters the `rel` of links.
        .link_rel(None)
        .attribute_filter(attribute_values::allowed);
    builder
});

/// Parses HTML as a browser does, and serializes what is allowed.
pub(super) fn apply(html: &str) -> String {
    ALLOWED.clean(html).to_string()
}

/// Reports whether an element is removed with its content.
pub(super) fn removes_content(element: &str) -> bool {
    contains(WITH_CONTENT, element)
}

/// Reports whether an element is allowed.
pub(super) fn allows(element: &str) -> bool {
    contains(ELEMENTS, element)
}

/// Reports whether an element may have an attribute, with an allowed value.
pub(super) fn allows_attribute(element: &str, attribute: &str) -> bool {
    let own = |(of, attributes): &(&str, &str)| *of == element && contains(attributes, attribute);
    contains(ANYWHERE, attribute) || ATTRIBUTES.iter().any(own)
}

fn set(names: &'static str) -> HashSet<&'static str> {
    names.split(' ').collect()
}

fn contains(list: &str, wanted: &str) -> bool {
    list.split(' ').any(|name| name == wanted)
}
