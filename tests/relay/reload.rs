//! Rules that change while it runs, by every way that files change.

use std::path::Path;

use kasm_scrub::otlp::Signal;
use rustix::process::Signal as Process;
use tempfile::TempDir;

use super::certificates::write;
use super::client::{Ask, Wire};
use super::replies::taking;
use super::requests::{Pack, clean};
use super::stage::{PLANTED, Spoken, Stage, secret};
use super::{holds, until};

/// A rule of a team's own.
pub(crate) const RULES: &str = "[[rules]]\nid = \"team-ticket\"\nregex = '''\\bTKT-[0-9]{8}\\b'''\n";
const MORE_RULES: &str = "[[rules]]\nid = \"team-order\"\nregex = '''\\bORD-[0-9]{8}\\b'''\n";
const RELOADED: &str = "kasm_scrub_events_total{what=\"reloaded\"}";
const FAILED: &str = "kasm_scrub_events_total{what=\"reload_failed\"}";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// What comes of a text.
async fn through(stage: &Stage, words: &str) -> Vec<u8> {
    let ask = Ask::new(Wire::Protobuf, Signal::Logs, Pack::None, &clean(Wire::Protobuf, Signal::Logs, words));
    let answer = stage.send(&ask).await;
    assert!(answer.is_taken(Wire::Protobuf), "{answer:?}");
    stage.upstream.last().message()
}

/// Waits until changes that were made have been seen, all of them.
async fn at_rest() {
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
}

/// Whether tickets are found, and orders.
async fn finds(stage: &Stage) -> (bool, bool) {
    let came = through(stage, "closed TKT-26262626 and ORD-26262626").await;
    (!holds(&came, b"TKT-26262626"), !holds(&came, b"ORD-26262626"))
}

#[tokio::test]
async fn rules_change_with_their_file() {
    let folder = folder();
    let file = write(folder.path(), "rules.toml", RULES);
    let stage = Stage::new(Spoken::Http, taking(), &["--rules", &file]).await;
    assert_eq!(finds(&stage).await, (true, false));
    // Written anew.
    std::fs::write(&file, MORE_RULES).expect("a file");
    until("orders are found", async || finds(&stage).await == (false, true)).await;
    // Replaced by another file.
    let other = write(folder.path(), "other", RULES);
    std::fs::rename(other, &file).expect("a name");
    until("tickets are found", async || finds(&stage).await == (true, false)).await;
    stage.sidecar.counts(RELOADED, 2).await;
    stage.sidecar.says("files were read again and are in use", 2).await;
    assert_eq!(stage.sidecar.count(FAILED).await, 0);
    stage.close().await;
}

#[tokio::test]
async fn a_folder_that_goes_and_comes_back_is_watched() {
    let folder = folder();
    let sub = folder.path().join("mounted");
    std::fs::create_dir(&sub).expect("a folder");
    let file = write(&sub, "rules.toml", RULES);
    let stage = Stage::new(Spoken::Http, taking(), &["--rules", &file]).await;
    std::fs::remove_dir_all(&sub).expect("a folder");
    stage.sidecar.counts(FAILED, 1).await;
    assert_eq!(finds(&stage).await, (true, false), "what was in use stays");
    std::fs::create_dir(&sub).expect("a folder");
    write(&sub, "rules.toml", MORE_RULES);
    until("orders are found", async || finds(&stage).await == (false, true)).await;
    // And once more, now that the folder is another one.
    std::fs::write(&file, RULES).expect("a file");
    until("tickets are found", async || finds(&stage).await == (true, false)).await;
    stage.close().await;
}

#[tokio::test]
async fn one_change_is_read_once() {
    let folder = folder();
    let file = write(folder.path(), "rules.toml", RULES);
    let stage = Stage::new(Spoken::Http, taking(), &["--rules", &file]).await;
    std::fs::write(&file, MORE_RULES).expect("a file");
    stage.sidecar.counts(RELOADED, 1).await;
    at_rest().await;
    assert_eq!(stage.sidecar.count(RELOADED).await, 1);
    stage.close().await;
}

#[tokio::test]
async fn rules_are_read_again_when_told() {
    let folder = folder();
    let file = write(folder.path(), "rules.toml", RULES);
    let stage = Stage::new(Spoken::Http, taking(), &["--rules", &file]).await;
    assert_eq!(finds(&stage).await, (true, false));
    for times in 1..3 {
        stage.sidecar.signal(Process::HUP);
        stage.sidecar.counts(RELOADED, times).await;
        assert_eq!(finds(&stage).await, (true, false));
    }
    std::fs::write(&file, MORE_RULES).expect("a file");
    stage.sidecar.signal(Process::HUP);
    until("orders are found", async || finds(&stage).await == (false, true)).await;
    stage.close().await;
}

