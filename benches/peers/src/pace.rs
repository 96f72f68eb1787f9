//! How long a line takes through a filter between two pipes: at a steady rate, and the first of a new process.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Lines to write, over and over
    text: PathBuf,
    /// Lines per second
    #[arg(long, default_value_t = 50_000)]
    rate: u32,
    /// For how long; the first second is not counted
    #[arg(long, default_value_t = 6)]
    seconds: u32,
    /// How often the first line of a new process is timed
    #[arg(long, default_value_t = 20)]
    starts: u32,
    /// The filter and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub fn run(args: &Args) -> Result<Value, String> {
    let told = |error: io::Error| format!("{}: {error}", args.command.join(" "));
    let text = std::fs::read(&args.text).map_err(|error| format!("{}: {error}", args.text.display()))?;
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    if lines.is_empty() {
        return Err(format!("{} has no lines", args.text.display()));
    }
    let mut firsts =
        (0..args.starts).map(|_| first(args, lines[0])).collect::<io::Result<Vec<_>>>().map_err(told)?;
    firsts.sort_unstable();
    let mut waits = steady(args, &lines).map_err(told)?;
    waits.sort_unstable();
    let micros = |share: f64| rank(&waits, share).as_secs_f64() * 1e6;
    Ok(json!({
        "rate": args.rate,
        "lines": waits.len(),
        "p50_us": micros(0.5),
        "p99_us": micros(0.99),
        "p999_us": micros(0.999),
        "max_us": micros(1.0),
        "first_line_best_ms": rank(&firsts, 0.0).as_secs_f64() * 1e3,
        "first_line_median_ms": rank(&firsts, 0.5).as_secs_f64() * 1e3,
    }))
}

/// The value below which `share` of the sorted `values` are.
fn rank(values: &[Duration], share: f64) -> Duration {
    let last = values.len().saturating_sub(1);
    values.get(((values.len() as f64 * share) as usize).min(last)).copied().unwrap_or_default()
}

fn start(args: &Args) -> io::Result<Child> {
    Command::new(&args.command[0])
        .args(&args.command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// From the start of the process to the first byte that comes out.
fn first(args: &Args, line: &[u8]) -> io::Result<Duration> {
    let from = Instant::now();
    let mut child = start(args)?;
    let (mut input, mut output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    input.write_all(line)?;
    output.read_exact(&mut [0])?;
    let took = from.elapsed();
    drop(input);
    io::copy(&mut output, &mut io::sink())?;
    child.wait()?;
    Ok(took)
}

/// How long each line took, from when it was due to when its end came out. A line that is written late because the filter
/// does not read counts from when it was due.
fn steady(args: &Args, lines: &[&[u8]]) -> io::Result<Vec<Duration>> {
    crate::measure::sharp_timers();
    let mut child = start(args)?;
    let (mut input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let count = args.rate * args.seconds.max(2);
    let every = Duration::from_secs(1) / args.rate;
    let begin = Instant::now() + Duration::from_millis(50);
    let due = move |n: u32| begin + every * n;
    let (send, receive) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut output = BufReader::with_capacity(64 << 10, output);
        let mut waits = Vec::with_capacity(count as usize);
        while let Ok(block @ [_, ..]) = output.fill_buf() {
            let now = Instant::now();
            for _ in memchr::memchr_iter(b'\n', block) {
                waits.push(now.saturating_duration_since(due(waits.len() as u32)));
            }
            let len = block.len();
            output.consume(len);
        }
        // The receiver is there until the end.
        send.send(waits).unwrap_or_default();
    });
    for (n, line) in (0..count).zip(lines.iter().cycle()) {
        let wait = due(n).saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        input.write_all(line)?;
    }
    drop(input);
    let waits = receive.recv().map_err(|_| io::Error::other("the reader failed"))?;
    reader.join().map_err(|_| io::Error::other("the reader failed"))?;
    child.wait()?;
    if waits.len() != count as usize {
        return Err(io::Error::other(format!("{} of {count} lines came out", waits.len())));
    }
    Ok(waits[args.rate as usize..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_through_cat_is_timed() {
        let path = std::env::temp_dir().join(format!("peers-pace-{}", std::process::id()));
        std::fs::write(&path, "one\ntwo\nthree\n").expect("file");
        let args =
            Args { text: path.clone(), rate: 1000, seconds: 2, starts: 3, command: vec!["cat".to_owned()] };
        let told = run(&args);
        std::fs::remove_file(path).expect("file");
        let told = told.expect("cat");
        assert_eq!(told["lines"], 1000);
        assert!(told["p50_us"].as_f64() <= told["p999_us"].as_f64());
        assert!(told["first_line_best_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    }

    #[test]
    fn ranks() {
        let values: Vec<Duration> = (1..=1000).map(Duration::from_micros).collect();
        assert_eq!(rank(&values, 0.0), values[0]);
        assert_eq!(rank(&values, 0.999), values[999]);
        assert_eq!(rank(&values, 1.0), values[999]);
        assert_eq!(rank(&[], 0.5), Duration::ZERO);
    }
}
