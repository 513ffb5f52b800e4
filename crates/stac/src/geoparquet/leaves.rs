//! Where the values of items go: the columns of a file, and the values that are on their way into a group of rows.

use std::ops::Range;

use bytes::Bytes;
use indexmap::IndexMap;
use parquet::data_type::ByteArray;

use super::group::Group;
use super::kind::Kind;
use super::observe::Columns;

/// The columns by the names of fields and properties.
#[derive(Debug)]
pub(super) struct Plan {
    pub fields: IndexMap<String, Node>,
    pub properties: IndexMap<String, Node>,
    leaves: Vec<LeafKind>,
}

#[derive(Debug)]
pub(super) enum Node {
    Leaf(usize),
    List { element: Box<Node>, leaves: Range<usize> },
    Struct { members: IndexMap<String, Node>, leaves: Range<usize> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeafKind {
    Bool,
    Int,
    Float,
    Text,
    Time,
    Wkb,
    Json,
}

/// The values of one column, and at which depths they stand.
#[derive(Debug)]
pub(super) struct Leaf {
    pub kind: LeafKind,
    pub values: Values,
    pub def: Vec<i16>,
    pub rep: Vec<i16>,
}

/// Values of a column that are not null.
#[derive(Debug)]
pub(super) enum Values {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Float(Vec<f64>),
    /// One behind the other, and where each ends.
    Bytes(Vec<u8>, Vec<usize>),
}

impl Values {
    /// Texts as the writer takes them; they share one piece of memory.
    pub(super) fn byte_arrays(bytes: Vec<u8>, ends: &[usize]) -> Vec<ByteArray> {
        let bytes = Bytes::from(bytes);
        let mut from = 0;
        ends.iter().map(|end| ByteArray::from(bytes.slice(std::mem::replace(&mut from, *end)..*end))).collect()
    }
}

/// Rows on their way into a group.
#[derive(Debug)]
pub(super) struct Shredded {
    pub leaves: Vec<Leaf>,
    pub group: Group,
    /// Kinds of geometries, as WKB numbers them.
    pub shapes: std::collections::BTreeSet<u32>,
}

impl Plan {
    /// The plan of columns that were settled; their order is that of the file.
    pub(super) fn of(columns: &Columns) -> Self {
        let mut leaves = Vec::new();
        let fields = columns.fields.iter().map(|(name, kind)| (name.clone(), Node::of(kind, &mut leaves))).collect();
        let properties =
            columns.properties.iter().map(|(name, kind)| (name.clone(), Node::of(kind, &mut leaves))).collect();
        Self { fields, properties, leaves }
    }

    /// Columns without rows.
    pub(super) fn empty(&self) -> Shredded {
        let leaf = |kind: &LeafKind| {
            let values = match kind {
                LeafKind::Bool => Values::Bool(Vec::new()),
                LeafKind::Int | LeafKind::Time => Values::Int(Vec::new()),
                LeafKind::Float => Values::Float(Vec::new()),
                LeafKind::Text | LeafKind::Wkb | LeafKind::Json => Values::Bytes(Vec::new(), Vec::new()),
            };
            Leaf { kind: *kind, values, def: Vec::new(), rep: Vec::new() }
        };
        Shredded {
            leaves: self.leaves.iter().map(leaf).collect(),
            group: Group::default(),
            shapes: std::collections::BTreeSet::new(),
        }
    }
}

impl Node {
    fn of(kind: &Kind, leaves: &mut Vec<LeafKind>) -> Self {
        let first = leaves.len();
        let leaf = match kind {
            Kind::List(element) => {
                let element = Box::new(Self::of(element, leaves));
                return Self::List { element, leaves: first..leaves.len() };
            }
            Kind::Struct(fields) => {
                let members = fields.iter().map(|(name, kind)| (name.clone(), Self::of(kind, leaves))).collect();
                return Self::Struct { members, leaves: first..leaves.len() };
            }
            Kind::Bool => LeafKind::Bool,
            Kind::Int | Kind::Long => LeafKind::Int,
            Kind::Float => LeafKind::Float,
            Kind::Null | Kind::Text => LeafKind::Text,
            Kind::Time => LeafKind::Time,
            Kind::Wkb => LeafKind::Wkb,
            Kind::Json => LeafKind::Json,
        };
        leaves.push(leaf);
        Self::Leaf(first)
    }

    pub(super) fn leaves(&self) -> Range<usize> {
        match self {
            Self::Leaf(at) => *at..at + 1,
            Self::List { leaves, .. } | Self::Struct { leaves, .. } => leaves.clone(),
        }
    }

    /// Nothing, in all columns below.
    pub(super) fn absent(&self, leaves: &mut [Leaf], at: At) {
        for leaf in leaves.get_mut(self.leaves()).into_iter().flatten() {
            leaf.mark(at.def, at.rep);
        }
    }
}

/// Depth of what is there, repetition, and lists around.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub def: i16,
    pub rep: i16,
    pub lists: i16,
}

pub(super) const TOP: At = At { def: 0, rep: 0, lists: 0 };

impl Leaf {
    pub(super) fn mark(&mut self, def: i16, rep: i16) {
        self.def.push(def);
        self.rep.push(rep);
    }
}