#[tokio::test]
async fn learned_secrets_change_with_a_mounted_secret() {
    let folder = folder();
    mount(folder.path(), "2026_11_01", &secret(1));
    std::os::unix::fs::symlink("..data/rules.toml", folder.path().join("password")).expect("a link");
    let pattern = folder.path().join("pass*").display().to_string();
    let stage = Stage::new(Spoken::Http, taking(), &["--learn-file", &pattern, "--learn-keep", "0s"]).await;
    let finds = async |number| {
        let came = through(&stage, &format!("with %68{} too", &secret(number)[1..])).await;
        holds(&came, b"learned-secret")
    };
    assert!(finds(1).await && !finds(2).await);
    mount(folder.path(), "2026_11_02", &secret(2));
    until("the new one is found", async || finds(2).await && !finds(1).await).await;
    // A file that is gone leaves the old ones in use.
    std::fs::remove_file(folder.path().join("password")).expect("a link");
    stage.sidecar.counts(FAILED, 1).await;
    stage.sidecar.says("no file to learn from is named", 1).await;
    assert!(finds(2).await);
    assert_eq!(stage.sidecar.count("kasm_scrub_learned_values").await, 1);
    stage.close().await;
}

/// Whether a secret is found that nothing but learning it would find.
async fn learned(stage: &Stage, number: usize) -> bool {
    let came = through(stage, &format!("with %68{} too", &secret(number)[1..])).await;
    holds(&came, b"learned-secret")
}

#[tokio::test]
async fn a_secret_that_was_replaced_is_found_for_a_while() {
    let folder = folder();
    let file = write(folder.path(), "password", &secret(1));
    let stage = Stage::new(Spoken::Http, taking(), &["--learn-file", &file, "--learn-keep", "8s"]).await;
    std::fs::write(&file, secret(2)).expect("a file");
    until("the new one is found", async || learned(&stage, 2).await).await;
    assert!(learned(&stage, 1).await, "who was started with it still has it");
    until("the old one is forgotten", async || !learned(&stage, 1).await).await;
    assert!(learned(&stage, 2).await);
    stage.close().await;
}

#[tokio::test]
async fn what_is_wrong_with_rules_keeps_no_secret_from_being_learned() {
    let folder = folder();
    let (rules, file) =
        (write(folder.path(), "rules.toml", RULES), write(folder.path(), "password", &secret(1)));
    let stage = Stage::new(Spoken::Http, taking(), &["--rules", &rules, "--learn-file", &file]).await;
    std::fs::write(&rules, "hunter").expect("a file");
    stage.sidecar.counts(FAILED, 1).await;
    assert!(learned(&stage, 1).await && !learned(&stage, 2).await);
    std::fs::write(&file, secret(2)).expect("a file");
    until("the new secret is found", async || learned(&stage, 2).await).await;
    assert_eq!(finds(&stage).await, (true, false), "by the rules that were in use");
    assert_eq!(stage.sidecar.admin("/readyz").await.status, 200);
    // Nor does what is wrong with a secret keep rules from being used.
    std::fs::remove_file(&file).expect("a file");
    std::fs::write(&rules, MORE_RULES).expect("a file");
    until("orders are found", async || finds(&stage).await == (false, true)).await;
    until("it is not ready", async || stage.sidecar.admin("/readyz").await.status == 503).await;
    assert!(learned(&stage, 2).await);
    std::fs::write(&file, secret(3)).expect("a file");
    until("it is ready again", async || stage.sidecar.admin("/readyz").await.status == 200).await;
    assert!(learned(&stage, 3).await);
    stage.close().await;
}

/// Mounts files as Kubernetes does: links to a link to a folder, which is swapped.
fn mount(folder: &Path, version: &str, text: &str) {
    let data = folder.join(format!("..{version}"));
    std::fs::create_dir(&data).expect("a folder");
    std::fs::write(data.join("rules.toml"), text).expect("a file");
    std::os::unix::fs::symlink(format!("..{version}"), folder.join("..data_tmp")).expect("a link");
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("a name");
}

#[tokio::test]
async fn nor_does_what_is_wrong_with_a_configuration() {
    let folder = folder();
    let file = write(folder.path(), "password", &secret(1));
    let config = write(folder.path(), "scrub.yaml", "learn: {files: [password]}\n");
    let stage = Stage::new(Spoken::Http, taking(), &["--config", &config]).await;
    std::fs::write(&config, "learn: {file: [password]}\n").expect("a file");
    stage.sidecar.counts(FAILED, 1).await;
    at_rest().await;
    std::fs::write(&file, secret(2)).expect("a file");
    until("the new secret is found", async || learned(&stage, 2).await).await;
    stage.close().await;
}

