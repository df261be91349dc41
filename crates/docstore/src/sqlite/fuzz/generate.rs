use arbitrary::{Result, Unstructured};
use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, Timestamp};

use crate::engine::Reach;
use crate::{Direction, Field, Filter, Find, Index, Projection, Update, UpdateOp};

/// A collection's history, and reads of its end.
pub(super) struct Input {
    pub(super) changes: Vec<Change>,
    pub(super) reads: Vec<Find>,
}

/// A change of the collection.
pub(super) enum Change {
    Index(Index),
    Insert(Document),
    Update { filter: Filter, update: Update, reach: Reach },
    Delete(Filter),
}

/// Few fields and few values, so that they collide.
const PATHS: [&str; 10] = ["a", "a", "b", "b", "c", "a.b", "a.c", "b.c", "a.b.c", "_id"];
const PREFIXES: [&str; 7] = ["", "a", "ab", "a\u{1}", "é", "$", "a%"];
const MAX_CHANGES: usize = 24;
const MAX_READS: usize = 6;
const MAX_DEPTH: usize = 3;

pub(super) fn input(u: &mut Unstructured<'_>) -> Result<Input> {
    // One array makes the entries of an index inexact, so half of the inputs have none.
    let depth = if u.ratio(1, 2)? { MAX_DEPTH } else { 0 };
    // The number of reads comes first: a byte that is added at the end then adds to a change or a read.
    let reads = u.int_in_range(1..=MAX_READS)?;
    let changes = u.int_in_range(1..=MAX_CHANGES)?;
    let changes = (0..changes).map(|n| change(u, n, depth)).collect::<Result<_>>()?;
    let reads = (0..reads).map(|_| find(u)).collect::<Result<_>>()?;
    Ok(Input { changes, reads })
}

fn change(u: &mut Unstructured<'_>, n: usize, depth: usize) -> Result<Change> {
    Ok(match u.int_in_range(0..=9)? {
        0 | 1 => Change::Index(index(u, n)?),
        2..=6 => Change::Insert(document(u, depth)?),
        7 | 8 => {
            let reach = u.choose(&[Reach::One, Reach::OneOrInsert, Reach::Many])?;
            Change::Update { filter: filter(u, 0)?, update: update(u, depth)?, reach: *reach }
        }
        _ => Change::Delete(filter(u, 0)?),
    })
}

fn path(u: &mut Unstructured<'_>) -> Result<Field> {
    Ok(Field::from(*u.choose(&PATHS)?))
}

fn scalar(u: &mut Unstructured<'_>) -> Result<Bson> {
    Ok(match u.int_in_range(0..=16)? {
        0 | 1 => Bson::Null,
        2 => Bson::Boolean(u.arbitrary()?),
        3..=5 => Bson::Int32(u.int_in_range(-1..=3)?),
        6 => Bson::Int64(*u.choose(&[0, 1, 2, (1 << 53) + 1, i64::MAX, i64::MIN])?),
        7 => Bson::Double(*u.choose(&[
            0.0,
            -0.0,
            1.0,
            1.5,
            9_007_199_254_740_992.0,
            9.3e18,
            f64::NAN,
            f64::INFINITY,
            -1e300,
        ])?),
        8 | 9 => Bson::from(*u.choose(&["", "a", "b", "ab", "a\0", "a\0b", "é", "A", "1", "$a"])?),
        10 => Bson::String(u.arbitrary::<&str>()?.chars().take(12).collect()),
        11 => Bson::Int64(u.arbitrary()?),
        12 => Bson::Double(u.arbitrary()?),
        13 => Bson::ObjectId(ObjectId::from_bytes([u.int_in_range(0..=2)?; 12])),
        14 => Bson::DateTime(DateTime::from_millis(*u.choose(&[-1, 0, 1000, i64::MAX])?)),
        15 => Bson::Timestamp(Timestamp { time: u.int_in_range(0..=2)?, increment: u.int_in_range(0..=2)? }),
        _ => {
            let subtype =
                *u.choose(&[BinarySubtype::Generic, BinarySubtype::Uuid, BinarySubtype::BinaryOld])?;
            Bson::Binary(Binary { subtype, bytes: vec![u.arbitrary()?; u.int_in_range(0..=2)?] })
        }
    })
}

fn value(u: &mut Unstructured<'_>, depth: usize) -> Result<Bson> {
    match if depth < MAX_DEPTH { u.int_in_range(0..=9)? } else { 0 } {
        0..=5 => scalar(u),
        6 | 7 => {
            let length = u.int_in_range(0..=3)?;
            (0..length).map(|_| value(u, depth + 1)).collect::<Result<_>>().map(Bson::Array)
        }
        _ => fields(u, &["b", "c"], depth + 1).map(Bson::Document),
    }
}

/// A document with some of these fields, in any order.
fn fields(u: &mut Unstructured<'_>, names: &[&str], depth: usize) -> Result<Document> {
    let mut document = Document::new();
    for _ in 0..u.int_in_range(0..=names.len())? {
        document.insert(*u.choose(names)?, value(u, depth)?);
    }
    Ok(document)
}

