//! Lines of a container runtime to what the container wrote: two streams, in pieces, each line with a time.
//!
//! CRI writes `2024-02-29T10:15:00.123456789Z stdout F text`, with `P` where the line goes on; Docker's `json-file` writes
//! `{"log":"text\n","stream":"stdout","time":"…"}`, without the newline where it goes on. Which it is, each line says. Pieces
//! are joined before they are looked at: a secret may be cut in two. What is neither is a record as it is, and says so.

use std::borrow::Cow;
use std::sync::Arc;

use super::flow::{CUT, Text};
use super::line::{self, Stream};
use crate::pod::batch::{Batch, Origin};
use crate::pod::house::House;
use crate::sanitize::Sanitizer;
use crate::stream::UNDECIDED;

/// Streams of one file, in the order of [`Stream`].
const STREAMS: usize = 3;
/// Where the bits begin of the streams in which a record has begun, behind those in which something is open.
const BEGUN: usize = 4;

/// What other streams of a file may say while a record of one waits for its next piece, in bytes: more than runtimes let a
/// file hold. Runtimes write the pieces of a line one soon after the other; files are kept for one that does not come.
const MOST_BETWEEN: usize = 16 << 20;

/// What is known of a container's file between two lines.
#[derive(Debug)]
pub(super) struct Cri {
    sanitizer: Arc<Sanitizer>,
    channels: [Option<Channel>; STREAMS],
    /// A line of the file that is no line of a runtime, and longer than a block, has begun.
    is_within_line: bool,
    /// Lines of one stream that follow each other are scrubbed together.
    run: Run,
}

/// One stream.
#[derive(Debug)]
struct Channel {
    text: Text,
    /// When the line that has begun was begun.
    begun: Option<Option<u64>>,
    /// Its last piece has said that there is more.
    goes_on: bool,
    /// The beginning of its record is gone: the rest of it may be half a secret.
    is_headless: bool,
    /// What other streams have said since its last piece.
    between: usize,
}

#[derive(Debug, Default)]
struct Run {
    stream: Option<Stream>,
    text: Vec<u8>,
    /// The times of the lines that end in it.
    times: Vec<Option<u64>>,
}

impl Cri {
    pub(super) fn new(house: &House) -> Self {
        Self {
            sanitizer: house.sanitizer(),
            channels: [const { None }; STREAMS],
            is_within_line: false,
            run: Run::default(),
        }
    }

    pub(super) fn sanitizer(&self) -> &Arc<Sanitizer> {
        &self.sanitizer
    }

    pub(super) fn follow(&mut self, house: &House) {
        let sanitizer = house.sanitizer();
        if !Arc::ptr_eq(&sanitizer, &self.sanitizer) && self.is_settled() {
            self.sanitizer = sanitizer;
            for slot in &mut self.channels {
                if slot.take().is_some_and(|old| old.is_headless) {
                    channel(slot, &self.sanitizer).is_headless = true;
                }
            }
        }
    }

    /// Takes whole lines, or a piece of a line that is longer than any of a runtime.
    pub(super) fn take(&mut self, mut bytes: &[u8], batch: &mut Batch, house: &House) {
        while !bytes.is_empty() {
            let (line, rest) = match memchr::memchr(b'\n', bytes) {
                Some(newline) => bytes.split_at(newline + 1),
                None => (bytes, &[][..]),
            };
            bytes = rest;
            match line.strip_suffix(b"\n") {
                Some(whole) if !self.is_within_line => self.line(whole, batch, house),
                _ => {
                    self.say(Stream::None, None, line, batch, house);
                    self.is_within_line = !line.ends_with(b"\n");
                }
            }
        }
        self.flush(batch, house);
    }

    fn line(&mut self, whole: &[u8], batch: &mut Batch, house: &House) {
        if let Some(line) = line::cri(whole) {
            self.say(line.stream, line.time, line.text, batch, house);
            if line.is_whole {
                self.say(line.stream, line.time, b"\n", batch, house);
            }
            if let Some(channel) = &mut self.channels[line.stream as usize] {
                channel.goes_on = !line.is_whole;
            }
        } else if let Some(line) = line::docker(whole) {
            self.say(line.stream, line.time, &line.text, batch, house);
        } else {
            self.say(Stream::None, None, whole, batch, house);
            self.say(Stream::None, None, b"\n", batch, house);
        }
    }

