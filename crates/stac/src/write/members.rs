//! What a catalog lists, in its order: children by number, items by id. An id takes its length and 8 bytes.

#[derive(Debug, Default)]
pub(super) struct Members {
    /// The ids one behind the other.
    ids: String,
    list: Vec<Slot>,
}

#[derive(Debug, Clone, Copy)]
enum Slot {
    Catalog(u32),
    /// How long its id is.
    Item(u32),
}

/// A member of a catalog.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Member<'a> {
    /// Its number among the catalogs that are written.
    Catalog(usize),
    Item(&'a str),
}

impl Members {
    pub(super) fn push_catalog(&mut self, at: usize) {
        self.list.push(Slot::Catalog(u32::try_from(at).unwrap_or(u32::MAX)));
    }

    /// Adds an item; its id is one that names a file, thus short.
    pub(super) fn push_item(&mut self, id: &str) {
        self.ids.push_str(id);
        self.list.push(Slot::Item(u32::try_from(id.len()).unwrap_or(u32::MAX)));
    }

    /// Puts them in the order of their ids; those of catalogs are told by their number.
    pub(super) fn sort(&mut self, names: &[String]) {
        let name = |member: &Member<'_>| match member {
            Member::Catalog(at) => names.get(*at).cloned().unwrap_or_default(),
            Member::Item(id) => (*id).to_owned(),
        };
        let mut order: Vec<(String, Option<usize>)> = self
            .iter()
            .map(|member| (name(&member), if let Member::Catalog(at) = member { Some(at) } else { None }))
            .collect();
        order.sort();
        *self = Self::default();
        for (id, catalog) in order {
            match catalog {
                Some(at) => self.push_catalog(at),
                None => self.push_item(&id),
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Member<'_>> {
        let mut from = 0;
        self.list.iter().map(move |slot| match slot {
            Slot::Catalog(at) => Member::Catalog(*at as usize),
            Slot::Item(length) => {
                let start = from;
                from += *length as usize;
                Member::Item(self.ids.get(start..from).unwrap_or_default())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_back_in_their_order() {
        let mut members = Members::default();
        members.push_item("a");
        members.push_catalog(7);
        members.push_item("");
        members.push_item("b\u{e9}");
        let all: Vec<_> = members.iter().collect();
        assert_eq!(all, [Member::Item("a"), Member::Catalog(7), Member::Item(""), Member::Item("b\u{e9}")]);
        assert_eq!(members.len(), 4);
        let mut names = vec![String::new(); 7];
        names.push("aa".to_owned());
        members.sort(&names);
        let all: Vec<_> = members.iter().collect();
        assert_eq!(all, [Member::Item(""), Member::Item("a"), Member::Catalog(7), Member::Item("b\u{e9}")]);
    }
}
