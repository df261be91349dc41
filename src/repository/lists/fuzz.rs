use bson::{Bson, Document};
use docstore::{Database, Filter, Find, Sort};
use futures_util::FutureExt as _;

use super::cursor::{CursorPosition, Cursors};
use crate::repository::Error;

/// The key that signs; the committed inputs contain cursors that it signed.
const KEY: [u8; 32] = [7; 32];

/// Opens, signs and alters cursors. A cursor opens for its list alone, and what opens is what was sealed.
pub(crate) fn cursors(database: &Database, data: &[u8]) {
    let cursors = Cursors::with_key(database, "stories", KEY.to_vec());
    let list = Find::new(Filter::eq("is_published", true))
        .sort(Sort::descending("createdDate").then_ascending("_id"));
    let seal = |position: &CursorPosition| {
        cursors
            .seal(&list, position)
            .now_or_never()
            .expect("the key is known")
            .expect("a position can be sealed")
    };
    let open = |text: &str| match cursors.open(&list, text).now_or_never().expect("the key is known") {
        Ok(position) => Some(position),
        Err(Error::Cursor) => None,
        Err(error) => panic!("{error:?}"),
    };
    let Some((&mode, rest)) = data.split_first() else { return };
    match mode % 3 {
        // The text of a client.
        0 => {
            let text = String::from_utf8_lossy(rest);
            if let Some(position) = open(&text) {
                assert_eq!(seal(&position), text);
            }
        }
        // Bytes that this program signed, perhaps another version of it.
        1 => {
            let text = cursors.sign(&list, rest.to_vec()).now_or_never().expect("the key is known");
            if let Some(position) = open(&text.expect("bytes can be signed")) {
                let again = open(&seal(&position)).expect("a sealed position opens");
                assert_eq!(format!("{position:?}"), format!("{again:?}"));
            }
        }
        _ => altered(&cursors, &list, rest, &seal, &open),
    }
}

/// Seals a position, and opens it after one character was altered, and for other lists.
fn altered(
    cursors: &Cursors,
    list: &Find,
    data: &[u8],
    seal: &impl Fn(&CursorPosition) -> String,
    open: &impl Fn(&str) -> Option<CursorPosition>,
) {
    let Some((head, elements)) = data.split_first_chunk::<10>() else { return };
    let [at, other, passed @ ..] = *head;
    let length = u32::try_from(elements.len() + 5).expect("an input is short");
    let framed = [&length.to_le_bytes()[..], elements, &[0]].concat();
    let values = bson::deserialize_from_slice::<Document>(&framed).unwrap_or_default();
    let values: Vec<Bson> = values.into_iter().map(|(_, value)| value).collect();
    let position = CursorPosition { passed: u64::from_le_bytes(passed), values };
    let sealed = seal(&position);
    let opened = open(&sealed).expect("a sealed position opens");
    assert_eq!(format!("{opened:?}"), format!("{position:?}"));

    let at = usize::from(at) * (sealed.len() - 1) / usize::from(u8::MAX);
    let mut bytes = sealed.clone().into_bytes();
    bytes[at] = other;
    if let Ok(text) = String::from_utf8(bytes)
        && text != sealed
    {
        assert_eq!(open(&text), None, "{text} is not {sealed}");
    }
    let narrowed = list.clone();
    let others = [
        Find { filter: Filter::eq("is_published", false), ..narrowed.clone() },
        Find { filter: narrowed.filter.clone().also(Filter::eq("section_id", "x")), ..narrowed.clone() },
        Find { sort: Sort::ascending("createdDate").then_ascending("_id"), ..narrowed },
    ];
    for other in others {
        let opened = cursors.open(&other, &sealed).now_or_never().expect("the key is known");
        assert!(matches!(opened, Err(Error::Cursor)), "{sealed} opens {other:?}");
    }
}
