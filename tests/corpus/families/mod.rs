//! What is secret: every family of values, as templates of the corpus's template language.
//!
//! A family says how its values read, which keys they go by, and where they can stand. Shapes are the
//! providers' published formats; bodies are drawn when a test runs. Carriers are not here (`carriers`),
//! and neither are records with a fixed shape of their own (`templates`).

mod context;
mod vendor;

use super::carriers::{Fits, Secret};
use super::random::Random;
use super::slots::fill;
use super::text::Part;

/// A kind of secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// For totals: `vendor`, `token`, `password` …
    pub(crate) group: &'static str,
    fits: Fits,
    /// True if nothing but the key tells that the value is a secret.
    needs_key: bool,
    keys: &'static [&'static str],
    shapes: Shapes,
}

/// How a family's values read.
#[derive(Clone, Copy, Debug)]
enum Shapes {
    /// One of these, all of it secret.
    Whole(&'static [&'static str]),
    /// One of these; the template marks what is secret.
    Marked(&'static [&'static str]),
}

/// Keys that say nothing: a self-describing token must be found behind them too.
const PLAIN_KEYS: &[&str] = &["value", "arg", "item", "detail", "input"];

impl Family {
    const fn new(
        name: &'static str,
        group: &'static str,
        keys: &'static [&'static str],
        shapes: Shapes,
    ) -> Self {
        Self { name, group, fits: Fits::Any, needs_key: false, keys, shapes }
    }

    const fn fits(mut self, fits: Fits) -> Self {
        self.fits = fits;
        self
    }

    const fn needs_key(mut self) -> Self {
        self.needs_key = true;
        self
    }

    /// Draws a secret of the family.
    pub(crate) fn draw(&self, random: &mut Random) -> Secret {
        let value = match self.shapes {
            Shapes::Whole(shapes) => {
                let shape = random.pick(shapes);
                fill(random, shape).all(Part::Secret)
            }
            Shapes::Marked(shapes) => {
                let shape = random.pick(shapes);
                fill(random, shape)
            }
        };
        let self_describing =
            !self.needs_key && matches!(self.shapes, Shapes::Whole(_)) && self.fits != Fits::Query;
        let keys = if self_describing && random.chance(50) { PLAIN_KEYS } else { self.keys };
        let key = random.pick(keys).to_owned();
        Secret { family: self.name, key, value, needs_key: self.needs_key, fits: self.fits }
    }
}

/// Every family, in the order of the table.
pub(crate) fn families() -> Vec<Family> {
    [vendor::FAMILIES, context::FAMILIES].concat()
}