    /// A stream goes on.
    fn say(&mut self, stream: Stream, time: Option<u64>, text: &[u8], batch: &mut Batch, house: &House) {
        self.pass_over(stream, text.len(), batch, house);
        if self.run.stream != Some(stream) {
            self.flush(batch, house);
            self.run.stream = Some(stream);
        }
        let channel = channel(&mut self.channels[stream as usize], &self.sanitizer);
        let mut rest = text;
        if channel.is_headless && !text.is_empty() {
            channel.begun.get_or_insert(time);
            let Some(newline) = memchr::memchr(b'\n', text) else { return };
            channel.is_headless = false;
            self.run.text.extend_from_slice(UNDECIDED);
            rest = &text[newline..];
            house.event("record_cut");
        }
        let text = rest;
        for piece in text.split_inclusive(|&byte| byte == b'\n') {
            let begun = *channel.begun.get_or_insert(time);
            if piece.ends_with(b"\n") {
                self.run.times.push(begun);
                channel.begun = None;
            }
        }
        self.run.text.extend_from_slice(text);
    }

    /// A stream says so many bytes. A record of another that has waited for too long is cut, and its rest is not told.
    fn pass_over(&mut self, stream: Stream, len: usize, batch: &mut Batch, house: &House) {
        for other in [Stream::Out, Stream::Err] {
            let Some(channel) = &mut self.channels[other as usize] else { continue };
            channel.between = if other == stream { 0 } else { channel.between.saturating_add(len) };
            if channel.begun.is_none() || channel.between < MOST_BETWEEN {
                continue;
            }
            channel.between = 0;
            if std::mem::replace(&mut channel.is_headless, true) {
                channel.begun = None;
                continue;
            }
            self.flush(batch, house);
            let before = batch.count();
            self.cut_record(other, batch, house);
            batch
                .details_mut(before)
                .for_each(|details| details.labels.push((CUT.0.into(), CUT.1.to_owned())));
            house.event("record_cut");
        }
    }

    /// Ends a record of which there may be more.
    fn cut_record(&mut self, stream: Stream, batch: &mut Batch, house: &House) {
        let Some(channel) = &mut self.channels[stream as usize] else { return };
        channel.text.lines.cut(batch, house);
        self.run.stream = Some(stream);
        self.run.times.extend(channel.begun.take());
        self.run.text.push(b'\n');
        self.flush(batch, house);
    }

    /// Scrubs what one stream has said, and writes what is known of its records.
    fn flush(&mut self, batch: &mut Batch, house: &House) {
        let Some(stream) = self.run.stream.take() else { return };
        let before = batch.count();
        if let Some(channel) = &mut self.channels[stream as usize] {
            channel.text.push(&self.run.text, batch, house);
        }
        let mut times = self.run.times.iter().copied();
        for details in batch.details_mut(before) {
            // A part of a line that is cut has the label for it; its time is that of its end.
            let is_part = !details.labels.is_empty();
            details.time = if is_part { None } else { times.next().flatten() };
            details.labels.push(label(stream));
        }
        self.run.text.clear();
        self.run.text.shrink_to(1 << 20);
        self.run.times.clear();
    }

    /// Ends the records of which no end has come. Those are cut of which there may be more, or should have been.
    pub(super) fn end_records(&mut self, may_go_on: bool, batch: &mut Batch, house: &House) {
        for stream in [Stream::Out, Stream::Err] {
            if self.is_begun(stream) {
                if let Some(channel) = &mut self.channels[stream as usize]
                    && (may_go_on || channel.goes_on)
                {
                    channel.text.lines.cut(batch, house);
                }
                self.say(stream, None, b"\n", batch, house);
                self.flush(batch, house);
            }
        }
    }

    /// What came before is gone, and these streams, a bit each, had something open there, or a record that had begun.
    pub(super) fn begin_unknown(&mut self, streams: u8, origin: &Arc<Origin>, house: &House) {
        for (at, slot) in self.channels.iter_mut().enumerate() {
            if streams & 1 << at != 0 {
                channel(slot, &self.sanitizer).text.lines.begin_unknown(origin, house);
            }
            if streams & 1 << (at + BEGUN) != 0 {
                channel(slot, &self.sanitizer).is_headless = true;
            }
        }
    }

