//! Memory: once its buffers have grown, the engine allocates nothing, neither for clean text nor for most of what it
//! finds.
//!
//! Allocations are counted by thread, so the tests beside these do not matter.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use kasm_scrub::parallel::{Source, Target, scrub};
use kasm_scrub::{Finding, Out, Sanitizer, Scrubber, Work};

use crate::corpus;

/// The system's allocator, how often a thread has asked it for memory, and how much.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// Bytes that the thread holds, less than zero if it frees what others have asked for; and the most it has held.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

fn count() {
    // A thread that ends may free memory and even ask for some after its counter has gone.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

fn hold(more: usize, less: usize) {
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        let now = now + more as isize - less as isize;
        held.set((now, most.max(now)));
    });
}

#[allow(
    unsafe_code,
    reason = "an allocator cannot be written without; each call goes to the system's as it came"
)]
// SAFETY: every method hands its arguments to the system's allocator, whose contract is the same.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size(), 0);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size(), 0);
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        hold(size, layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(0, layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often `work` asks for memory.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// How many bytes this thread has held more than before, while `work` was done at most, and behind it.
pub(crate) fn held(work: impl FnOnce()) -> (usize, usize) {
    let (before, _) = HELD.get();
    HELD.set((before, before));
    work();
    let (after, most) = HELD.get();
    ((most - before) as usize, (after - before).max(0) as usize)
}

/// Takes what comes and keeps nothing of it.
#[derive(Default)]
struct Count {
    bytes: usize,
    findings: usize,
}

impl Out for Count {
    fn write(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
    }

    fn found(&mut self, _: &Finding) {
        self.findings += 1;
    }
}

fn log(lines: usize) -> Vec<u8> {
    let line = |n: usize| {
        format!(
            "2026-03-01T12:{:02}:{:02}.123Z INFO [kasm_api] session created on zone default kasm_id={:032x} duration_ms={} status=200\n",
            n / 60 % 60,
            n % 60,
            0x4bf9_2f35_77b3_4da6_u64 as usize ^ n,
            n % 5000
        )
    };
    (0..lines).map(line).collect::<String>().into_bytes()
}

fn json(lines: usize) -> Vec<u8> {
    let line = |n: usize| {
        format!(
            "{{\"asctime\":\"2026-03-01 12:{:02}:{:02},123\",\"name\":\"agent\",\"process\":{n},\"message\":\"heartbeat received, 12 of 40 cores in use\",\"kasm_id\":\"{:032x}\",\"request_ip\":null,\"http\":{{\"method\":\"POST\",\"status\":200}}}}\n",
            n / 60 % 60,
            n % 60,
            0x4bf9_2f35_77b3_4da6_u64 as usize ^ n
        )
    };
    (0..lines).map(line).collect::<String>().into_bytes()
}

#[test]
fn clean_text_is_not_allocated_for() {
    let sanitizer = Sanitizer::builtin();
    for text in [log(4000), json(4000)] {
        let mut work = Work::default();
        let mut scan = || assert!(sanitizer.scan_block(&text, &mut work).is_empty());
        scan();
        assert_eq!(allocations(scan), 0, "for a block");
        // Cut within lines, too.
        for size in [256 << 10, 4096, 100] {
            let mut scrubber = Scrubber::new(&sanitizer);
            let mut out = Count::default();
            let mut push = || text.chunks(size).for_each(|chunk| scrubber.push(chunk, &mut out));
            push();
            assert_eq!(allocations(push), 0, "for chunks of {size} bytes");
            assert_eq!((out.bytes, out.findings), (2 * text.len(), 0));
        }
    }
}

/// The same text again and again, read by read.
struct Again<'t> {
    text: &'t [u8],
    reads: usize,
}

impl Source for Again<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        if self.reads == 0 {
            return 0;
        }
        self.reads -= 1;
        buffer[..self.text.len()].copy_from_slice(self.text);
        self.text.len()
    }
}

impl Target for Count {
    fn end_block(&mut self) -> bool {
        true
    }
}

#[test]
fn longer_streams_are_not_allocated_for() {
    let sanitizer = Sanitizer::builtin();
    // Lines are cut by every read but the last of a text.
    for text in [log(900), json(700), b"2026-03-01 login password=Dead00dead11\n".repeat(500)] {
        let text = &text[..text.len() - 1];
        let of = |reads: usize| {
            let (mut source, mut out) = (Again { text, reads }, Count::default());
            let count = allocations(|| scrub(&sanitizer, 1, &mut source, &mut out, &|| ()));
            assert!(out.bytes > 0);
            count
        };
        of(4);
        assert_eq!(of(4), of(40));
    }
}

#[test]
fn few_secrets_are_allocated_for() {
    let sanitizer = Sanitizer::builtin();
    let records = [corpus::negatives(1, 1), corpus::records(1, 1)].concat();
    let mut scrubber = Scrubber::new(&sanitizer);
    let mut out = Count::default();
    let mut each = Vec::new();
    // Twice to warm up: the regexes' own tables grow with what they see.
    for _ in 0..3 {
        each.clear();
        each.extend(records.iter().map(|record| {
            allocations(|| {
                scrubber.push(&record.bytes, &mut out);
                scrubber.push(b"\n", &mut out);
            })
        }));
    }
    let costly = records.iter().zip(&each).filter(|&(_, &count)| count > 0);
    let costly: Vec<_> = costly.map(|(record, count)| (record.family, record.carrier, count)).collect();
    // A name whose value is on the next line is kept; so are, for a moment, findings in text that has two readings.
    assert!(costly.len() * 40 <= records.len(), "{} of {}: {costly:?}", costly.len(), records.len());
    assert!(each.iter().all(|&count| count <= 32), "{costly:?}");
    assert!(out.findings > 3 * 9000, "{} findings", out.findings);
}
