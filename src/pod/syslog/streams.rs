//! Connections: their number, how much of unfinished messages is held for all of them, and how long those may take, have
//! limits, so that one client takes nothing from the others.

use std::time::{Duration, Instant};

use super::connection::Connection;
use super::socket::{Streams, readied};
use super::taker::Taker;
use super::{LOOK, QUIET};
use crate::pod::house::House;
use crate::pod::inputs::Unfinished;

/// How long to wait when the system has no descriptor for a connection.
const NO_DESCRIPTOR: Duration = Duration::from_millis(50);
/// How many connections there may be.
const MOST_CONNECTIONS: usize = 256;
/// How long a connection must have said nothing to be closed for a new one.
const IDLE: Duration = Duration::from_secs(1);
/// How much is held of messages that have not ended.
const MOST_HELD: usize = 16 << 20;
/// How long a message may take to come.
const MOST_WAIT: Duration = Duration::from_secs(60);
/// How long nothing must have come behind a counted message: its count may be wrong.
const SETTLED: Duration = Duration::from_millis(100);

pub(super) fn run(sockets: &[Streams], taker: &mut Taker, house: &House) -> Result<(), Unfinished> {
    let mut connections: Vec<Connection> = Vec::new();
    let mut last = Instant::now();
    let mut was_full = false;
    loop {
        let is_draining = house.stopping.is_draining();
        let all = sockets.iter().map(Streams::as_fd).chain(connections.iter().map(Connection::as_fd));
        let all: Vec<_> = all.collect();
        let is_waiting = connections.iter().any(Connection::is_waiting);
        let ready = readied(
            &all,
            if is_draining {
                QUIET / 5
            } else if is_waiting {
                SETTLED
            } else {
                LOOK
            },
        );
        let has_come = ready.iter().any(|&ready| ready);
        if has_come {
            last = Instant::now();
        }
        let (listening, ready) = ready.split_at(sockets.len());
        read(&mut connections, ready, taker, house);
        connections.iter_mut().for_each(|connection| connection.settle(SETTLED, taker, house));
        hold_less(&mut connections, taker, house);
        for (socket, _) in sockets.iter().zip(listening).filter(|(_, ready)| **ready) {
            was_full = accept(socket, &mut connections, was_full, taker, house);
        }
        taker.deliver(house)?;
        let is_late = house.stopping.is_late();
        if is_late || (is_draining && last.elapsed() >= QUIET) {
            connections.iter_mut().for_each(|connection| connection.finish(taker, house));
            taker.deliver(house)?;
            // More is there than could be taken in time.
            return if is_late && has_come { Err(Unfinished::Stopped) } else { Ok(()) };
        }
    }
}

/// Reads once of each connection that is ready, and forgets those that have ended.
fn read(connections: &mut Vec<Connection>, ready: &[bool], taker: &mut Taker, house: &House) {
    let mut ready = ready.iter();
    connections.retain_mut(|connection| {
        if ready.next() != Some(&true) {
            return true;
        }
        let is_open = connection.read(taker, house);
        // What is read of one is with the output before the next is read, when it is much.
        if taker.is_full() {
            taker.give(house);
        }
        is_open
    });
}

/// Cuts messages that take too long, and the largest while all together are too much.
fn hold_less(connections: &mut [Connection], taker: &mut Taker, house: &House) {
    for connection in connections.iter_mut().filter(|connection| connection.is_overdue(MOST_WAIT)) {
        connection.cut("it takes too long to come", taker, house);
    }
    let mut held: usize = connections.iter().map(Connection::weight).sum();
    while held > MOST_HELD {
        let Some(largest) = connections.iter_mut().max_by_key(|connection| connection.weight()) else {
            break;
        };
        held -= largest.weight();
        largest.cut("unfinished messages of all connections are too much", taker, house);
        if taker.is_full() {
            taker.give(house);
        }
    }
}

/// Takes the connections that wait; gives whether there was no place for one.
fn accept(
    socket: &Streams,
    connections: &mut Vec<Connection>,
    was_full: bool,
    taker: &mut Taker,
    house: &House,
) -> bool {
    let (mut is_full, mut has_come) = (false, false);
    while let Some(stream) = socket.accept() {
        has_come = true;
        if connections.len() >= MOST_CONNECTIONS && !close_idle(connections, taker, house) {
            is_full = true;
            house.event("syslog_refused");
            if !was_full {
                tracing::warn!(
                    most = MOST_CONNECTIONS,
                    "too many connections of syslog; new ones are closed"
                );
            }
            continue;
        }
        connections.push(Connection::new(stream, house));
    }
    if !has_come {
        // It has gone again, or there is no descriptor for it: others may end meanwhile.
        house.stopping.wait(NO_DESCRIPTOR);
    }
    is_full
}

/// Closes the connection that has said nothing for the longest time, if that is long; gives whether there was one.
fn close_idle(connections: &mut Vec<Connection>, taker: &mut Taker, house: &House) -> bool {
    let is_idle = |connection: &Connection| {
        connection.last().elapsed() >= IDLE && readied(&[connection.as_fd()], Duration::ZERO) == [false]
    };
    let idle = connections.iter().enumerate().filter(|(_, connection)| is_idle(connection));
    let Some((at, _)) = idle.min_by_key(|(_, connection)| connection.last()) else { return false };
    let mut closed = connections.swap_remove(at);
    closed.finish(taker, house);
    house.event("syslog_closed");
    tracing::warn!(
        most = MOST_CONNECTIONS,
        idle_seconds = closed.last().elapsed().as_secs(),
        "too many connections of syslog; the one that has said nothing for the longest time is closed for a new one"
    );
    true
}