fn document(u: &mut Unstructured<'_>, depth: usize) -> Result<Document> {
    let mut document = Document::new();
    document.insert("_id", if u.ratio(3, 4)? { Bson::Int32(u.int_in_range(0..=20)?) } else { value(u, 1)? });
    document.extend(fields(u, &["a", "b", "c"], depth)?);
    Ok(document)
}

fn values(u: &mut Unstructured<'_>) -> Result<Vec<Bson>> {
    let length = u.int_in_range(0..=4)?;
    (0..length).map(|_| value(u, 2)).collect()
}

fn filter(u: &mut Unstructured<'_>, depth: usize) -> Result<Filter> {
    let last = if depth < MAX_DEPTH { 15 } else { 11 };
    let parts = |u: &mut Unstructured<'_>| {
        let length = u.int_in_range(0..=3)?;
        (0..length).map(|_| filter(u, depth + 1)).collect::<Result<Vec<_>>>()
    };
    Ok(match u.int_in_range(0..=last)? {
        0 => Filter::All,
        1 | 2 => Filter::Eq(path(u)?, value(u, 1)?),
        3 => Filter::Ne(path(u)?, value(u, 1)?),
        4 => Filter::In(path(u)?, values(u)?),
        5 => Filter::Lt(path(u)?, value(u, 1)?),
        6 => Filter::Lte(path(u)?, value(u, 1)?),
        7 => Filter::Gt(path(u)?, value(u, 1)?),
        8 => Filter::Gte(path(u)?, value(u, 1)?),
        9 => Filter::Exists(path(u)?),
        10 => Filter::Missing(path(u)?),
        11 => Filter::StartsWith(path(u)?, (*u.choose(&PREFIXES)?).to_owned()),
        12 => Filter::And(parts(u)?),
        13 => range(u)?,
        14 => Filter::Or(parts(u)?),
        _ => filter(u, depth + 1)?.negated(),
    })
}

/// Two or three bounds of one field, which an index may combine.
fn range(u: &mut Unstructured<'_>) -> Result<Filter> {
    let field = path(u)?;
    let bound = |u: &mut Unstructured<'_>| {
        let value = Bson::Int32(u.int_in_range(-1..=3)?);
        let field = field.clone();
        Ok(match u.int_in_range(0..=3)? {
            0 => Filter::Lt(field, value),
            1 => Filter::Lte(field, value),
            2 => Filter::Gt(field, value),
            _ => Filter::Gte(field, value),
        })
    };
    let length = u.int_in_range(2..=3)?;
    (0..length).map(|_| bound(u)).collect::<Result<_>>().map(Filter::And)
}

fn update(u: &mut Unstructured<'_>, depth: usize) -> Result<Update> {
    let mut update = Update::new();
    for _ in 0..u.int_in_range(1..=3)? {
        let field = path(u)?;
        update = update.with(match u.int_in_range(0..=5)? {
            0 | 1 => UpdateOp::Set(field, value(u, depth)?),
            2 => UpdateOp::Unset(field),
            3 => UpdateOp::Inc(field, scalar(u)?),
            4 => UpdateOp::SetOnInsert(field, value(u, depth)?),
            _ if depth == MAX_DEPTH => UpdateOp::Set(field, scalar(u)?),
            _ => UpdateOp::AddToSet(field, value(u, 1)?),
        });
    }
    Ok(update)
}

fn directions(u: &mut Unstructured<'_>, max: usize) -> Result<Vec<(&'static str, Direction)>> {
    let length = u.int_in_range(0..=max)?;
    let direction =
        |u: &mut Unstructured<'_>| u.choose(&[Direction::Ascending, Direction::Descending]).copied();
    (0..length).map(|_| Ok((*u.choose(&PATHS)?, direction(u)?))).collect()
}

fn index(u: &mut Unstructured<'_>, n: usize) -> Result<Index> {
    let index = Index::by(directions(u, 3)?).named(format!("i{n}"));
    Ok(match u.int_in_range(0..=5)? {
        0 | 1 => index,
        2 => index.unique(),
        3 => index.sparse(),
        4 => index.unique().partial(filter(u, 1)?),
        _ => index.partial(filter(u, 1)?),
    })
}

fn find(u: &mut Unstructured<'_>) -> Result<Find> {
    let mut find = Find::new(filter(u, 0)?);
    for (field, direction) in directions(u, 3)? {
        find.sort = match direction {
            Direction::Ascending => find.sort.then_ascending(field),
            Direction::Descending => find.sort.then_descending(field),
        };
    }
    if u.ratio(1, 3)? {
        find.sort = std::mem::take(&mut find.sort).then_ascending(Field::ID);
    }
    if u.ratio(1, 4)? {
        let position = find.sort.fields().iter().map(|_| value(u, 2)).collect::<Result<_>>()?;
        find.after = Some(position);
    }
    if u.ratio(1, 4)? {
        find.skip = u.int_in_range(0..=5)?;
    }
    if u.ratio(1, 2)? {
        find.limit = Some(u.int_in_range(0..=8)?);
    }
    if u.ratio(1, 8)? {
        let length = u.int_in_range(0..=2)?;
        let paths = (0..length).map(|_| path(u)).collect::<Result<Vec<_>>>()?;
        find.projection = Some(Projection::include(paths));
    }
    Ok(find)
}
