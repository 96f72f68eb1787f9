//! Datagrams: each is a message. Nobody who sends them can be held up, so what is received is delivered in short turns.

use std::time::{Duration, Instant};

use super::frame::Frame;
use super::socket::{self, Datagrams, Drops, readied};
use super::taker::Taker;
use super::{LOOK, QUIET};
use crate::pod::house::House;
use crate::pod::inputs::Unfinished;

/// How often it is asked what the system has dropped.
const DROPS: Duration = Duration::from_secs(2);
/// How long it is received before that is delivered, however much is still there.
const TURN: Duration = Duration::from_millis(200);

pub(super) fn run(sockets: &[Datagrams], taker: &mut Taker, house: &House) -> Result<(), Unfinished> {
    let mut buffer = vec![0; socket::MOST_DATAGRAM];
    let mut drops: Vec<Drops> = sockets.iter().map(Drops::of).collect();
    let all: Vec<_> = sockets.iter().map(Datagrams::as_fd).collect();
    let (mut last, mut asked) = (Instant::now(), Instant::now());
    loop {
        let turn = receive(sockets, &mut buffer, taker, house);
        if turn.has_come {
            last = Instant::now();
        }
        taker.deliver(house)?;
        if asked.elapsed() >= DROPS {
            asked = Instant::now();
            drops.iter_mut().for_each(|drops| drops.tell(house));
        }
        let is_draining = house.stopping.is_draining();
        let is_late = house.stopping.is_late();
        if is_late || (is_draining && turn.is_all && last.elapsed() >= QUIET) {
            drops.iter_mut().for_each(|drops| drops.tell(house));
            // More is there than could be taken in time.
            return if turn.is_all { Ok(()) } else { Err(Unfinished::Stopped) };
        }
        if turn.is_all {
            readied(&all, if is_draining { QUIET / 5 } else { LOOK });
        }
    }
}

/// What was received at once.
struct Turn {
    has_come: bool,
    /// Nothing more was there.
    is_all: bool,
}

/// Takes what is there, one datagram of each socket after the other, until that is much or has taken long.
fn receive(sockets: &[Datagrams], buffer: &mut [u8], taker: &mut Taker, house: &House) -> Turn {
    let start = Instant::now();
    let mut has_come = false;
    loop {
        let mut is_all = true;
        for socket in sockets {
            let Some(len) = socket.receive(buffer) else { continue };
            (has_come, is_all) = (true, false);
            let is_cut = len == buffer.len();
            taker.take(None, Frame { text: &buffer[..len], is_cut, is_counted: true }, house);
        }
        if is_all || taker.is_full() || start.elapsed() >= TURN || house.stopping.is_late() {
            return Turn { has_come, is_all };
        }
    }
}