    /// The streams that have something open, a bit each, and those in which a record has begun.
    pub(super) fn open(&self) -> u8 {
        let bits = |(at, channel): (usize, &Channel)| {
            let is_begun = channel.begun.is_some() || channel.is_headless;
            let is_open = is_begun || !channel.text.is_settled();
            u8::from(is_open) << at | u8::from(is_begun) << (at + BEGUN)
        };
        let channels = self.channels.iter().enumerate().filter_map(|(at, slot)| Some((at, slot.as_ref()?)));
        channels.map(bits).sum()
    }

    fn is_begun(&self, stream: Stream) -> bool {
        self.channels[stream as usize].as_ref().is_some_and(|channel| channel.begun.is_some())
    }

    pub(super) fn is_within_line(&self) -> bool {
        self.is_within_line
    }

    pub(super) fn is_within_record(&self) -> bool {
        [Stream::Out, Stream::Err].into_iter().any(|stream| self.is_begun(stream))
    }

    /// A stream of which nothing has come whose record had begun holds nothing up.
    pub(super) fn is_settled(&self) -> bool {
        let is_settled = |channel: &Channel| channel.begun.is_none() && channel.text.is_settled();
        !self.is_within_line && self.channels.iter().flatten().all(is_settled)
    }
}

fn channel<'c>(slot: &'c mut Option<Channel>, sanitizer: &Arc<Sanitizer>) -> &'c mut Channel {
    slot.get_or_insert_with(|| Channel {
        text: Text::by(sanitizer.clone()),
        begun: None,
        goes_on: false,
        is_headless: false,
        between: 0,
    })
}

fn label(stream: Stream) -> (Cow<'static, str>, String) {
    match stream {
        Stream::Out => ("log.iostream".into(), "stdout".to_owned()),
        Stream::Err => ("log.iostream".into(), "stderr".to_owned()),
        Stream::None => ("log.malformed".into(), "true".to_owned()),
    }
}

/// What a file's path says of its container: `/var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log`, or
/// `/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log`.
pub(super) fn labels_of(path: &std::path::Path) -> Vec<(&'static str, String)> {
    let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
    let mut labels = Vec::new();
    let mut say = |name, value: &str| labels.push((name, value.to_owned()));
    match &names[..] {
        [.., pods, pod, container, file] if pods == "pods" => {
            let parts: Vec<&str> = pod.split('_').collect();
            let count = file.split('.').next().unwrap_or_default();
            if let [namespace, pod, uid] = parts[..] {
                say("k8s.namespace.name", namespace);
                say("k8s.pod.name", pod);
                say("k8s.pod.uid", uid);
                say("k8s.container.name", container);
                if !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()) {
                    say("k8s.container.restart_count", count);
                }
            }
        }
        [.., containers, file] if containers == "containers" => {
            let stem = file.strip_suffix(".log").unwrap_or(file);
            let parts: Vec<&str> = stem.split('_').collect();
            if let [pod, namespace, container] = parts[..]
                && let Some((container, id)) = container.rsplit_once('-')
            {
                say("k8s.namespace.name", namespace);
                say("k8s.pod.name", pod);
                say("k8s.container.name", container);
                say("container.id", id);
            }
        }
        _ => {}
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, want: &[(&str, &str)]) {
        let got = labels_of(path.as_ref());
        let got: Vec<(&str, &str)> = got.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(got, want, "{path}");
    }

    #[test]
    fn paths_of_containers() {
        let pod = [("k8s.namespace.name", "kasm"), ("k8s.pod.name", "kasm-api-0")];
        let uid = ("k8s.pod.uid", "0f1e");
        let container = ("k8s.container.name", "api");
        let count = ("k8s.container.restart_count", "3");
        check("/var/log/pods/kasm_kasm-api-0_0f1e/api/3.log", &[&pod[..], &[uid, container, count]].concat());
        let id = ("container.id", "abc123");
        check("/var/log/containers/kasm-api-0_kasm_api-abc123.log", &[&pod[..], &[container, id]].concat());
        check("/var/log/pods/odd/api/3.log", &[]);
        check("/var/log/containers/odd.log", &[]);
        check("x.log", &[]);
    }
}
