//! What is taken of files, on its way into records: as lines, or as lines of a container runtime.
//!
//! A line that is longer than a segment becomes several records, cut where segments are: at fixed places, so that how it was
//! read does not show.

use std::sync::Arc;

use super::cri::Cri;
use super::settings::Format;
use crate::pod::batch::{Batch, Details, Origin};
use crate::pod::house::House;
use crate::pod::lines::Lines;
use crate::sanitize::Sanitizer;
use crate::stream::UNDECIDED;

/// The most that is pushed of a line that may be a long one: less than a segment, so that no two are decided at once.
const PIECE: usize = 64 << 10;
/// The label of records that are the beginning or the middle of a line.
pub(super) const CUT: (&str, &str) = ("log.line.continues", "true");

/// The state of a source, while it has any.
#[derive(Debug)]
pub(super) struct Flow {
    form: Form,
}

#[derive(Debug)]
enum Form {
    Lines(Box<Text>),
    Cri(Box<Cri>),
}

impl Flow {
    pub(super) fn new(format: Format, house: &House) -> Self {
        let form = match format {
            Format::Lines => Form::Lines(Box::new(Text::by(house.sanitizer()))),
            Format::Cri => Form::Cri(Box::new(Cri::new(house))),
        };
        Self { form }
    }

    /// The rules that it works by.
    pub(super) fn sanitizer(&self) -> &Arc<Sanitizer> {
        match &self.form {
            Form::Lines(text) => text.lines.sanitizer(),
            Form::Cri(cri) => cri.sanitizer(),
        }
    }

    /// Goes over to the rules in use, if nothing is open.
    pub(super) fn follow(&mut self, house: &House) {
        match &mut self.form {
            Form::Lines(text) => text.lines.follow(house),
            Form::Cri(cri) => cri.follow(house),
        }
    }

    /// Takes bytes of a file: whole lines, or what may be a piece of one.
    pub(super) fn take(&mut self, bytes: &[u8], batch: &mut Batch, house: &House) {
        match &mut self.form {
            Form::Lines(text) => text.push(bytes, batch, house),
            Form::Cri(cri) => cri.take(bytes, batch, house),
        }
    }

    /// Takes the rest of a line of a file, and ends it. One that may go on is cut.
    pub(super) fn end_line(&mut self, rest: &[u8], may_go_on: bool, batch: &mut Batch, house: &House) {
        match &mut self.form {
            Form::Lines(text) => {
                text.push(rest, batch, house);
                if may_go_on {
                    text.lines.cut(batch, house);
                }
                text.push(b"\n", batch, house);
            }
            // A line of a runtime is whole or says nothing.
            Form::Cri(cri) if may_go_on => cri.take(&[UNDECIDED, b"\n"].concat(), batch, house),
            Form::Cri(cri) => cri.take(&[rest, b"\n"].concat(), batch, house),
        }
    }

    /// What came before is gone, and these of its streams, a bit each, had something open there: lines that look like the
    /// rest of a private key are taken for it.
    pub(super) fn begin_unknown(&mut self, streams: u8, origin: &Arc<Origin>, house: &House) {
        match &mut self.form {
            Form::Lines(text) if streams != 0 => text.lines.begin_unknown(origin, house),
            Form::Lines(_) => {}
            Form::Cri(cri) => cri.begin_unknown(streams, origin, house),
        }
    }

    /// The streams that have something open, a bit each.
    pub(super) fn open(&self) -> u8 {
        match &self.form {
            Form::Lines(text) => u8::from(!text.is_settled()),
            Form::Cri(cri) => cri.open(),
        }
    }

    /// Ends what its lines have left unfinished: records of which parts have come.
    pub(super) fn end_records(&mut self, may_go_on: bool, batch: &mut Batch, house: &House) {
        match &mut self.form {
            Form::Lines(_) => {}
            Form::Cri(cri) => cri.end_records(may_go_on, batch, house),
        }
    }

    /// Whether the last byte taken was not the end of a line.
    pub(super) fn is_within_line(&self) -> bool {
        match &self.form {
            Form::Lines(text) => text.is_within,
            Form::Cri(cri) => cri.is_within_line(),
        }
    }

    /// Whether some record has parts and no end yet, though the lines of the file are whole.
    pub(super) fn is_within_record(&self) -> bool {
        match &self.form {
            Form::Lines(_) => false,
            Form::Cri(cri) => cri.is_within_record(),
        }
    }

    /// Whether it is as good as a new one.
    pub(super) fn is_as_new(&self) -> bool {
        self.is_settled() && self.open() == 0
    }

    /// Whether reading could as well start here, with what is known of it.
    pub(super) fn is_settled(&self) -> bool {
        match &self.form {
            Form::Lines(text) => text.is_settled(),
            Form::Cri(cri) => cri.is_settled(),
        }
    }
}

/// Lines, scrubbed; of the longest, piece by piece.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) lines: Lines,
    pub(super) is_within: bool,
}

impl Text {
    pub(super) fn by(sanitizer: Arc<Sanitizer>) -> Self {
        Self { lines: Lines::by(sanitizer), is_within: false }
    }

    pub(super) fn is_settled(&self) -> bool {
        !self.is_within && self.lines.is_settled()
    }

    /// Pushes bytes. What lines have ended by them is in `batch`, and segments of those that have not.
    pub(super) fn push(&mut self, mut bytes: &[u8], batch: &mut Batch, house: &House) {
        while !bytes.is_empty() {
            let piece = &bytes[..bytes.len().min(PIECE)];
            let (now, rest) = match memchr::memrchr(b'\n', piece) {
                // The line that has begun may be long: alone, up to its end.
                Some(_) if self.is_within => {
                    let end = memchr::memchr(b'\n', piece).map_or(piece.len(), |newline| newline + 1);
                    bytes.split_at(end)
                }
                Some(last) => bytes.split_at(last + 1),
                None => bytes.split_at(piece.len()),
            };
            self.lines.push(now, batch, house);
            self.is_within = !now.ends_with(b"\n");
            bytes = rest;
            if batch.is_in_record() {
                let labels = vec![(CUT.0.into(), CUT.1.to_owned())];
                batch.end_record(Details { labels, ..Details::default() });
            }
        }
    }
}

/// The streams in which these lines leave something open, a bit each. Nothing of them is told.
pub(super) fn left_open(format: Format, lines: &[u8], house: &House) -> u8 {
    let mut flow = Flow::new(format, house);
    let origin = Arc::new(Origin { input: format.input(), labels: Vec::new() });
    let mut nowhere = Batch::new(origin, flow.sanitizer().clone());
    flow.take(lines, &mut nowhere, house);
    flow.open()
}

/// An origin whose labels are clean.
pub(super) fn clean_origin(
    input: &'static str,
    labels: Vec<(&'static str, String)>,
    sanitizer: &Sanitizer,
) -> Arc<Origin> {
    let mut work = Default::default();
    let clean = |(name, value): (&'static str, String)| {
        let value = sanitizer.clean(crate::Key::None, value.as_bytes(), &mut work);
        (name.into(), String::from_utf8_lossy(&value).into_owned())
    };
    Arc::new(Origin { input, labels: labels.into_iter().map(clean).collect() })
}
