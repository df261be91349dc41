use std::fmt;

use bson::{Bson, Document, doc};
use docstore::{Field, Filter, Index};

use crate::run::{Change, Work};

/// What is seen of a step, be it declared or made in code: all but the functions in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Deed {
    pub(crate) name: String,
    pub(crate) collection: String,
    pub(crate) does: Does,
}

/// What it does to the collection. Filters are those of the documents that are still to be changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Does {
    Set {
        filter: Filter,
        field: Field,
        value: Bson,
        where_missing: bool,
    },
    /// At the end of a rename the field is known that takes its place.
    Unset {
        filter: Filter,
        field: Field,
        renamed_to: Option<Field>,
    },
    CopyField {
        filter: Filter,
        from: Field,
        to: Field,
    },
    Each {
        filter: Filter,
        reads: Vec<Field>,
    },
    Insert {
        key: Filter,
        document: Document,
    },
    InsertMany {
        key: Vec<Field>,
        documents: Vec<Document>,
    },
    Delete {
        filter: Filter,
    },
    Copy {
        to: String,
        filter: Filter,
    },
    CreateIndex(Index),
    DropIndex(String),
}

impl Deed {
    pub(crate) fn of(name: &str, collection: &str, work: &Work<'_>) -> Self {
        let does = match work {
            Work::Change { open, change } => Does::change(open.clone(), change),
            Work::Insert { key, document } => Does::Insert { key: key.clone(), document: document.clone() },
            Work::InsertMany { key, documents } => {
                Does::InsertMany { key: key.clone(), documents: documents.clone() }
            }
            Work::Delete { filter } => Does::Delete { filter: filter.clone() },
            Work::Copy { to, filter } => Does::Copy { to: (*to).to_owned(), filter: filter.clone() },
            Work::CreateIndex { index } => Does::CreateIndex(index.clone()),
            Work::DropIndex { name } => Does::DropIndex((*name).to_owned()),
        };
        Self { name: name.into(), collection: collection.into(), does }
    }

    /// The collection that it writes to.
    pub(crate) fn writes_to(&self) -> &str {
        match &self.does {
            Does::Copy { to, .. } => to,
            _ => &self.collection,
        }
    }

    /// Which documents it is about; `None` if it is about none, or about some that are not there yet.
    pub(crate) fn filter(&self) -> Option<&Filter> {
        match &self.does {
            Does::Set { filter, .. }
            | Does::Unset { filter, .. }
            | Does::CopyField { filter, .. }
            | Does::Each { filter, .. }
            | Does::Delete { filter }
            | Does::Copy { filter, .. } => Some(filter),
            Does::Insert { .. } | Does::InsertMany { .. } | Does::CreateIndex(_) | Does::DropIndex(_) => None,
        }
    }

    /// The field that it gives to documents, if it is known.
    pub(crate) fn gives(&self) -> Option<&Field> {
        match &self.does {
            Does::Set { field, .. } | Does::CopyField { to: field, .. } => Some(field),
            _ => None,
        }
    }

    /// Whether it is about indexes or rules instead of documents.
    pub(crate) fn defines(&self) -> bool {
        matches!(self.does, Does::CreateIndex(_) | Does::DropIndex(_))
    }

    /// What it does, as data.
    pub(crate) fn to_document(&self) -> Document {
        let mut document = doc! { "step": &self.name, "collection": &self.collection };
        document.extend(self.does.command());
        document
    }
}

impl Does {
    fn change(filter: Filter, change: &Change<'_>) -> Self {
        match change {
            Change::Set { field, value, where_missing } => {
                let (field, value, where_missing) = (field.clone(), value.clone(), *where_missing);
                Self::Set { filter, field, value, where_missing }
            }
            Change::Unset { field } => Self::Unset { filter, field: field.clone(), renamed_to: None },
            Change::CopyField { from, to } => Self::CopyField { filter, from: from.clone(), to: to.clone() },
            Change::Each { reads, .. } => Self::Each { filter, reads: reads.fields().to_vec() },
        }
    }

    /// The command, in MongoDB's words where it has any: what is done, to which documents, how.
    pub(crate) fn command(&self) -> Document {
        let names = |fields: &[Field]| fields.iter().map(|f| Bson::from(f.as_str())).collect::<Vec<_>>();
        match self {
            Self::Set { filter, field, value, .. } => {
                doc! { "update": filter.to_mql(), "with": { "$set": { field.as_str(): value.clone() } } }
            }
            Self::Unset { filter, field, .. } => {
                doc! { "update": filter.to_mql(), "with": { "$unset": { field.as_str(): "" } } }
            }
            Self::CopyField { filter, from, to } => {
                let value = format!("${from}");
                doc! { "update": filter.to_mql(), "with": [{ "$set": { to.as_str(): value } }] }
            }
            Self::Each { filter, reads } => {
                doc! { "update": filter.to_mql(), "with_function_of": names(reads) }
            }
            Self::Insert { key, document } => doc! { "insert": [document.clone()], "unless": key.to_mql() },
            Self::InsertMany { key, documents } => {
                doc! { "insert": documents.clone(), "unless_same": names(key) }
            }
            Self::Delete { filter } => doc! { "delete": filter.to_mql() },
            Self::Copy { to, filter } => doc! { "copy": filter.to_mql(), "to": to },
            Self::CreateIndex(index) => doc! { "create_index": index.to_mql() },
            Self::DropIndex(name) => doc! { "drop_index": name },
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = &self.collection;
        let of = |filter: &Filter| match filter {
            Filter::All => String::new(),
            filter => format!(" where {}", filter.to_mql()),
        };
        match &self.does {
            Does::Set { filter, field, value, .. } => write!(f, "{at}: set {field} to {value}{}", of(filter)),
            Does::Unset { filter, field, .. } => write!(f, "{at}: unset {field}{}", of(filter)),
            Does::CopyField { filter, from, to } => {
                write!(f, "{at}: set {to} to what {from} has{}", of(filter))
            }
            Does::Each { filter, reads } => {
                let reads: Vec<_> = reads.iter().map(Field::as_str).collect();
                write!(f, "{at}: change by a function of {}{}", reads.join(", "), of(filter))
            }
            Does::Insert { key, document } => {
                write!(f, "{at}: insert {document} unless there is {}", key.to_mql())
            }
            Does::InsertMany { key, documents } => {
                let key: Vec<_> = key.iter().map(Field::as_str).collect();
                let n = documents.len();
                write!(f, "{at}: insert {n} documents, each unless its {} is there", key.join(", "))
            }
            Does::Delete { filter } => write!(f, "{at}: delete{}", of(filter)),
            Does::Copy { to, filter } => write!(f, "{at}: copy to {to}{}", of(filter)),
            Does::CreateIndex(index) => write!(f, "{at}: create index {index}"),
            Does::DropIndex(name) => write!(f, "{at}: drop index {name}"),
        }
    }
}
