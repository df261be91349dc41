use bson::{Bson, Document};

use crate::{Field, Filter};

/// Decodes a query document; `None` if [`Filter`] cannot express it.
pub(crate) fn condition(expression: &Document) -> Option<Filter> {
    let mut all = Vec::new();
    for (key, value) in expression {
        match (key.as_str(), value) {
            ("$and", Bson::Array(list)) => all.push(Filter::And(conditions(list)?)),
            ("$or", Bson::Array(list)) => all.push(Filter::Or(conditions(list)?)),
            ("$nor", Bson::Array(list)) => all.push(none_of(list)?),
            (key, _) if key.starts_with('$') => return None,
            (path, value) => {
                let field = Field::parse(path).ok()?;
                match value {
                    Bson::Document(operators)
                        if operators.keys().next().is_some_and(|k| k.starts_with('$')) =>
                    {
                        for (operator, operand) in operators {
                            all.push(comparison(field.clone(), operator, operand)?);
                        }
                    }
                    value => all.push(Filter::Eq(field, value.clone())),
                }
            }
        }
    }
    match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(Filter::And(all)),
    }
}

fn conditions(list: &[Bson]) -> Option<Vec<Filter>> {
    list.iter().map(|one| one.as_document().and_then(condition_or_all)).collect()
}

/// Decodes a nested condition, where an empty document matches everything.
fn condition_or_all(expression: &Document) -> Option<Filter> {
    if expression.is_empty() { Some(Filter::All) } else { condition(expression) }
}

fn none_of(list: &[Bson]) -> Option<Filter> {
    let mut filters = conditions(list)?;
    match filters.as_slice() {
        // The encoding of an empty `or`.
        [Filter::All] => Some(Filter::Or(Vec::new())),
        [_] => filters.pop().map(Filter::negated),
        _ => Some(Filter::Or(filters).negated()),
    }
}

fn comparison(field: Field, operator: &str, operand: &Bson) -> Option<Filter> {
    let value = operand.clone();
    Some(match (operator, operand) {
        ("$eq", _) => Filter::Eq(field, value),
        ("$ne", _) => Filter::Ne(field, value),
        ("$lt", _) => Filter::Lt(field, value),
        ("$lte", _) => Filter::Lte(field, value),
        ("$gt", _) => Filter::Gt(field, value),
        ("$gte", _) => Filter::Gte(field, value),
        ("$exists", _) if truth(Some(operand)) => Filter::Exists(field),
        ("$exists", _) => Filter::Missing(field),
        ("$in", Bson::Array(values)) => Filter::In(field, values.clone()),
        ("$nin", Bson::Array(values)) => Filter::NotIn(field, values.clone()),
        ("$elemMatch", Bson::Document(inner)) if inner.len() == 1 => {
            Filter::Contains(field, inner.get("$eq")?.clone())
        }
        ("$regex", Bson::String(pattern)) => Filter::StartsWith(field, literal(pattern)?),
        _ => return None,
    })
}

/// Returns the literal prefix of an anchored pattern; `None` if the pattern contains anything else.
fn literal(pattern: &str) -> Option<String> {
    let mut chars = pattern.strip_prefix('^')?.chars();
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().filter(|c| !c.is_ascii_alphanumeric())?),
            c if ".$|?*+()[]{}^".contains(c) => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

/// Reads an option as a boolean; older servers and tools write numbers.
pub(crate) fn truth(value: Option<&Bson>) -> bool {
    match value {
        Some(Bson::Boolean(value)) => *value,
        Some(Bson::Int32(value)) => *value != 0,
        Some(Bson::Int64(value)) => *value != 0,
        Some(Bson::Double(value)) => *value != 0.0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::mongo::translate;

    #[test]
    fn what_is_asked_is_read_back() {
        for filter in [
            Filter::eq("a", doc! { "$gt": 1 }),
            Filter::ne("a", 1),
            Filter::is_in("a", [1, 2]),
            Filter::not_in("a", ["x"]),
            Filter::and([Filter::gt("a", 1), Filter::lte("b", 2), Filter::missing("c")]),
            Filter::or([Filter::exists("a"), Filter::lt("a", 0).negated()]),
            Filter::Or(vec![]),
            Filter::or([Filter::All, Filter::gte("a", 1)]),
            Filter::starts_with("a", r"x.\(é-#"),
            Filter::contains("a", "x"),
        ] {
            assert_eq!(condition(&translate::filter(&filter)), Some(filter));
        }
    }

    #[test]
    fn what_cannot_be_said_is_not_guessed() {
        for query in [
            doc! { "$jsonSchema": { "required": ["a"] } },
            doc! { "a": { "$type": "string" } },
            doc! { "a": { "$regex": "^a.*" } },
            doc! { "a": { "$regex": r"^\d" } },
            doc! { "a": { "$elemMatch": { "$gt": 1 } } },
        ] {
            assert_eq!(condition(&query), None, "{query}");
        }
    }
}
