//! What a sidecar with inputs refuses to start with, and what it opens.

use std::fs;
use std::sync::Arc;

use super::process::Start;

fn with_config(text: &str) -> Start {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let text = text.replace('@', &format!("{}/", folder.path().display()));
    fs::write(folder.path().join("scrub.yaml"), text).expect("a file");
    Start::with(&["--config", "@scrub.yaml"]).in_folder(folder)
}

#[test]
fn mistakes_refuse_to_start_by_file_line_and_item() {
    let check = |text: &str, want: &str| {
        let (code, said) = with_config(text).refused();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(want), "{text}: {said}");
    };
    check("inputs:\n- fif: {path: /a}\n", "scrub.yaml:2: inputs: `fif` is no input; did you mean `fifo`?");
    check("inputs:\n- fifo: {path: '/a/${HOME}'}\n", "scrub.yaml:2: inputs.fifo.path: names a variable");
    check("inputs:\n- fifo: {path: @in}\noutput: {file: {path: @none/out}}\n", "none/out: cannot open it");
    check("inputs:\n- syslog: {address: '${NO_SUCH_NAME}'}\n", "the variable NO_SUCH_NAME is not set");
    check("inputs:\n- fifo: {path: @in}\noutput: otlp\n", "no upstream is named");
    check("output: stdout\n", "no input whose records could go there");
    check("inputs:\n- tail: {paths: [/a]}\n", "--state");
    let tail = |name: &str| format!("- tail: {{paths: ['/a/*.log'], checkpoint: '@{name}'}}\n");
    check(&format!("inputs:\n{}{}", tail("one"), tail("two")), "two inputs read /a/*.log");
    check(&format!("inputs:\n{}{}", tail("one"), tail("one")), "give each of them a checkpoint");
}

/// The shipped configuration names a FIFO beside files of the same pattern.
#[test]
fn a_fifo_of_another_input_is_none_of_a_tail() {
    let text =
        "inputs:\n- fifo: {path: '@in[1].log'}\n- tail: {paths: ['@*.log'], checkpoint: '@checkpoint'}\n";
    let mut process = with_config(text).start();
    process.end(0);
    assert!(!process.log().contains("not a regular file"), "{}", process.log());
}

#[test]
fn only_what_is_asked_for_is_open() {
    let mut process = with_config("inputs:\n- fifo: {path: @in}\n- syslog: {address: 'unix:${AT}'}\n");
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("log").display().to_string();
    process = process.variable("AT", &socket);
    let mut process = process.start();
    assert_eq!(process.address("syslog").as_deref(), Some(&*format!("unix:{socket}")));
    assert_eq!(process.address("otlp-grpc"), None);
    assert_eq!(process.address("otlp-http"), None);
    let metrics = process.admin("/metrics");
    for line in [
        "kasm_scrub_input_events_total{what=\"panicked\"} 0",
        "kasm_scrub_input_events_total{what=\"output_retried\"} 0",
        "kasm_scrub_ready 1",
    ] {
        assert!(metrics.lines().any(|have| have.trim() == line), "{line} is not in {metrics}");
    }
    process.end(0);
    assert!(!std::path::Path::new(&socket).exists(), "it is removed");
}
