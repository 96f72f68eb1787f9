//! Programs that are given a terminal.

use super::sh;

#[test]
fn a_program_can_have_one() {
    let script = "test -t 1 && echo out; test -t 2 && echo err; stty size <&1; echo password=hunter2; \
                  printf 'a\\r\\nb\\n'; printf 'no newline'; echo 'password=hunter3' >&2; exit 3";
    for (pty, err) in [("--pty", ""), ("--pty=stdout", ""), ("--pty=both", "err\n")] {
        let ran = sh(&[pty], script);
        let want = format!("out\n{err}24 80\npassword=[REDACTED:password]\na\r\nb\nno newline");
        assert_eq!((ran.code, ran.out), (Some(3), want), "{pty}: {}", ran.err);
        assert_eq!(ran.err, "password=[REDACTED:password]\n", "{pty}");
    }
    assert_eq!(sh(&[], "test -t 1 || test -t 2 || echo none").out, "none\n");
}

#[test]
fn all_of_it_comes_out() {
    let ran = sh(&["--pty=both"], "seq 30000; seq 30000 >&2");
    let want: String = (1..=30_000).map(|i| format!("{i}\n")).collect();
    assert!(ran.out == want && ran.err == want, "{} and {} bytes", ran.out.len(), ran.err.len());
}

#[test]
fn who_is_left_behind_with_it_is_waited_for_a_while() {
    let ran = sh(&["--pty", "--linger", "100ms"], "sleep 20 2> /dev/null & echo a; exit 4");
    assert_eq!((ran.code, &*ran.out), (Some(4), "a\n"));
    assert!(ran.err.contains("has stdout open"), "{}", ran.err);
}
