//! A request of the wire in parts, each a request of its own: divided between records, and where a metric alone is too
//! large, between its data points.
//!
//! Each part has the resources and scopes of its records with all that they hold beside them, fields that are not known
//! included. Records stay byte by byte as they are and in their order; each is in one part. Only a few places are kept,
//! and one part at a time is made: what is in the request may be many times as large as a list of it.

use std::fmt;
use std::ops::Range;

use super::Signal;
use super::refused::{Malformed, Refused};
use super::wire::{self, Wire, for_each_field, malformed, put_varint, varint_len};

/// Parts of a request, as they are made one after the other.
#[derive(Clone)]
pub struct Parts<B> {
    body: B,
    most: usize,
    /// What is open: the request, a resource, a scope, and where it is divided, a metric and its data.
    stack: Vec<Frame>,
    is_metrics: bool,
}

/// A part of a request, which is a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// The request.
    pub body: Vec<u8>,
    /// How many records it holds: spans, log records or data points, as a partial success counts them.
    pub records: u64,
}

impl<B> fmt::Debug for Parts<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("most", &self.most).finish_non_exhaustive()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("len", &self.body.len()).field("records", &self.records).finish()
    }
}

/// What parts there will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// How many parts.
    pub count: usize,
    /// How many bytes the largest has.
    pub largest: usize,
    /// How many bytes all have together.
    pub total: usize,
}

/// What is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Request,
    Resource,
    Scope,
    /// A metric that is too large for one part.
    Metric,
    /// Its data.
    Data,
}

/// What stands in a message that is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Child {
    /// What every part has.
    Shared,
    /// A message that is divided as well.
    Inner(Level),
    /// What is in one part.
    Record,
    /// A record, or what is divided.
    Metric,
}

// As in the protocol's files; the same for all signals.
const RESOURCES: u32 = 1;
const SCOPES: u32 = 2;
const RECORDS: u32 = 2;
const DATA_POINTS: u32 = 1;
/// The fields of a metric that hold data of one kind.
const DATA: [u32; 5] = [5, 7, 9, 10, 11];

impl Level {
    fn child(self, number: u32, is_metrics: bool) -> Child {
        match (self, number) {
            (Self::Request, RESOURCES) => Child::Inner(Self::Resource),
            (Self::Resource, SCOPES) => Child::Inner(Self::Scope),
            (Self::Scope, RECORDS) if is_metrics => Child::Metric,
            (Self::Scope, RECORDS) | (Self::Data, DATA_POINTS) => Child::Record,
            (Self::Metric, _) if DATA.contains(&number) => Child::Inner(Self::Data),
            _ => Child::Shared,
        }
    }
}

/// A message that is being divided.
#[derive(Clone)]
struct Frame {
    level: Level,
    /// All of its field; of the request itself, all of it.
    field: Range<usize>,
    /// Where its length is, and what it holds.
    head: usize,
    start: usize,
    /// Where what comes next is.
    at: usize,
    /// How many bytes of it every part has.
    shared: usize,
    /// Something of it was in a part.
    is_used: bool,
    /// How many bytes of it the part at hand has. `None`: it has nothing of it yet.
    len: Option<usize>,
    /// What that is, but for what is in the next frame.
    out: Vec<u8>,
}

impl Frame {
    /// How many bytes its field takes with so many in it.
    fn with(&self, len: usize) -> usize {
        match self.level {
            Level::Request => len,
            _ => self.head - self.field.start + varint_len(len as u64) + len,
        }
    }
}

impl<B: AsRef<[u8]>> Parts<B> {
    /// The parts of a request, each of at most so many bytes. A record that has more with what it stands in makes a part of
    /// its own.
    /// # Errors
    /// What is malformed, and profiles.
    pub fn new(signal: Signal, body: B, most: usize) -> Result<Self, Refused> {
        if signal == Signal::Profiles {
            return Err(Refused::Profiles);
        }
        let is_metrics = signal == Signal::Metrics;
        let len = body.as_ref().len();
        let mut parts = Self { body, most, stack: Vec::new(), is_metrics };
        parts.open(Level::Request, 0..len, 0, 0)?;
        Ok(parts)
    }

