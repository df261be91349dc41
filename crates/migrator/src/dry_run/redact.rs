use std::collections::BTreeMap;

use bson::{Bson, Document};

/// Variables whose values are not to be told.
pub(super) struct Secrets(BTreeMap<String, String>);

impl Secrets {
    pub(super) fn new(variables: BTreeMap<String, String>) -> Self {
        Self(variables)
    }

    /// The text with values of variables told by the variables' names.
    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // The longer first, since one may hold another.
        let mut secrets: Vec<_> = self.0.iter().filter(|(_, value)| !value.is_empty()).collect();
        secrets.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        for (name, value) in secrets {
            text = text.replace(value.as_str(), &format!("${{{name}}}"));
        }
        text
    }

    /// The same for every text in a document, names of fields apart.
    pub(super) fn document(&self, document: &Document) -> Document {
        document.iter().map(|(name, value)| (name.clone(), self.value(value))).collect()
    }

    fn value(&self, value: &Bson) -> Bson {
        match value {
            Bson::String(text) => Bson::String(self.text(text)),
            Bson::Document(document) => Bson::Document(self.document(document)),
            Bson::Array(values) => Bson::Array(values.iter().map(|value| self.value(value)).collect()),
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn a_value_is_told_by_its_name_wherever_it_is() {
        let pairs = [("SHORT", "ada"), ("MAIL", "ada@example.org"), ("BLANK", "")];
        let secrets = Secrets::new(pairs.map(|(name, value)| (name.into(), value.into())).into());
        let told = secrets.document(&doc! { "a": ["to ada@example.org", 1], "b": { "ada": "ada" } });
        assert_eq!(told, doc! { "a": ["to ${MAIL}", 1], "b": { "ada": "${SHORT}" } });
    }
}
