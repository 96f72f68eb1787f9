//! The built-in rules: what each must say of itself, and what each must do.

use kasm_scrub::rules::example::Example;
use kasm_scrub::rules::{Detect, Profile, Ruleset, derived};

fn builtin() -> Ruleset {
    Ruleset::load(true, &[]).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn every_rule_tells_what_it_is_and_has_examples() {
    for rule in builtin().rules() {
        let at = format!("{}:{} {}", rule.origin.file, rule.origin.line, rule.id);
        for (name, text) in
            [("description", &rule.description), ("why", &rule.why), ("reference", &rule.reference)]
        {
            assert!(!text.is_empty(), "{at}: has no {name}");
        }
        assert!(rule.reference.starts_with("https://"), "{at}: the reference is no address");
        let examples: Vec<Example> = rule.examples.iter().map(|e| Example::parse(e).unwrap()).collect();
        let near_misses = examples.iter().filter(|e| e.is_near_miss()).count();
        assert!(examples.len() - near_misses >= 2, "{at}: needs two examples that change");
        assert!(near_misses >= 1, "{at}: needs a near miss");
    }
}

#[test]
fn every_example_comes_out_as_it_should() {
    let trial = kasm_scrub::trial::run_builtin().unwrap();
    let failures: Vec<String> = trial.failures.iter().map(|failure| format!("{failure:?}")).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn there_are_rules_for_every_profile() {
    let rules = builtin();
    assert!(rules.rules().len() >= 220, "only {} rules", rules.rules().len());
    for profile in Profile::ALL {
        assert!(rules.rules().iter().any(|rule| rule.profile == profile), "{profile} adds nothing");
    }
}

#[test]
fn regexes_compile_and_have_anchors() {
    for rule in builtin().rules() {
        let at = format!("{}:{} {}", rule.origin.file, rule.origin.line, rule.id);
        match &rule.detect {
            Detect::Regex { pattern, anchors, .. } => {
                assert!(pattern.is_compilable(), "{at}: does not compile");
                // A rule without anchors runs on every line; only strict rules may.
                assert!(!anchors.is_empty() || rule.profile == Profile::Strict, "{at}: has no anchors");
            }
            Detect::Keys(keyed) => {
                assert!(keyed.pattern.as_ref().is_none_or(|p| p.is_compilable()), "{at}: does not compile");
            }
            Detect::Lines { pattern, .. } => assert!(pattern.is_compilable(), "{at}: does not compile"),
            Detect::Learned => panic!("{at}: values are learned, not built in"),
        }
    }
}

/// `UPDATE=1` writes the file anew.
#[test]
fn what_is_known_of_regexes_is_what_they_are() {
    let rules = builtin();
    let sources = rules.rules().iter().flat_map(|rule| {
        let own = match &rule.detect {
            Detect::Regex { pattern, .. } | Detect::Lines { pattern, .. } => Some(pattern),
            Detect::Keys(keyed) => keyed.pattern.as_ref(),
            Detect::Learned => None,
        };
        let lists = rule.allow.iter().chain(rule.file_allow.iter());
        own.into_iter().chain(lists.flat_map(|list| &list.regexes)).map(|pattern| pattern.source())
    });
    let text = derived::text(sources);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write("patterns/derived.txt", &text).expect("patterns/derived.txt");
        return;
    }
    let is_current = text == derived::FILE;
    assert!(
        is_current,
        "patterns/derived.txt is stale: UPDATE=1 cargo test --locked what_is_known_of_regexes"
    );
}
