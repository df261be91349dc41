use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Decimal128, Regex, Timestamp, doc};

use crate::order::*;

#[test]
fn finds_fields_after_values_of_every_type() {
    let kinds = [
        Bson::Double(1.5),
        "text".into(),
        doc! { "inner": 1 }.into(),
        Bson::Array(vec![1.into(), "b".into()]),
        Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 1, 2] }),
        ObjectId::from_bytes([7; 12]).into(),
        true.into(),
        DateTime::from_millis(5).into(),
        Bson::Null,
        Bson::JavaScriptCode("f()".into()),
        Bson::Symbol("s".into()),
        1_i32.into(),
        Bson::Timestamp(Timestamp { time: 1, increment: 2 }),
        1_i64.into(),
        Bson::Decimal128(Decimal128::from_bytes([1; 16])),
        Bson::MinKey,
        Bson::MaxKey,
    ];
    for kind in kinds {
        let bytes = doc! { "first": kind.clone(), "last": "end" }.to_vec().unwrap();
        assert_eq!(has(&bytes, b"last"), Some(true), "{kind}");
        assert_eq!(has(&bytes, b"first"), Some(true), "{kind}");
        for none in ["", "inner", "las", "lastly", "en"] {
            assert_eq!(has(&bytes, none.as_bytes()), Some(false), "{kind}: {none}");
        }
    }
}

#[test]
fn unknown_types_and_malformed_bytes_return_none() {
    let pattern =
        Bson::RegularExpression(Regex { pattern: "a".try_into().unwrap(), options: "i".try_into().unwrap() });
    let bytes = doc! { "first": pattern, "last": 1 }.to_vec().unwrap();
    assert_eq!(has(&bytes, b"last"), None);
    // A truncated document is never reported as lacking the field.
    let whole = doc! { "a": "text", "b": 1_i64, "c": [1, 2] }.to_vec().unwrap();
    for length in 0..whole.len() {
        assert_eq!(has(&whole[..length], b"z"), None, "{length}");
    }
    // A string whose length exceeds the document.
    let mut bad = doc! { "a": "text" }.to_vec().unwrap();
    bad[7..11].copy_from_slice(&i32::MAX.to_le_bytes());
    assert_eq!(has(&bad, b"z"), None);
    // A terminator before the end.
    assert_eq!(has(b"\x0a\0\0\0\0\x08b\0\x01\0", b"b"), None);
    bad[7..11].copy_from_slice(&(-1_i32).to_le_bytes());
    assert_eq!(has(&bad, b"z"), None);
}
