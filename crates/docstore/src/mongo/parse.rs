use bson::{Bson, Document};

use crate::{Field, Filter};

/// Decodes a query document; `None` if [`Filter`] cannot express it.
pub(crate) fn condition(expression: &Document) -> Option<Filter> {
    let mut all = Vec::new();
    for (key, value) in expression {
        match (key.as_str(), value) {
            ("$and", Bson::Array(list)) => all.push(Filter::And(conditions(list)?)),
            ("$or", Bson::Array(list)) => all.push(Filter::Or(conditions(list)?)),
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
    list.iter().map(|filter| filter.as_document().and_then(condition)).collect()
}

fn comparison(field: Field, operator: &str, operand: &Bson) -> Option<Filter> {
    let value = operand.clone();
    Some(match (operator, operand) {
        ("$eq", _) => Filter::Eq(field, value),
        ("$lt", _) => Filter::Lt(field, value),
        ("$lte", _) => Filter::Lte(field, value),
        ("$gt", _) => Filter::Gt(field, value),
        ("$gte", _) => Filter::Gte(field, value),
        ("$exists", _) if truth(Some(operand)) => Filter::Exists(field),
        ("$in", Bson::Array(values)) => Filter::In(field, values.clone()),
        _ => return None,
    })
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
            Filter::is_in("a", [1, 2]),
            Filter::and([Filter::gt("a", 1), Filter::lte("b", 2)]),
            Filter::or([Filter::exists("a"), Filter::lt("a", 0), Filter::gte("a", 1)]),
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
            doc! { "a": { "$ne": 1 } },
            doc! { "a": { "$exists": false } },
            doc! { "a": { "$elemMatch": { "$gt": 1 } } },
        ] {
            assert_eq!(condition(&query), None, "{query}");
        }
    }
}