#[tokio::test]
async fn rules_change_with_a_mounted_config_map() {
    let folder = folder();
    mount(folder.path(), "2026_11_01", RULES);
    let file = folder.path().join("rules.toml");
    std::os::unix::fs::symlink("..data/rules.toml", &file).expect("a link");
    let stage = Stage::new(Spoken::Http, taking(), &["--rules", &file.display().to_string()]).await;
    assert_eq!(finds(&stage).await, (true, false));
    mount(folder.path(), "2026_11_02", MORE_RULES);
    std::fs::remove_dir_all(folder.path().join("..2026_11_01")).expect("a folder");
    until("orders are found", async || finds(&stage).await == (false, true)).await;
    mount(folder.path(), "2026_11_03", RULES);
    until("tickets are found", async || finds(&stage).await == (true, false)).await;
    stage.close().await;
}

#[tokio::test]
async fn what_is_wrong_leaves_the_old_rules_in_use() {
    let folder = folder();
    let file = write(folder.path(), "rules.toml", RULES);
    let stage = Stage::new(Spoken::Http, taking(), &["--rules", &file]).await;
    let wrong = ["[[rules]]\nid = \"x\"\nregex = '''('''\n", "hunter", "[[rules]]\nid = \"team-ticket\"\n"];
    for (times, text) in (1..).zip(wrong) {
        std::fs::write(&file, text).expect("a file");
        stage.sidecar.counts(FAILED, times).await;
        at_rest().await;
        assert_eq!(finds(&stage).await, (true, false), "{text}");
    }
    stage.sidecar.says("rules.toml:3", 1).await;
    let before = stage.sidecar.count(FAILED).await;
    std::fs::remove_file(&file).expect("a file");
    stage.sidecar.counts(FAILED, before + 1).await;
    assert_eq!(finds(&stage).await, (true, false), "the file is gone");
    assert_eq!(stage.sidecar.admin("/readyz").await.status, 200);
    std::fs::write(&file, MORE_RULES).expect("a file");
    until("orders are found", async || finds(&stage).await == (false, true)).await;
    stage.close().await;
}

#[tokio::test]
async fn a_configuration_changes_with_its_files() {
    let folder = folder();
    let config = write(folder.path(), "scrub.yaml", "profile: secrets\n");
    let stage = Stage::new(Spoken::Http, taking(), &["--config", &config]).await;
    let is_found = async || !holds(&through(&stage, "mail to jane.doe@corp.example").await, b"jane.doe");
    assert!(!is_found().await);
    std::fs::write(&config, "profile: default\n").expect("a file");
    until("mail addresses are found", is_found).await;
    stage.close().await;
}

#[tokio::test]
async fn a_file_that_a_new_configuration_names_is_watched_too() {
    let folder = folder();
    let config = write(folder.path(), "scrub.yaml", "profile: default\n");
    let stage = Stage::new(Spoken::Http, taking(), &["--config", &config]).await;
    let rules = write(folder.path(), "team.toml", RULES);
    std::fs::write(&config, "profile: default\nrules: [team.toml]\n").expect("a file");
    until("tickets are found", async || finds(&stage).await == (true, false)).await;
    at_rest().await;
    std::fs::write(&rules, MORE_RULES).expect("a file");
    until("orders are found", async || finds(&stage).await == (false, true)).await;
    stage.close().await;
}

#[tokio::test]
async fn requests_go_on_while_rules_change() {
    let folder = folder();
    let file = write(folder.path(), "rules.toml", RULES);
    let stage = Stage::new(Spoken::Http, taking(), &["--rules", &file, "--threads", "2"]).await;
    let mut client = stage.connect(Wire::Grpc).await;
    let load = tokio::spawn(async move {
        for number in 0..300 {
            let words = format!("login {number} password={}", secret(number));
            let message = clean(Wire::Grpc, Signal::Logs, &words);
            let answer = client.send(&Ask::new(Wire::Grpc, Signal::Logs, Pack::None, &message)).await;
            assert!(answer.expect("an answer").is_taken(Wire::Grpc));
        }
    });
    for times in 1..=2 {
        std::fs::write(&file, [MORE_RULES, RULES][times % 2]).expect("a file");
        stage.sidecar.counts(RELOADED, times as u64).await;
    }
    load.await.expect("no panic");
    assert_eq!(stage.upstream.seen().len(), 300);
    stage.close().await;
}

#[tokio::test]
async fn our_own_log_is_scrubbed() {
    let folder = folder();
    let file = write(folder.path(), &format!("password={}.toml", secret(1)), RULES);
    let stage = Stage::new(Spoken::Http, taking(), &["--rules", &file]).await;
    std::fs::write(&file, "hunter").expect("a file");
    stage.sidecar.counts(FAILED, 1).await;
    stage.sidecar.says("password=[REDACTED:password]", 1).await;
    assert!(!stage.sidecar.log().contains(PLANTED));
    stage.close().await;
}
