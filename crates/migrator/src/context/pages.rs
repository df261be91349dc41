use bson::Bson;
use docstore::{Field, Filter};

/// Goes through the documents that a filter matches in the order of their ids, also where the documents read are
/// changed in between so that the filter no longer matches them.
///
/// A comparison of ids stays within one type, so after the last id of a type those of the other types are asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages {
    /// The last id read of each type, in the order of types.
    last: Vec<Bson>,
    within_type: bool,
    end: bool,
}

impl Pages {
    /// Whether everything was read.
    pub(crate) fn is_end(&self) -> bool {
        self.end
    }

    /// The next page, to be sorted by id.
    pub(crate) fn filter(&self, base: &Filter) -> Filter {
        let base = base.clone();
        match self.last.last() {
            None => base,
            Some(id) if self.within_type => base.also(Filter::gt(Field::ID, id.clone())),
            Some(_) => {
                let passed = |id: &Bson| Filter::lte(Field::ID, id.clone()).negated();
                base.also(Filter::and(self.last.iter().map(passed)))
            }
        }
    }

    /// Notes the ids of a page of which at most `limit` were asked for.
    pub(crate) fn advance<'a>(&mut self, ids: impl ExactSizeIterator<Item = &'a Bson>, limit: usize) {
        let full = ids.len() == limit;
        for id in ids {
            if self.last.last().is_some_and(|last| same_type(last, id)) {
                self.last.pop();
            }
            self.last.push(id.clone());
        }
        self.end = !full && !self.within_type;
        self.within_type = full;
    }
}

/// Whether a comparison reaches from one to the other.
fn same_type(a: &Bson, b: &Bson) -> bool {
    let number = |v: &Bson| matches!(v, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_));
    a.element_type() == b.element_type() || (number(a) && number(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_first_page_is_the_end() {
        let mut pages = Pages::default();
        assert_eq!(pages.filter(&Filter::All), Filter::All);
        pages.advance([Bson::Int32(1)].iter(), 2);
        assert!(pages.is_end());
    }

    #[test]
    fn after_the_last_of_a_type_the_other_types_come() {
        let mut pages = Pages::default();
        pages.advance([Bson::Int32(1), Bson::Int64(2)].iter(), 2);
        assert_eq!(pages.filter(&Filter::All), Filter::gt(Field::ID, 2_i64));
        pages.advance([Bson::Int32(3)].iter(), 2);
        assert!(!pages.is_end());
        let beyond = Filter::and([Filter::lte(Field::ID, 3_i32).negated()]);
        assert_eq!(pages.filter(&Filter::All), beyond);
        pages.advance([Bson::from("a"), Bson::from("b")].iter(), 2);
        assert_eq!(pages.filter(&Filter::All), Filter::gt(Field::ID, "b"));
        pages.advance([].iter(), 2);
        let beyond =
            Filter::and([Filter::lte(Field::ID, 3_i32).negated(), Filter::lte(Field::ID, "b").negated()]);
        assert_eq!(pages.filter(&Filter::All), beyond);
        pages.advance([].iter(), 2);
        assert!(pages.is_end());
    }
}