    /// What parts there will be; none of them is made.
    /// # Errors
    /// What is malformed: there would be no end of parts then, or a wrong one.
    pub fn sizes(&self) -> Result<Sizes, Refused> {
        let (most, is_metrics) = (self.most, self.is_metrics);
        let mut parts = Parts { body: self.body.as_ref(), most, stack: self.stack.clone(), is_metrics };
        let mut sizes = Sizes::default();
        while let Some((len, _)) = parts.advance(false)? {
            sizes.count += 1;
            sizes.largest = sizes.largest.max(len);
            sizes.total = sizes.total.saturating_add(len);
        }
        Ok(sizes)
    }

    /// The next part. `None`: there are no more.
    /// # Errors
    /// What is malformed.
    pub fn next_part(&mut self) -> Result<Option<Part>, Refused> {
        let Some((_, records)) = self.advance(true)? else { return Ok(None) };
        Ok(Some(Part { body: std::mem::take(&mut self.stack[0].out), records }))
    }

    /// Goes on to where the next part ends, and writes it if asked to. Gives how many bytes and records it has.
    fn advance(&mut self, writes: bool) -> Result<Option<(usize, u64)>, Refused> {
        let (mut units, mut records) = (0_usize, 0_u64);
        while let Some(frame) = self.stack.last_mut() {
            let end = frame.field.end;
            if frame.at < end {
                let part = wire::part(self.body.as_ref(), frame.at, end)?;
                let child = frame.level.child(part.number, self.is_metrics);
                if child == Child::Shared {
                    frame.at = part.end;
                    continue;
                }
                if part.wire != Wire::Len {
                    return Err(malformed(part.head, Malformed::WireType));
                }
                let field = frame.at..part.end;
                let inner = match child {
                    Child::Inner(level) => Some(level),
                    Child::Metric if self.alone(field.len()) > self.most => {
                        self.is_divisible(part.start..part.end)?.then_some(Level::Metric)
                    }
                    _ => None,
                };
                if let Some(level) = inner {
                    self.open(level, field, part.head, part.start)?;
                    continue;
                }
                if units > 0 && self.with(field.len()) > self.most {
                    break;
                }
                units += 1;
                records += if child == Child::Metric { self.points(part.start..part.end)? } else { 1 };
                self.add(field, writes)?;
                continue;
            }
            if self.stack.len() == 1 {
                break;
            }
            let Some(frame) = self.stack.pop() else { break };
            if frame.is_used {
                self.close(frame, writes);
                continue;
            }
            // Nothing is in it that could be divided; it must not get lost for that.
            if units > 0 && self.with(frame.field.len()) > self.most {
                self.stack.push(frame);
                break;
            }
            units += 1;
            self.add(frame.field, writes)?;
        }
        self.end_part(units, records, writes)
    }

    /// Ends a part; what is open goes on in the next.
    fn end_part(
        &mut self,
        units: usize,
        records: u64,
        writes: bool,
    ) -> Result<Option<(usize, u64)>, Refused> {
        let is_first = self.stack.first().is_some_and(|request| !request.is_used);
        if units == 0 && is_first {
            // Nothing to divide at all.
            self.share(writes)?;
        }
        for at in (1..self.stack.len()).rev() {
            let Some(len) = self.stack[at].len.take() else { continue };
            let out = std::mem::take(&mut self.stack[at].out);
            let (outer, frame) = self.stack.split_at_mut(at);
            if let (Some(outer), Some(frame)) = (outer.last_mut(), frame.first()) {
                put(self.body.as_ref(), frame, len, &out, outer, writes);
            }
        }
        let Some(request) = self.stack.first_mut() else { return Ok(None) };
        request.is_used = true;
        Ok(request.len.take().map(|len| (len, records)))
    }

    /// Opens a message that is divided.
    fn open(&mut self, level: Level, field: Range<usize>, head: usize, start: usize) -> Result<(), Refused> {
        let mut shared = 0;
        let mut at = start;
        for_each_field(self.body.as_ref(), start..field.end, |part| {
            if level.child(part.number, self.is_metrics) == Child::Shared {
                shared += part.end - at;
            }
            at = part.end;
            Ok(())
        })?;
        if let Some(outer) = self.stack.last_mut() {
            outer.at = field.end;
        }
        let frame = Frame {
            level,
            field,
            head,
            start,
            at: start,
            shared,
            is_used: false,
            len: None,
            out: Vec::new(),
        };
        self.stack.push(frame);
        Ok(())
    }

    /// How long a part is that has nothing but this field of the message that is open.
    fn alone(&self, field: usize) -> usize {
        self.stack.iter().rev().fold(field, |inner, frame| frame.with(frame.shared + inner))
    }

