//! What scrubbing means, for requests that are decoded: every string, one by one.

use kasm_scrub::carrier::pair;
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
        self.attributes(pairs);
        for name in names {
            for pair in pairs.iter_mut().filter(|pair| pair::is_value_name(pair.key.as_bytes())) {
                if let Some(value) = &mut pair.value {
                    self.value(Some(&name), value);
                }
            }
        }
    }

    fn attributes(&mut self, attributes: &mut [KeyValue]) {
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
                        self.value(None, body);
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
