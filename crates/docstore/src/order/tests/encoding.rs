use std::cmp::Ordering;

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, Timestamp, doc};
use proptest::prelude::*;

use crate::order::*;

/// Compares in MongoDB's order, as a plain specification: type, then value.
fn compare(a: &Bson, b: &Bson) -> Ordering {
    let rank = |value: &Bson| match value {
        Bson::Null => 0,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => 1,
        Bson::String(_) => 2,
        Bson::Document(_) => 3,
        Bson::Array(_) => 4,
        Bson::Binary(_) => 5,
        Bson::ObjectId(_) => 6,
        Bson::Boolean(_) => 7,
        Bson::DateTime(_) => 8,
        _ => 9,
    };
    rank(a).cmp(&rank(b)).then_with(|| match (a, b) {
        (Bson::String(a), Bson::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Bson::Document(a), Bson::Document(b)) => {
            let fields = a.iter().zip(b);
            let first = fields.map(|((ka, va), (kb, vb))| {
                rank(va).cmp(&rank(vb)).then_with(|| ka.cmp(kb)).then_with(|| compare(va, vb))
            });
            first.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
        }
        (Bson::Array(a), Bson::Array(b)) => {
            let first = a.iter().zip(b).map(|(a, b)| compare(a, b));
            first.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
        }
        (Bson::Binary(a), Bson::Binary(b)) => {
            let key = |v: &Binary| (v.bytes.len(), u8::from(v.subtype), v.bytes.clone());
            key(a).cmp(&key(b))
        }
        (Bson::ObjectId(a), Bson::ObjectId(b)) => a.bytes().cmp(&b.bytes()),
        (Bson::Boolean(a), Bson::Boolean(b)) => a.cmp(b),
        (Bson::DateTime(a), Bson::DateTime(b)) => a.timestamp_millis().cmp(&b.timestamp_millis()),
        (Bson::Timestamp(a), Bson::Timestamp(b)) => (a.time, a.increment).cmp(&(b.time, b.increment)),
        (a, b) => compare_numbers(a, b),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "only what an i128 holds is converted")]
/// Compares exactly, without converting to double: a double is split into its integer part and the sign of the rest.
fn compare_numbers(a: &Bson, b: &Bson) -> Ordering {
    let exact = |value: &Bson| -> Option<(i128, f64)> {
        match value {
            Bson::Int32(v) => Some((i128::from(*v), 0.0)),
            Bson::Int64(v) => Some((i128::from(*v), 0.0)),
            // Beyond the range of int64, doubles are ordered by the saturated integer part and the value.
            Bson::Double(v) if v.abs() < 1e30 => Some((v.trunc() as i128, v.fract())),
            Bson::Double(v) if v.is_nan() => None,
            Bson::Double(v) => Some((if *v > 0.0 { i128::MAX } else { i128::MIN }, *v)),
            _ => None,
        }
    };
    match (exact(a), exact(b)) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Less,
        (_, None) => Ordering::Greater,
        (Some(a), Some(b)) => a.partial_cmp(&b).unwrap(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "what a double makes of a large integer is a case of its own")]
fn number() -> impl Strategy<Value = Bson> {
    let edge = prop_oneof![
        Just(i64::MAX),
        Just(i64::MIN),
        Just(1 << 53),
        Just((1 << 53) + 1),
        Just((1 << 62) + 257),
        Just(0),
        any::<i64>(),
        -3_i64..3,
    ];
    prop_oneof![
        any::<i32>().prop_map(Bson::Int32),
        (-3..3).prop_map(Bson::Int32),
        edge.clone().prop_map(Bson::Int64),
        edge.prop_map(|v| Bson::Double(v as f64)),
        any::<f64>().prop_map(Bson::Double),
        prop_oneof![
            Just(-0.0),
            Just(0.5),
            Just(-0.5),
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY)
        ]
        .prop_map(Bson::Double),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ab\u{0}é]{0,4}", any::<String>()]
}

fn value() -> impl Strategy<Value = Bson> {
    let binary = (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..4)).prop_map(|(old, bytes)| {
        let subtype = if old { BinarySubtype::Uuid } else { BinarySubtype::Generic };
        Bson::Binary(Binary { subtype, bytes })
    });
    let leaf = prop_oneof![
        3 => number(),
        2 => text().prop_map(Bson::String),
        1 => Just(Bson::Null),
        1 => any::<bool>().prop_map(Bson::Boolean),
        1 => any::<i64>().prop_map(|v| Bson::DateTime(DateTime::from_millis(v))),
        1 => (any::<u32>(), any::<u32>())
            .prop_map(|(time, increment)| Bson::Timestamp(Timestamp { time, increment })),
        1 => any::<[u8; 12]>().prop_map(|v| Bson::ObjectId(bson::oid::ObjectId::from_bytes(v))),
        1 => binary,
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let fields = proptest::collection::vec(("[ab]{0,2}", inner.clone()), 0..4);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Bson::Array),
            fields.prop_map(|fields| Bson::Document(fields.into_iter().collect::<Document>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn encodings_preserve_the_order_of_values(a in value(), b in value()) {
        prop_assert_eq!(encode_value(&a).unwrap().cmp(&encode_value(&b).unwrap()), compare(&a, &b));
    }

    #[test]
    fn number_encodings_preserve_order(a in number(), b in number()) {
        prop_assert_eq!(encode_value(&a).unwrap().cmp(&encode_value(&b).unwrap()), compare(&a, &b));
    }

    #[test]
    fn encodings_are_prefix_free(a in value(), b in value()) {
        let (a, b) = (encode_value(&a).unwrap(), encode_value(&b).unwrap());
        prop_assert!(a == b || !b.starts_with(&a));
    }

    #[test]
    fn inverted_encodings_reverse_the_order(a in value(), b in value()) {
        let (mut x, mut y) = (encode_value(&a).unwrap(), encode_value(&b).unwrap());
        let order = x.cmp(&y);
        invert(&mut x);
        invert(&mut y);
        prop_assert_eq!(x.cmp(&y), order.reverse());
    }

    #[test]
    fn strings_start_with_the_encoding_of_their_prefix(a in text(), b in text()) {
        let begins = encode_value(&Bson::String(b.clone())).unwrap().starts_with(&text_prefix(&a));
        prop_assert_eq!(begins, b.starts_with(&a));
    }
}

#[test]
fn after_prefix_is_above_every_encoding_with_the_prefix() {
    assert_eq!(after_prefix(vec![1, 2]), vec![1, 3]);
    assert_eq!(after_prefix(vec![1, 255, 255]), vec![2]);
    assert_eq!(after_prefix(vec![255]), vec![255]);
}

#[test]
fn unsupported_types_are_rejected() {
    assert!(encode_value(&Bson::MinKey).is_err());
    assert!(encode_value(&Bson::Document(doc! { "a": [Bson::Undefined] })).is_err());
}