    /// How long the part at hand is with this field as well.
    fn with(&self, field: usize) -> usize {
        self.stack
            .iter()
            .rev()
            .fold(field, |inner, frame| frame.with(frame.len.unwrap_or(frame.shared) + inner))
    }

    /// Adds a field of the message that is open to the part at hand.
    fn add(&mut self, field: Range<usize>, writes: bool) -> Result<(), Refused> {
        self.share(writes)?;
        let body = self.body.as_ref();
        self.stack.iter_mut().for_each(|frame| frame.is_used = true);
        if let Some(frame) = self.stack.last_mut() {
            frame.at = field.end;
            frame.len = frame.len.map(|len| len + field.len());
            if writes {
                frame.out.extend_from_slice(&body[field]);
            }
        }
        Ok(())
    }

    /// Has in the part at hand what each part has of what is open.
    fn share(&mut self, writes: bool) -> Result<(), Refused> {
        let (body, is_metrics) = (self.body.as_ref(), self.is_metrics);
        for frame in self.stack.iter_mut().filter(|frame| frame.len.is_none()) {
            frame.len = Some(frame.shared);
            if !writes {
                continue;
            }
            let Frame { level, ref field, start, ref mut out, .. } = *frame;
            let mut at = start;
            for_each_field(body, start..field.end, |part| {
                if level.child(part.number, is_metrics) == Child::Shared {
                    out.extend_from_slice(&body[at..part.end]);
                }
                at = part.end;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Closes a message that has ended.
    fn close(&mut self, frame: Frame, writes: bool) {
        if let (Some(len), Some(outer)) = (frame.len, self.stack.last_mut()) {
            put(self.body.as_ref(), &frame, len, &frame.out, outer, writes);
        }
    }

    /// Whether a metric has data of one kind, once. What a receiver makes of others is its own affair.
    fn is_divisible(&self, metric: Range<usize>) -> Result<bool, Refused> {
        let (mut count, mut are_messages) = (0, true);
        for_each_field(self.body.as_ref(), metric, |part| {
            if DATA.contains(&part.number) {
                count += 1;
                are_messages &= part.wire == Wire::Len;
            }
            Ok(())
        })?;
        Ok(count == 1 && are_messages)
    }

    /// How many data points a metric has.
    fn points(&self, metric: Range<usize>) -> Result<u64, Refused> {
        let body = self.body.as_ref();
        let mut count = 0;
        for_each_field(body, metric, |part| {
            if !DATA.contains(&part.number) {
                return Ok(());
            }
            for_each_field(body, part.text()?, |point| {
                count += u64::from(point.number == DATA_POINTS);
                Ok(())
            })
        })?;
        Ok(count)
    }
}

/// Puts a message into the one around it.
fn put(body: &[u8], frame: &Frame, len: usize, out: &[u8], outer: &mut Frame, writes: bool) {
    outer.len = outer.len.map(|outer| outer + frame.with(len));
    if writes {
        outer.out.extend_from_slice(&body[frame.field.start..frame.head]);
        put_varint(len as u64, &mut outer.out);
        outer.out.extend_from_slice(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::schema::{Kind, LOGS, METRICS, Message, TRACES};

    fn inner(message: &'static Message, number: u32, name: &str) -> &'static Message {
        assert_eq!(message.named(name.as_bytes()).0, number, "{name}");
        match message.field(number) {
            Kind::Message(inner) => inner,
            other => panic!("{name} is {other:?}"),
        }
    }

    #[test]
    fn numbers_are_those_of_the_protocol() {
        for (root, names) in [
            (&TRACES, ["resource_spans", "scope_spans", "spans"]),
            (&LOGS, ["resource_logs", "scope_logs", "log_records"]),
            (&METRICS, ["resource_metrics", "scope_metrics", "metrics"]),
        ] {
            let scope = inner(inner(root, RESOURCES, names[0]), SCOPES, names[1]);
            let record = inner(scope, RECORDS, names[2]);
            let with_points: Vec<u32> = record
                .all()
                .filter(|(_, field)| {
                    matches!(field.kind, Kind::Message(data) if data.named(b"data_points").0 == DATA_POINTS)
                })
                .map(|(number, _)| number)
                .collect();
            assert_eq!(with_points, if names[2] == "metrics" { &DATA[..] } else { &[] }, "{names:?}");
        }
    }
}
