//! Lines of container runtimes.

use std::fs;
use std::thread;
use std::time::Duration;

use kasm_scrub::pod::tail::Format;
use proptest::prelude::*;

use super::rotation::{check_no_key, key};
use super::stage::{Kept, Stage, check_numbered};

const TIME: &str = "2024-02-29T10:15:00.5Z";
const NANOS: u64 = 1_709_201_700_500_000_000;

fn cri(stream: &str, tag: &str, text: &str) -> String {
    format!("{TIME} {stream} {tag} {text}\n")
}

fn docker(stream: &str, text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!("{{\"log\":{text},\"stream\":\"{stream}\",\"time\":\"{TIME}\"}}\n")
}

/// What a file of a container comes to.
fn read(bytes: impl AsRef<[u8]>, count: usize) -> Vec<Kept> {
    let stage = Stage::of("0.log", Format::Cri);
    stage.write("0.log", bytes);
    let tail = stage.start();
    tail.sink.wait_for(count);
    tail.stop().records()
}

/// Stream and text of each record.
fn short(kept: &[Kept]) -> Vec<(String, String)> {
    let label = |kept: &Kept| {
        kept.details.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    kept.iter()
        .map(|kept| (label(kept).join(" "), String::from_utf8_lossy(&kept.text).into_owned()))
        .collect()
}

#[track_caller]
fn check(bytes: &str, want: &[(&str, &str)]) {
    let got = read(bytes, want.len());
    let want: Vec<_> = want.iter().map(|&(label, text)| (label.to_owned(), text.to_owned())).collect();
    assert_eq!(short(&got), want);
}

const OUT: &str = "log.iostream=stdout";
const ERR: &str = "log.iostream=stderr";
const ODD: &str = "log.malformed=true";

#[test]
fn lines_of_both_runtimes() {
    let lines = [
        cri("stdout", "F", "one password=DeadBeef42!"),
        docker("stderr", "two \"quoted\" token: DeadBeef42!\n"),
        cri("stderr", "F:extra", ""),
        "neither password=DeadBeef42!\n".to_owned(),
        cri("stdout", "F", "end"),
    ];
    let want = [
        (OUT, "one password=[REDACTED:password]"),
        (ERR, "two \"quoted\" token: DeadBeef42!"),
        (ERR, ""),
        (ODD, "neither password=[REDACTED:password]"),
        (OUT, "end"),
    ];
    let got = read(lines.concat(), 5);
    let times: Vec<_> = got.iter().map(|kept| kept.details.time).collect();
    assert_eq!(times, [Some(NANOS), Some(NANOS), Some(NANOS), None, Some(NANOS)]);
    let got = short(&got);
    for (i, (label, text)) in want.iter().enumerate().filter(|(i, _)| *i != 1) {
        assert_eq!((&*got[i].0, &*got[i].1), (*label, *text));
    }
    assert_eq!(got[1].0, ERR);
}

#[test]
fn a_secret_cut_into_pieces_is_found() {
    let whole = "ok password=DeadBeef42! ok";
    for cut in 0..=whole.len() {
        let (one, two) = whole.split_at(cut);
        let between = cri("stderr", "F", "between");
        let lines = [cri("stdout", "P", one), between, cri("stdout", "F", two)];
        check(&lines.concat(), &[(ERR, "between"), (OUT, "ok password=[REDACTED:password] ok")]);
        if cut > 12 {
            break;
        }
    }
    let lines = [docker("stdout", "ok password=Dead"), docker("stdout", "Beef42!\n")];
    check(&lines.concat(), &[(OUT, "ok password=[REDACTED:password]")]);
}

#[test]
fn a_piece_without_an_end_goes_on_in_the_next_file() {
    let stage = Stage::of("0.log", Format::Cri);
    let tail = stage.start();
    stage.write("0.log", cri("stdout", "F", "line") + &cri("stdout", "P", "password=Dead"));
    tail.sink.wait_for(1);
    stage.rename("0.log", "0.log.20240229-101500");
    stage.write("0.log", cri("stdout", "P", "Beef") + &cri("stdout", "F", "42! ok"));
    tail.sink.wait_for(2);
    // Nothing comes after this one.
    stage.write("0.log", cri("stderr", "P", "password=Dead"));
    fs::remove_file(stage.path("0.log")).unwrap();
    tail.sink.wait_for(3);
    let got = short(&tail.stop().records());
    let want = [(OUT, "line"), (OUT, "password=[REDACTED:password] ok"), (ERR, "[REDACTED:undecided]")];
    assert_eq!(got, want.map(|(label, text)| (label.to_owned(), text.to_owned())));
}

#[test]
fn a_piece_without_an_end_goes_on_after_a_restart() {
    let stage = Stage::of("0.log", Format::Cri);
    let lines = [cri("stdout", "P", "password=Dead"), cri("stderr", "F", "between")];
    stage.write("0.log", lines.concat());
    let tail = stage.start();
    tail.sink.wait_for(1);
    let sink = tail.stop();
    let texts = ["between", "[REDACTED:undecided]"];
    assert_eq!(sink.texts(), texts);
    stage.write("0.log", cri("stdout", "F", "Beef42! ok"));
    let tail = stage.start_with(sink);
    tail.sink.wait_for(3);
    assert_eq!(tail.stop().texts(), [&texts[..], &["password=[REDACTED:password] ok"]].concat());
}

#[test]
fn a_piece_without_an_end_does_not_wait_while_another_stream_goes_on() {
    let stage = Stage::of("0.log", Format::Cri);
    let tail = stage.start();
    let begun = format!("{} password=Dead", "begun ".repeat(20));
    stage.write("0.log", cri("stdout", "P", &begun));
    let line = cri("stderr", "F", &"x".repeat(1000));
    // More than a file of a runtime holds, in files that are rotated.
    for number in 0..20 {
        stage.write("0.log", line.repeat(1000));
        tail.sink.wait_for(1000 * (number + 1));
        stage.rename("0.log", &format!("0.log.2024022{}-10{number:02}00", 1 + number / 10));
    }
    tail.sink.wait_for(20_001);
    stage.write("0.log", cri("stdout", "F", "Beef42! rest") + &cri("stdout", "F", "next"));
    tail.sink.wait_for(20_003);
    let got = short(&tail.stop().records());
    let got: Vec<_> = got.into_iter().filter(|(label, _)| label.contains("stdout")).collect();
    let texts: Vec<_> = got.iter().map(|(_, text)| &**text).collect();
    assert!(texts[0].starts_with("begun begun ") && texts[0].ends_with("[REDACTED:undecided]"), "{texts:?}");
    assert_eq!(texts[1..], ["[REDACTED:undecided]", "next"]);
    assert!(got[0].0.contains("log.line.continues=true"), "{got:?}");
}

#[test]
fn a_piece_without_an_end_is_delivered_when_nothing_comes_for_long() {
    let mut stage = Stage::of("0.log", Format::Cri);
    stage.settings.unfinished = Duration::from_millis(300);
    stage.write("0.log", cri("stdout", "F", "one") + &docker("stderr", "panic: password=Dead"));
    let tail = stage.start();
    tail.sink.wait_for(2);
    stage.write("0.log", cri("stdout", "F", "two") + &docker("stderr", "Beef42! ok\n"));
    tail.sink.wait_for(4);
    let sink = tail.stop();
    let cut = format!("{ERR} log.line.continues=true");
    let want = [
        (OUT, "one"),
        (&cut, "[REDACTED:undecided]"),
        (OUT, "two"),
        (ERR, "panic: password=[REDACTED:password] ok"),
    ];
    assert_eq!(short(&sink.records()), want.map(|(label, text)| (label.to_owned(), text.to_owned())));
    // A start brings nothing again, and neither does the next.
    stage.write("0.log", docker("stderr", "last words"));
    let mut sink = stage.start_with(sink).stop();
    for _ in 0..3 {
        sink = stage.start_with(sink).stop();
    }
    assert_eq!(sink.texts()[4..], ["[REDACTED:undecided]"]);
    // Those of a container that is gone are whole.
    let stage = Stage::of("0.log", Format::Cri);
    let tail = stage.start();
    stage.write("0.log", docker("stderr", "last words"));
    thread::sleep(Duration::from_millis(100));
    fs::remove_file(stage.path("0.log")).unwrap();
    tail.sink.wait_for(1);
    assert_eq!(tail.stop().texts(), ["last words"]);
}

#[test]
fn keys_over_lines_are_found_while_another_stream_speaks() {
    let lines: String =
        key().lines().map(|line| cri("stderr", "F", line) + &cri("stdout", "F", "other")).collect();
    let got = read(lines, key().lines().count() * 2);
    let texts: Vec<String> =
        got.iter().map(|kept| String::from_utf8_lossy(&kept.text).into_owned()).collect();
    check_no_key(&texts);
    assert_eq!(texts.iter().filter(|text| *text == "other").count(), key().lines().count());
}

#[test]
fn containers_are_named_by_paths() {
    let stage = Stage::of("pods/*/*/*.log", Format::Cri);
    stage.write("pods/kasm_kasm-api-0_0f1e/api/3.log", cri("stdout", "F", "x"));
    let tail = stage.start();
    tail.sink.wait_for(1);
    let origin = tail.stop().records()[0].origin.clone();
    assert_eq!(origin.input, "cri");
    let of =
        |name: &str| origin.labels.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    assert_eq!(of("k8s.pod.name"), Some("kasm-api-0"));
    assert_eq!(of("k8s.container.restart_count"), Some("3"));
}

#[test]
fn files_behind_links_are_rotated_where_they_are() {
    let mut stage = Stage::of("containers/*.log", Format::Cri);
    stage.settings.follow_links.push(stage.path("pods"));
    let line = |number: usize| cri("stdout", "F", &format!("line {number}"));
    stage.write("pods/a/0.log", line(0));
    fs::create_dir(stage.path("containers")).unwrap();
    std::os::unix::fs::symlink(stage.path("pods/a/0.log"), stage.path("containers/a.log")).unwrap();
    std::os::unix::fs::symlink("/proc/self/status", stage.path("containers/b.log")).unwrap();
    let tail = stage.start();
    tail.sink.wait_for(1);
    // More than once between two looks.
    tail.sink.shut(true);
    stage.write("pods/a/0.log", line(1));
    for turn in 2..6 {
        stage.rename("pods/a/0.log", &format!("pods/a/0.log.20240229-10150{turn}"));
        stage.write("pods/a/0.log", line(turn));
    }
    tail.sink.shut(false);
    tail.sink.wait_for(6);
    let sink = tail.stop();
    check_numbered(&sink, 6);
    assert!(sink.records().iter().all(|kept| kept.origin.labels[1].1 == "a.log"));
    assert!(sink.events().contains(&"link_refused"), "{:?}", sink.events());
}

#[test]
fn any_bytes_are_some_record() {
    let bytes: Vec<u8> = (0..2000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let lines = bytes.split(|&byte| byte == b'\n').count();
    let mut text = bytes.clone();
    text.extend_from_slice(b"\n{\"log\":\"\\ud800\xff\\n\",\"stream\":\"stdout\"}\n");
    text.extend_from_slice(&[TIME.as_bytes(), b" stdout F \xff\xfe\n"].concat());
    let got = read(text, lines + 2);
    assert_eq!(got.len(), lines + 2);
    assert_eq!(got[lines + 1].text, b"\xff\xfe");
}

/// Lines of a stream, how they are cut, and how two streams are mixed.
fn cut_up(lines: &[(bool, String, Vec<usize>)], form: u8) -> String {
    let mut waiting: [Vec<String>; 2] = Default::default();
    for (is_err, line, cuts) in lines {
        let stream = if *is_err { "stderr" } else { "stdout" };
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (line.len() + 1)).collect();
        at.extend([0, line.len()]);
        at.sort_unstable();
        let pieces: Vec<&str> = at.windows(2).map(|at| &line[at[0]..at[1]]).collect();
        for (i, piece) in pieces.iter().enumerate() {
            let is_last = i + 1 == pieces.len();
            let is_docker = form == 1 || form == 2 && i % 2 == 0;
            waiting[usize::from(*is_err)].push(match (is_docker, is_last) {
                (true, true) => docker(stream, &format!("{piece}\n")),
                (true, false) => docker(stream, piece),
                (false, true) => cri(stream, "F", piece),
                (false, false) => cri(stream, "P", piece),
            });
        }
    }
    // One of each in turn.
    let [out, err] = waiting;
    let longest = out.len().max(err.len());
    (0..longest).flat_map(|i| [out.get(i), err.get(i)]).flatten().cloned().collect()
}

fn of_stream(sink: &[Kept], label: &str) -> Vec<String> {
    short(sink).into_iter().filter(|(own, _)| own == label).map(|(_, text)| text).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn how_lines_are_cut_and_mixed_does_not_show(
        lines in prop::collection::vec(
            (any::<bool>(), "(ok |password=DeadBeef42! |- name: DB_PASSWORD|value: DeadBeef42| ){0,4}", prop::collection::vec(any::<usize>(), 0..4)),
            1..12,
        ),
        form in 0_u8..3,
    ) {
        let whole: Vec<_> = lines.iter().map(|(is_err, line, _)| (*is_err, line.clone(), Vec::new())).collect();
        let want = read(cut_up(&whole, 0), lines.len());
        let got = read(cut_up(&lines, form), lines.len());
        for label in [OUT, ERR] {
            prop_assert_eq!(of_stream(&got, label), of_stream(&want, label));
        }
        prop_assert!(!got.iter().any(|kept| String::from_utf8_lossy(&kept.text).contains("DeadBeef42!")));
    }
}
