use std::collections::BTreeMap;

use bson::{Bson, Document};

/// Environment variables whose values are replaced by their names, such as `${ADMIN_EMAIL}`.
#[derive(Default)]
pub(crate) struct Secrets(pub(super) BTreeMap<String, String>);

impl Secrets {
    /// Replaces the values in a text.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // The longest first, since one value may contain another.
        let mut secrets: Vec<_> = self.0.iter().filter(|(_, value)| !value.is_empty()).collect();
        secrets.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        for (name, value) in secrets {
            text = text.replace(value.as_str(), &format!("${{{name}}}"));
        }
        text
    }

    /// Replaces the values in every string of a document, except in field names.
    pub(super) fn redact_document(&self, document: &Document) -> Document {
        document.iter().map(|(name, value)| (name.clone(), self.redact_value(value))).collect()
    }

    fn redact_value(&self, value: &Bson) -> Bson {
        match value {
            Bson::String(text) => Bson::String(self.redact(text)),
            Bson::Document(document) => Bson::Document(self.redact_document(document)),
            Bson::Array(values) => Bson::Array(values.iter().map(|value| self.redact_value(value)).collect()),
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn values_are_replaced_by_names_at_any_depth() {
        let pairs = [("SHORT", "ada"), ("MAIL", "ada@example.org"), ("BLANK", "")];
        let secrets = Secrets(pairs.map(|(name, value)| (name.into(), value.into())).into());
        let redacted =
            secrets.redact_document(&doc! { "a": ["to ada@example.org", 1], "b": { "ada": "ada" } });
        assert_eq!(redacted, doc! { "a": ["to ${MAIL}", 1], "b": { "ada": "${SHORT}" } });
    }
}
