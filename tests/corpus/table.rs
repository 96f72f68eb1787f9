//! The table of a scored corpus: counts per family and carrier, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use super::Record;
use super::carriers::carriers;
use super::score::Outcome;
use super::templates;

/// What became of the records of one cell, row, column or all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) records: usize,
    pub(crate) leaked: usize,
    pub(crate) broken_json: usize,
    pub(crate) lost: usize,
    pub(crate) context_damaged: usize,
    pub(crate) unstable: usize,
}

impl Count {
    fn add(&mut self, outcome: Outcome) {
        self.records += 1;
        self.leaked += usize::from(outcome.leaked);
        self.broken_json += usize::from(outcome.broken_json);
        self.lost += usize::from(outcome.lost);
        self.context_damaged += usize::from(outcome.context_damaged);
        self.unstable += usize::from(outcome.unstable);
    }

    fn merge(&mut self, other: Self) {
        self.records += other.records;
        self.leaked += other.leaked;
        self.broken_json += other.broken_json;
        self.lost += other.lost;
        self.context_damaged += other.context_damaged;
        self.unstable += other.unstable;
    }

    /// The part of records that leaked, in percent, with its 95 % Wilson interval.
    pub(crate) fn leak_rate(self) -> (f64, f64, f64) {
        let (n, z) = (self.records.max(1) as f64, 1.96_f64);
        let rate = self.leaked as f64 / n;
        let middle = rate + z * z / (2.0 * n);
        let spread = z * (rate * (1.0 - rate) / n + z * z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z * z / n;
        (
            100.0 * rate,
            (100.0 * (middle - spread) / scale).max(0.0),
            (100.0 * (middle + spread) / scale).min(100.0),
        )
    }
}

/// Counts per family and carrier, and which records are not clean.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    families: Vec<&'static str>,
    carriers: Vec<&'static str>,
    cells: BTreeMap<(&'static str, &'static str), Count>,
    /// The index of every record that is not clean, and what became of it.
    pub(crate) failures: Vec<(usize, Outcome)>,
}

impl Table {
    pub(crate) fn add(&mut self, index: usize, record: &Record, outcome: Outcome) {
        if !self.families.contains(&record.family) {
            self.families.push(record.family);
        }
        if !self.carriers.contains(&record.carrier) {
            self.carriers.push(record.carrier);
        }
        self.cells.entry((record.family, record.carrier)).or_default().add(outcome);
        if !outcome.is_clean() {
            self.failures.push((index, outcome));
        }
    }

    /// All records together.
    pub(crate) fn total(&self) -> Count {
        self.sum(|_, _| true)
    }

    pub(crate) fn family(&self, family: &str) -> Count {
        self.sum(|name, _| name == family)
    }

    pub(crate) fn carrier(&self, carrier: &str) -> Count {
        self.sum(|_, name| name == carrier)
    }

    /// How many family × carrier cells hold records.
    pub(crate) fn cells(&self) -> usize {
        self.cells.len()
    }

    fn sum(&self, chosen: impl Fn(&str, &str) -> bool) -> Count {
        let mut sum = Count::default();
        for ((family, carrier), count) in &self.cells {
            if chosen(family, carrier) {
                sum.merge(*count);
            }
        }
        sum
    }

    /// The table for machines: one object per cell, then the total.
    pub(crate) fn to_json(&self) -> String {
        let object = |count: Count| {
            format!(
                "\"records\":{},\"leaked\":{},\"broken_json\":{},\"lost\":{},\"context_damaged\":{},\"unstable\":{}",
                count.records,
                count.leaked,
                count.broken_json,
                count.lost,
                count.context_damaged,
                count.unstable
            )
        };
        let cells: Vec<String> = self
            .cells
            .iter()
            .map(|((family, carrier), &count)| {
                format!("{{\"family\":\"{family}\",\"carrier\":\"{carrier}\",{}}}", object(count))
            })
            .collect();
        format!("{{\"cells\":[\n{}\n],\"total\":{{{}}}}}\n", cells.join(",\n"), object(self.total()))
    }
}

/// Columns of the matrix: carrier groups in their order, then the full records.
fn groups() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut groups: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
    for carrier in carriers() {
        match groups.iter_mut().find(|(group, _)| *group == carrier.group) {
            Some((_, names)) => names.push(carrier.name),
            None => groups.push((carrier.group, vec![carrier.name])),
        }
    }
    groups.push((templates::CARRIER, vec![templates::CARRIER]));
    groups
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Records that leaked / records, per family and kind of carrier (- where the two do not go together)\n"
        )?;
        self.matrix(f)?;
        writeln!(f, "\nPer carrier\n")?;
        heading(f, "carrier")?;
        for carrier in &self.carriers {
            summary(f, carrier, self.carrier(carrier))?;
        }
        writeln!(f, "\nPer family\n")?;
        heading(f, "family")?;
        for family in &self.families {
            summary(f, family, self.family(family))?;
        }
        summary(f, "all", self.total())
    }
}

impl Table {
    fn matrix(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = groups();
        let width = |name: &str| name.len().max(7) + 1;
        write!(f, "{:<24}", "")?;
        for (group, _) in &groups {
            write!(f, "{group:>width$}", width = width(group))?;
        }
        writeln!(f)?;
        for family in self.families.iter().map(Some).chain([None]) {
            write!(f, "{:<24}", family.unwrap_or(&"all"))?;
            for (group, carriers) in &groups {
                let count = self
                    .sum(|name, carrier| family.is_none_or(|f| *f == name) && carriers.contains(&carrier));
                let cell = if count.records == 0 {
                    "-".into()
                } else {
                    format!("{}/{}", count.leaked, count.records)
                };
                write!(f, "{cell:>width$}", width = width(group))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn heading(f: &mut fmt::Formatter<'_>, what: &str) -> fmt::Result {
    writeln!(
        f,
        "{what:<24}{:>8}{:>8}{:>9}{:>17}{:>8}{:>6}{:>9}{:>10}",
        "records", "leaked", "leak %", "95 % interval", "broken", "lost", "context", "unstable"
    )
}

fn summary(f: &mut fmt::Formatter<'_>, name: &str, count: Count) -> fmt::Result {
    let (rate, low, high) = count.leak_rate();
    let interval = format!("{low:.2} - {high:.2}");
    writeln!(
        f,
        "{name:<24}{:>8}{:>8}{rate:>9.2}{interval:>17}{:>8}{:>6}{:>9}{:>10}",
        count.records, count.leaked, count.broken_json, count.lost, count.context_damaged, count.unstable
    )
}
