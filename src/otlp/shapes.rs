//! What values that hold values are made of, in the order of the request: which leaves stand beside which.

use super::schema::Role;

/// Entries that room is kept for.
const KEPT: usize = 4 << 10;

/// What a value that holds others is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Values.
    Array,
    /// Pairs.
    Object,
    /// A key and a value, in any order.
    Pair,
    /// A leaf.
    Leaf(u32),
}

impl Shape {
    /// What a message of this role is. `in_list`: a pair is in a list of pairs.
    pub(super) fn of(role: Role, in_list: bool) -> Option<Self> {
        match role {
            Role::Array => Some(Self::Array),
            Role::List => Some(Self::Object),
            Role::Pair if in_list => Some(Self::Pair),
            Role::Plain | Role::Value | Role::Resource | Role::Scope | Role::Pair => None,
        }
    }
}

/// A shape, and where what is in it ends among the shapes; what is in it follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shaped {
    pub(super) shape: Shape,
    pub(super) end: u32,
}

/// The shapes of a portion.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    pub(super) all: Vec<Shaped>,
    /// The outermost of them, and the pairs that they belong to.
    pub(super) composites: Vec<(u32, u32)>,
    /// Those that have begun and not ended.
    open: Vec<u32>,
    /// How many there are beside leaves.
    count: usize,
}

impl Shapes {
    pub(super) fn clear(&mut self) {
        let Self { all, composites, open, count } = self;
        all.clear();
        composites.clear();
        open.clear();
        *count = 0;
    }

    /// Gives back memory that only an unusual request has needed.
    pub(super) fn shrink(&mut self) {
        let Self { all, composites, open, count: _ } = self;
        all.shrink_to(KEPT);
        composites.shrink_to(KEPT);
        open.shrink_to(KEPT);
    }

    /// How many there are beside leaves.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether what is noted now is in a value that holds others.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// A value begins that holds others and belongs to this pair, or a pair of one.
    pub(super) fn open(&mut self, shape: Shape, pair: u32) {
        let at = self.all.len() as u32;
        if self.open.is_empty() {
            self.composites.push((at, pair));
        }
        self.all.push(Shaped { shape, end: at + 1 });
        self.open.push(at);
        self.count += 1;
    }

    /// What has begun last has ended.
    pub(super) fn close(&mut self) {
        if let Some(at) = self.open.pop() {
            self.all[at as usize].end = self.all.len() as u32;
        }
    }

    /// A leaf, where it is in a value that holds others.
    #[inline]
    pub(super) fn leaf(&mut self, leaf: u32) {
        if self.is_open() {
            let end = self.all.len() as u32 + 1;
            self.all.push(Shaped { shape: Shape::Leaf(leaf), end });
        }
    }
}
