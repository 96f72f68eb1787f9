//! What scrubbing means, for requests that are decoded: every string, one by one.

use std::ops::Range;

use kasm_scrub::carrier::pair;
use kasm_scrub::carrier::placeholder::marker_at;
use kasm_scrub::finding::{Finding, Place};
use kasm_scrub::sanitize::Key;
use kasm_scrub::{Sanitizer, Work};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, metric::Data};
use opentelemetry_proto::tonic::resource::v1::Resource;

pub(crate) struct Model<'s> {
    pub(crate) sanitizer: &'s Sanitizer,
    pub(crate) work: Work,
    /// Whether values that hold values are looked at as a whole, too.
    pub(crate) is_whole: bool,
}

/// The strings of a pair's value, as far as they have no key of their own.
fn texts_of(pair: &KeyValue) -> Vec<String> {
    fn strings(value: &AnyValue, out: &mut Vec<String>) {
        match &value.value {
            Some(Value::StringValue(text)) => out.push(text.clone()),
            Some(Value::ArrayValue(list)) => list.values.iter().for_each(|value| strings(value, out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    pair.value.iter().for_each(|value| strings(value, &mut out));
    out
}

/// A value as JSON.
struct Line {
    text: Vec<u8>,
    /// Of each leaf: where it stands, and where each of its bytes does and in how many.
    parts: Vec<Part>,
}

type Part = (Range<usize>, Vec<(usize, usize)>);

impl Line {
    /// Whether there is anything of it. Numbers matter below keys only.
    fn write(&mut self, value: &AnyValue, has_key: bool) -> bool {
        match &value.value {
            Some(Value::StringValue(text)) => !text.is_empty() && self.string(text.as_bytes()),
            Some(Value::BytesValue(bytes)) => !bytes.is_empty() && self.string(bytes),
            Some(Value::BoolValue(value)) => has_key && self.bare(value.to_string()),
            Some(Value::IntValue(value)) => has_key && self.bare(value.to_string()),
            Some(Value::DoubleValue(value)) => has_key && self.bare(value.to_string()),
            Some(Value::ArrayValue(list)) => {
                self.text.push(b'[');
                let mut is_first = true;
                for value in &list.values {
                    let before = self.text.len();
                    if !is_first {
                        self.text.extend(b", ");
                    }
                    match self.write(value, has_key) {
                        true => is_first = false,
                        false => self.text.truncate(before),
                    }
                }
                self.text.push(b']');
                true
            }
            Some(Value::KvlistValue(list)) => {
                self.text.push(b'{');
                for (i, pair) in list.values.iter().enumerate() {
                    if i > 0 {
                        self.text.extend(b", ");
                    }
                    if pair.key.is_empty() {
                        self.text.extend(b"\"\"");
                    } else {
                        self.string(pair.key.as_bytes());
                    }
                    self.text.extend(b": ");
                    if !pair.value.as_ref().is_some_and(|value| self.write(value, true)) {
                        self.text.extend(b"[]");
                    }
                }
                self.text.push(b'}');
                true
            }
            _ => false,
        }
    }

    fn bare(&mut self, text: String) -> bool {
        let start = self.text.len();
        self.parts.push((start..start + text.len(), (0..text.len()).map(|i| (start + i, 1)).collect()));
        self.text.extend(text.bytes());
        true
    }

    fn string(&mut self, bytes: &[u8]) -> bool {
        self.text.push(b'"');
        let start = self.text.len();
        let mut places = Vec::new();
        for &byte in bytes {
            let written = match byte {
                b'"' | b'\\' => vec![b'\\', byte],
                b'\n' => b"\\n".to_vec(),
                b'\r' => b"\\r".to_vec(),
                b'\t' => b"\\t".to_vec(),
                0..0x20 => format!("\\u{byte:04x}").into_bytes(),
                _ => vec![byte],
            };
            places.push((self.text.len(), written.len()));
            self.text.extend(written);
        }
        self.parts.push((start..self.text.len(), places));
        self.text.push(b'"');
        true
    }
}

/// A leaf of a value, to be changed.
pub(crate) enum Leaf<'l> {
    Text(&'l mut String),
    Bytes(&'l mut Vec<u8>),
    Number(&'l mut Value),
}

impl Leaf<'_> {
    pub(crate) fn text(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Number(Value::BoolValue(value)) => value.to_string().into_bytes(),
            Self::Number(Value::IntValue(value)) => value.to_string().into_bytes(),
            Self::Number(Value::DoubleValue(value)) => value.to_string().into_bytes(),
            Self::Number(_) => panic!("no number"),
        }
    }

    fn replace(self, new: Vec<u8>) {
        match self {
            Self::Text(text) => *text = String::from_utf8(new).expect("text stays text"),
            Self::Bytes(bytes) => *bytes = new,
            Self::Number(value) => *value = Value::StringValue(String::from_utf8(new).expect("text")),
        }
    }
}

/// Goes through the leaves of a value as they are written.
pub(crate) fn each_leaf(value: &mut AnyValue, has_key: bool, each: &mut dyn FnMut(Leaf<'_>)) {
    match &mut value.value {
        Some(Value::StringValue(text)) if !text.is_empty() => each(Leaf::Text(text)),
        Some(Value::BytesValue(bytes)) if !bytes.is_empty() => each(Leaf::Bytes(bytes)),
        Some(number @ (Value::BoolValue(_) | Value::IntValue(_) | Value::DoubleValue(_))) if has_key => {
            each(Leaf::Number(number));
        }
        Some(Value::ArrayValue(list)) => {
            list.values.iter_mut().for_each(|value| each_leaf(value, has_key, each));
        }
        Some(Value::KvlistValue(list)) => {
            for KeyValue { key, value, .. } in &mut list.values {
                if !key.is_empty() {
                    each(Leaf::Text(key));
                }
                value.iter_mut().for_each(|value| each_leaf(value, true, each));
            }
        }
        _ => {}
    }
}

/// New keys of one map: what was distinct stays distinct, the first as it is, others with a number.
pub(crate) fn keep_apart(before: &[String], after: &mut [String]) {
    let is_kept = |at: &usize| before[*at] == after[*at];
    let mut taken: Vec<(String, String)> =
        (0..after.len()).filter(is_kept).map(|at| (after[at].clone(), before[at].clone())).collect();
    let changed: Vec<usize> = (0..after.len()).filter(|at| !is_kept(at)).collect();
    for at in changed {
        let names = (1..).map(|number| match number {
            1 => after[at].clone(),
            number => format!("{}#{number}", after[at]),
        });
        let is_free = |name: &String| {
            let same = taken.iter().find(|(other, _)| other == name);
            same.is_none_or(|(_, from)| *from == before[at])
        };
        let name = names.into_iter().find(is_free).expect("there are enough numbers");
        taken.push((name.clone(), before[at].clone()));
        after[at] = name;
    }
}

fn keep_apart_all(before: &[KeyValue], after: &mut [KeyValue]) {
    let keys = |pairs: &[KeyValue]| pairs.iter().map(|pair| pair.key.clone()).collect::<Vec<_>>();
    let mut new = keys(after);
    keep_apart(&keys(before), &mut new);
    for ((before, after), key) in before.iter().zip(after).zip(new) {
        after.key = key;
        if let (Some(before), Some(after)) = (&before.value, &mut after.value) {
            keep_apart_in(before, after);
        }
    }
}

fn keep_apart_in(before: &AnyValue, after: &mut AnyValue) {
    match (&before.value, &mut after.value) {
        (Some(Value::ArrayValue(before)), Some(Value::ArrayValue(after))) => {
            before
                .values
                .iter()
                .zip(&mut after.values)
                .for_each(|(before, after)| keep_apart_in(before, after));
        }
        (Some(Value::KvlistValue(before)), Some(Value::KvlistValue(after))) => {
            keep_apart_all(&before.values, &mut after.values);
        }
        _ => {}
    }
}

impl Model<'_> {
    fn bytes(&mut self, key: Option<&str>, bytes: &mut Vec<u8>) {
        let key = key.map_or(Key::None, |key| Key::Name(key.as_bytes()));
        *bytes = self.sanitizer.clean(key, bytes, &mut self.work).into_owned();
    }

    fn text(&mut self, key: Option<&str>, text: &mut String) {
        let mut bytes = std::mem::take(text).into_bytes();
        self.bytes(key, &mut bytes);
        *text = String::from_utf8(bytes).expect("text stays text");
    }

    fn texts(&mut self, texts: &mut [String]) {
        texts.iter_mut().for_each(|text| self.text(None, text));
    }

    fn id(&mut self, len: usize, id: &mut Vec<u8>) {
        if id.len() != len {
            self.bytes(None, id);
        }
    }

    fn value(&mut self, key: Option<&str>, value: &mut AnyValue) {
        let written = match &mut value.value {
            Some(Value::StringValue(text)) => return self.text(key, text),
            Some(Value::BytesValue(bytes)) => return self.bytes(key, bytes),
            Some(Value::ArrayValue(list)) => {
                return list.values.iter_mut().for_each(|value| self.value(key, value));
            }
            Some(Value::KvlistValue(list)) => return self.list(&mut list.values),
            Some(Value::BoolValue(value)) => value.to_string(),
            Some(Value::IntValue(value)) => value.to_string(),
            Some(Value::DoubleValue(value)) => value.to_string(),
            _ => return,
        };
        // Numbers matter below keys only.
        let Some(key) = key else { return };
        if self.sanitizer.scanner().knows_key(key.as_bytes()) {
            let mut text = written.clone();
            self.text(Some(key), &mut text);
            if text != written {
                value.value = Some(Value::StringValue(text));
            }
        }
    }

    /// Pairs, one of which may name another.
    fn list(&mut self, pairs: &mut [KeyValue]) {
        let names: Vec<String> =
            pairs.iter().filter(|pair| pair::is_name_name(pair.key.as_bytes())).flat_map(texts_of).collect();
        let is_known = |name: &&String| self.sanitizer.scanner().knows_key(name.as_bytes());
        let names: Vec<String> = names.iter().filter(is_known).cloned().collect();
        self.pairs(pairs);
        for name in names {
            for pair in pairs.iter_mut().filter(|pair| pair::is_value_name(pair.key.as_bytes())) {
                if let Some(value) = &mut pair.value {
                    self.value(Some(&name), value);
                }
            }
        }
    }

    fn attributes(&mut self, attributes: &mut [KeyValue]) {
        let before = attributes.to_vec();
        self.pairs(attributes);
        for (KeyValue { key, value: raw, .. }, KeyValue { value, .. }) in
            before.iter().zip(attributes.iter_mut())
        {
            if let (Some(raw), Some(value)) = (raw, value) {
                self.composite(Some(key), raw, value);
            }
        }
        keep_apart_all(&before, attributes);
    }

    /// A value that holds values is also one line of JSON.
    /// First as it came, then as it is now.
    pub(crate) fn composite(&mut self, key: Option<&str>, raw: &AnyValue, value: &mut AnyValue) {
        if !self.is_whole || !matches!(value.value, Some(Value::ArrayValue(_) | Value::KvlistValue(_))) {
            return;
        }
        let mut raw_texts = Vec::new();
        each_leaf(&mut raw.clone(), key.is_some(), &mut |leaf| raw_texts.push(leaf.text()));
        for look in [None, Some(0), Some(1), Some(2), Some(3), Some(4)] {
            let mut line = Line { text: Vec::new(), parts: Vec::new() };
            let seen = if look.is_none() { raw } else { &*value };
            match key.filter(|key| !key.is_empty()) {
                Some(key) => {
                    line.text.extend(format!("{{{}: ", serde_json::json!(key)).bytes());
                    line.write(seen, true);
                    line.text.push(b'}');
                }
                None => drop(line.write(seen, key.is_some())),
            }
            let mut raw_texts = raw_texts.iter();
            let findings = self.sanitizer.scanner().scan_keyed(b"", &line.text, &mut self.work).to_vec();
            let (mut parts, mut has_changed) = (line.parts.into_iter(), false);
            each_leaf(value, key.is_some(), &mut |leaf| {
                let (part, written) = parts.next().expect("as many as were written");
                let text = leaf.text();
                // One of which a part was judged goes if all of it is found; else it is looked at as it is now, later.
                let raw_text = raw_texts.next().expect("as many as there are");
                if look.is_none()
                    && leaf.text() != *raw_text
                    && marker_at(&leaf.text(), 0) == Some(leaf.text().len())
                {
                    return;
                }
                let is_there = |found: &&Finding| found.end > part.start && found.start < part.end;
                let is_whole = |found: &Finding| found.start <= part.start && part.end <= found.end;
                let text = if look.is_none() { raw_text.clone() } else { text };
                if look.is_none()
                    && leaf.text() != text
                    && !findings.iter().find(is_there).is_some_and(is_whole)
                {
                    return;
                }
                let mut own: Vec<Finding> = Vec::new();
                for found in &findings {
                    let place = match look {
                        Some(4) => 0..text.len(),
                        // Which bytes of the text that is.
                        _ => {
                            let (from, to) = (found.start.max(part.start), found.end.min(part.end));
                            let at = |(at, len): &(usize, usize)| at + len > from && *at < to;
                            let start = written.iter().position(at).unwrap_or(0);
                            start..written.iter().rposition(at).map_or(start, |last| last + 1)
                        }
                    };
                    let is_there = found.end > part.start && found.start < part.end;
                    if is_there && !place.is_empty() && own.last().is_none_or(|last| last.end <= place.start)
                    {
                        // What was a number of the line is a text of its own now: it needs no quotes.
                        let is_number = line.text[part.start - 1] != b'"';
                        let of = if is_number { Place::Line } else { found.place };
                        own.push(Finding { start: place.start, end: place.end, place: of, ..*found });
                    }
                }
                if !own.is_empty() {
                    let mut new = Vec::new();
                    self.sanitizer.write(&text, &own, &mut |bytes| new.extend_from_slice(bytes));
                    has_changed |= new != text;
                    leaf.replace(new);
                }
            });
            if !has_changed && look.is_some() {
                break;
            }
        }
    }

    fn pairs(&mut self, attributes: &mut [KeyValue]) {
        for KeyValue { key, value, .. } in attributes {
            if let Some(value) = value {
                self.value(Some(key), value);
            }
            self.text(None, key);
        }
    }

    fn entity(&mut self, entity: &mut EntityRef) {
        let EntityRef { schema_url, r#type, id_keys, description_keys } = entity;
        self.text(None, schema_url);
        self.text(None, r#type);
        self.texts(id_keys);
        self.texts(description_keys);
    }

    fn resource(&mut self, resource: &mut Option<Resource>) {
        if let Some(Resource { attributes, entity_refs, .. }) = resource {
            self.attributes(attributes);
            entity_refs.iter_mut().for_each(|entity| self.entity(entity));
        }
    }

    fn scope(&mut self, scope: &mut Option<InstrumentationScope>) {
        if let Some(InstrumentationScope { name, version, attributes, .. }) = scope {
            self.text(None, name);
            self.text(None, version);
            self.attributes(attributes);
        }
    }

    pub(crate) fn traces(&mut self, request: &mut ExportTraceServiceRequest) {
        for all in &mut request.resource_spans {
            self.resource(&mut all.resource);
            self.text(None, &mut all.schema_url);
            for some in &mut all.scope_spans {
                self.scope(&mut some.scope);
                self.text(None, &mut some.schema_url);
                for span in &mut some.spans {
                    self.id(16, &mut span.trace_id);
                    self.id(8, &mut span.span_id);
                    self.id(8, &mut span.parent_span_id);
                    self.text(None, &mut span.trace_state);
                    self.text(None, &mut span.name);
                    self.attributes(&mut span.attributes);
                    for event in &mut span.events {
                        self.text(None, &mut event.name);
                        self.attributes(&mut event.attributes);
                    }
                    for link in &mut span.links {
                        self.id(16, &mut link.trace_id);
                        self.id(8, &mut link.span_id);
                        self.text(None, &mut link.trace_state);
                        self.attributes(&mut link.attributes);
                    }
                    if let Some(status) = &mut span.status {
                        self.text(None, &mut status.message);
                    }
                }
            }
        }
    }

    pub(crate) fn logs(&mut self, request: &mut ExportLogsServiceRequest) {
        for all in &mut request.resource_logs {
            self.resource(&mut all.resource);
            self.text(None, &mut all.schema_url);
            for some in &mut all.scope_logs {
                self.scope(&mut some.scope);
                self.text(None, &mut some.schema_url);
                for record in &mut some.log_records {
                    self.text(None, &mut record.severity_text);
                    self.text(None, &mut record.event_name);
                    self.id(16, &mut record.trace_id);
                    self.id(8, &mut record.span_id);
                    self.attributes(&mut record.attributes);
                    if let Some(body) = &mut record.body {
                        let before = body.clone();
                        self.value(None, body);
                        self.composite(None, &before, body);
                        keep_apart_in(&before, body);
                    }
                }
            }
        }
    }

    fn exemplars(&mut self, exemplars: &mut [Exemplar]) {
        for exemplar in exemplars {
            self.attributes(&mut exemplar.filtered_attributes);
            self.id(16, &mut exemplar.trace_id);
            self.id(8, &mut exemplar.span_id);
        }
    }

    pub(crate) fn metrics(&mut self, request: &mut ExportMetricsServiceRequest) {
        for all in &mut request.resource_metrics {
            self.resource(&mut all.resource);
            self.text(None, &mut all.schema_url);
            for some in &mut all.scope_metrics {
                self.scope(&mut some.scope);
                self.text(None, &mut some.schema_url);
                for metric in &mut some.metrics {
                    self.text(None, &mut metric.name);
                    self.text(None, &mut metric.description);
                    self.text(None, &mut metric.unit);
                    self.attributes(&mut metric.metadata);
                    match &mut metric.data {
                        Some(Data::Gauge(data)) => data.data_points.iter_mut().for_each(|point| {
                            self.attributes(&mut point.attributes);
                            self.exemplars(&mut point.exemplars);
                        }),
                        Some(Data::Sum(data)) => data.data_points.iter_mut().for_each(|point| {
                            self.attributes(&mut point.attributes);
                            self.exemplars(&mut point.exemplars);
                        }),
                        Some(Data::Histogram(data)) => data.data_points.iter_mut().for_each(|point| {
                            self.attributes(&mut point.attributes);
                            self.exemplars(&mut point.exemplars);
                        }),
                        Some(Data::ExponentialHistogram(data)) => {
                            data.data_points.iter_mut().for_each(|point| {
                                self.attributes(&mut point.attributes);
                                self.exemplars(&mut point.exemplars);
                            });
                        }
                        Some(Data::Summary(data)) => {
                            data.data_points
                                .iter_mut()
                                .for_each(|point| self.attributes(&mut point.attributes));
                        }
                        None => {}
                    }
                }
            }
        }
    }
}
