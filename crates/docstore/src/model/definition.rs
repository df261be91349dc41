use bson::{Bson, Document, doc};

use crate::{Direction, Error, Field, Filter, Index, Result};

/// Encodes an index as a document.
pub(crate) fn encode(index: &Index) -> Document {
    let fields: Vec<Bson> = index
        .fields()
        .iter()
        .map(|f| {
            Bson::Document(
                doc! { "field": f.field.as_str(), "descending": f.direction == Direction::Descending },
            )
        })
        .collect();
    let mut spec = doc! { "name": index.name(), "fields": fields };
    if index.is_unique() {
        spec.insert("unique", true);
    }
    if index.is_sparse() {
        spec.insert("sparse", true);
    }
    if let Some(filter) = index.partial_filter() {
        spec.insert("partial", encode_filter(filter));
    }
    spec
}

/// Decodes an index from a document. Field names are not checked, because an engine may report an index that cannot be
/// declared here.
pub(crate) fn decode(spec: &Document) -> Result<Index> {
    let mut fields = Vec::new();
    for field in spec.get_array("fields").map_err(|_| broken("no fields"))? {
        let Bson::Document(field) = field else { return Err(broken("a field is not a document")) };
        let name = field.get_str("field").map_err(|_| broken("a field without a name"))?;
        let descending = field.get_bool("descending").unwrap_or(false);
        let direction = if descending { Direction::Descending } else { Direction::Ascending };
        fields.push((Field::unchecked(name.to_owned()), direction));
    }
    let mut index = Index::by(fields).named(spec.get_str("name").map_err(|_| broken("no name"))?);
    if spec.contains_key("unique") {
        index = index.unique();
    }
    if spec.contains_key("sparse") {
        index = index.sparse();
    }
    if let Ok(filter) = spec.get_document("partial") {
        index = index.partial(decode_filter(filter)?);
    }
    Ok(index)
}

/// Encodes a filter as a document.
pub(crate) fn encode_filter(filter: &Filter) -> Document {
    let one =
        |op: &str, field: &Field, value: Bson| doc! { "op": op, "field": field.as_str(), "value": value };
    let text = |op: &str, field: &Field| doc! { "op": op, "field": field.as_str() };
    let all = |op: &str, filters: &[Filter]| {
        let filters: Vec<Bson> = filters.iter().map(|f| Bson::Document(encode_filter(f))).collect();
        doc! { "op": op, "filters": filters }
    };
    match filter {
        Filter::All => doc! { "op": "all" },
        Filter::Eq(f, v) => one("eq", f, v.clone()),
        Filter::Ne(f, v) => one("ne", f, v.clone()),
        Filter::In(f, v) => one("in", f, Bson::Array(v.clone())),
        Filter::Lt(f, v) => one("lt", f, v.clone()),
        Filter::Lte(f, v) => one("lte", f, v.clone()),
        Filter::Gt(f, v) => one("gt", f, v.clone()),
        Filter::Gte(f, v) => one("gte", f, v.clone()),
        Filter::Exists(f) => text("exists", f),
        Filter::Missing(f) => text("missing", f),
        Filter::StartsWith(f, prefix) => one("starts_with", f, Bson::String(prefix.clone())),
        Filter::And(filters) => all("and", filters),
        Filter::Or(filters) => all("or", filters),
        Filter::Not(inner) => doc! { "op": "not", "filters": [encode_filter(inner)] },
    }
}

/// Decodes a filter from a document.
pub(crate) fn decode_filter(spec: &Document) -> Result<Filter> {
    let field = || {
        let name = spec.get_str("field").map_err(|_| broken("a filter without a field"))?;
        Ok(Field::unchecked(name.to_owned()))
    };
    let value = || spec.get("value").cloned().ok_or_else(|| broken("a filter without a value"));
    let values = || spec.get_array("value").cloned().map_err(|_| broken("a filter without values"));
    let filters = || {
        spec.get_array("filters")
            .map_err(|_| broken("a filter without parts"))?
            .iter()
            .map(|f| {
                f.as_document().ok_or_else(|| broken("a part is not a document")).and_then(decode_filter)
            })
            .collect::<Result<Vec<_>>>()
    };
    Ok(match spec.get_str("op").map_err(|_| broken("a filter without an operator"))? {
        "all" => Filter::All,
        "eq" => Filter::Eq(field()?, value()?),
        "ne" => Filter::Ne(field()?, value()?),
        "in" => Filter::In(field()?, values()?),
        "lt" => Filter::Lt(field()?, value()?),
        "lte" => Filter::Lte(field()?, value()?),
        "gt" => Filter::Gt(field()?, value()?),
        "gte" => Filter::Gte(field()?, value()?),
        "exists" => Filter::Exists(field()?),
        "missing" => Filter::Missing(field()?),
        "starts_with" => Filter::StartsWith(
            field()?,
            spec.get_str("value").map_err(|_| broken("a prefix is not a string"))?.to_owned(),
        ),
        "and" => Filter::And(filters()?),
        "or" => Filter::Or(filters()?),
        "not" => Filter::Not(Box::new(
            filters()?.into_iter().next().ok_or_else(|| broken("a negation without a filter"))?,
        )),
        other => return Err(broken(&format!("unknown operator {other}"))),
    })
}

/// Returns the error for a stored definition that cannot be decoded.
pub(crate) fn broken(why: &str) -> Error {
    Error::Engine { what: "reading a definition", source: why.to_owned().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_definitions_round_trip() {
        let partial = Filter::and([
            Filter::eq("a", 1),
            Filter::or([Filter::exists("b.c"), Filter::is_in("d", ["x", "y"]), Filter::gte("e", 1.5)]),
        ]);
        for index in [
            Index::on(["slug"]).unique(),
            Index::by([("a", Direction::Descending), ("b.c", Direction::Ascending)]).sparse().named("mine"),
            Index::on(["a"]).partial(partial),
        ] {
            assert_eq!(decode(&encode(&index)).unwrap(), index);
        }
    }
}
