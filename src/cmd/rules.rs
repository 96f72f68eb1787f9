//! `rules`: list them, show one, try the examples of a file.

use std::io::{self, Write};
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::explain::Shown;
use super::rule_costs;
use super::setup::{RuleOptions, read_rule_files};
use super::{Exit, Refusal, print};
use crate::finding::Link;
use crate::rules::allow::{Allowlist, Target};
use crate::rules::{Action, Detect, Profile, Rule, RuleFile, nearest};
use crate::trial::{self, Failure, Trial, Wrong};

const EXAMPLES: &str = "\
Examples:
  kasm-scrub rules list --profile secrets
  kasm-scrub rules list --rules gitleaks.toml --no-builtin --format json
  kasm-scrub rules list --rules my-rules.toml --cost app.log
  kasm-scrub rules show github-pat
  kasm-scrub rules test my-rules.toml";

/// List rules, show one, or try a file's examples
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the rules of a profile
    List {
        #[command(flatten)]
        rules: RuleOptions,
        /// How to show them: for people, or as one JSON array
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        format: Shown,
        /// Scan this log (- for stdin) and list what each rule cost, the dearest first [its profile: default]
        #[arg(long, value_name = "FILE")]
        cost: Option<PathBuf>,
    },
    /// Show all there is to know about a rule
    Show {
        /// The rule's id
        id: String,
        #[command(flatten)]
        rules: RuleOptions,
    },
    /// Try the examples of rule files: each with its rule alone, with all rules of its profile, without the
    /// prefilter and byte by byte. Exits with 1 if one fails.
    Test {
        /// Rule files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Leave the built-in rules out
        #[arg(long)]
        no_builtin: bool,
    },
}

pub(super) fn run(args: Args) -> Result<Exit, Refusal> {
    match args.command {
        Command::List { rules, format, cost: Some(log) } => rule_costs::list(&rules, &log, format),
        Command::List { rules, format, cost: None } => list(&rules, format),
        Command::Show { id, rules } => show(&rules, &id),
        Command::Test { files, no_builtin } => test(&files, !no_builtin),
    }
}

fn list(options: &RuleOptions, shown: Shown) -> Result<Exit, Refusal> {
    let rules = options.load()?.into_profile(options.profile.unwrap_or(Profile::Strict), |_| true);
    print(|out| {
        if shown == Shown::Json {
            let rules: Vec<Value> = rules.rules().iter().map(as_json).collect();
            serde_json::to_writer_pretty(&mut *out, &rules)?;
            return writeln!(out);
        }
        let tags = |rule: &Rule| rule.tags.join(",");
        let width = |of: &dyn Fn(&Rule) -> usize| rules.rules().iter().map(of).max().unwrap_or(0);
        let (ids, tagged) = (width(&|rule| rule.id.len()), width(&|rule| tags(rule).len()));
        let bold = Style::new().bold();
        for rule in rules.rules() {
            let Rule { id, profile, description, .. } = rule;
            let tags = tags(rule);
            writeln!(out, "{bold}{id:ids$}{bold:#}  {:7}  {tags:tagged$}  {description}", profile.name())?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

fn as_json(rule: &Rule) -> Value {
    json!({
        "id": &*rule.id,
        "description": &*rule.description,
        "why": &*rule.why,
        "reference": &*rule.reference,
        "profile": rule.profile.name(),
        "precedence": rule.precedence.name(),
        "tags": rule.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(),
        "file": &*rule.origin.file,
        "line": rule.origin.line,
    })
}

fn show(options: &RuleOptions, id: &str) -> Result<Exit, Refusal> {
    let rules = options.load()?;
    if rules.by_id(id).next().is_none() {
        let ids: Vec<&str> = rules.rules().iter().map(|rule| &*rule.id).collect();
        let hint = match nearest(id, &ids) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`kasm-scrub rules list` shows all".to_owned(),
        };
        return Err(Refusal(format!("no rule has the id `{id}`; {hint}")));
    }
    print(|out| rules.by_id(id).try_for_each(|rule| write_rule(rule, out)))?;
    Ok(Exit::Done)
}

fn write_rule(rule: &Rule, out: &mut dyn Write) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(out, "{bold}{}{bold:#}  {}:{}", rule.id, rule.origin.file, rule.origin.line)?;
    let mut field = |name: &str, value: &str| match value {
        "" => Ok(()),
        value => writeln!(out, "  {name:<12} {value}"),
    };
    field("description", &rule.description)?;
    field("why", &rule.why)?;
    field("reference", &rule.reference)?;
    field("tags", &rule.tags.join(", "))?;
    field("profile", rule.profile.name())?;
    field("precedence", rule.precedence.name())?;
    field("action", &action_text(rule.action.unwrap_or_default()))?;
    match &rule.detect {
        Detect::Regex { pattern, anchors, .. } => {
            field("regex", pattern.source())?;
            field("secret group", &pattern.group().to_string())?;
            field("anchors", &format!("{}", anchors.len()))?;
        }
        Detect::Lines { pattern, block } => {
            field("first line", pattern.source())?;
            field("multiline", block.name())?;
        }
        // Only rules of files are shown.
        Detect::Learned => {}
        Detect::Keys(keyed) => {
            let name = |k: &crate::rules::KeyName| {
                format!("{}{}", if k.whole { "=" } else { "" }, k.words.join("_"))
            };
            field("keys", &keyed.names.iter().map(name).collect::<Vec<_>>().join(", "))?;
            let links = Link::ALL.into_iter().filter(|&link| keyed.carriers.has(link)).map(Link::name);
            field("carriers", &links.collect::<Vec<_>>().join(", "))?;
            field("values", keyed.values.name())?;
            field("regex", keyed.pattern.as_ref().map_or("", |pattern| pattern.source()))?;
        }
    }
    let words =
        |words: &[Box<[u8]>]| words.iter().map(|w| String::from_utf8_lossy(w)).collect::<Vec<_>>().join(", ");
    field("keywords", &words(&rule.keywords))?;
    field("entropy", &rule.entropy.map(|bits| bits.to_string()).unwrap_or_default())?;
    field("validate", &rule.validate.iter().map(|v| v.name).collect::<Vec<_>>().join(", "))?;
    for list in rule.allow.iter().chain(rule.file_allow.iter()) {
        field("allows", &allow_text(list))?;
    }
    for example in rule.examples.iter() {
        field("example", &example.replace('\n', "\n               "))?;
    }
    Ok(())
}

fn action_text(action: Action) -> String {
    match action {
        Action::Replace => "replace".to_owned(),
        Action::Mask { keep } => format!("mask, keeps {keep}"),
        Action::Hash => "hash".to_owned(),
        Action::Remove => "remove".to_owned(),
    }
}

fn allow_text(list: &Allowlist) -> String {
    let target = match list.target {
        Target::Secret => "secret",
        Target::Match => "match",
        Target::Line => "line",
    };
    let mut parts: Vec<String> =
        list.regexes.iter().map(|regex| format!("{target} with {}", regex.source())).collect();
    parts.extend(list.stopwords.iter().map(|word| format!("secret with {}", String::from_utf8_lossy(word))));
    parts.join(if list.all { " and " } else { " or " })
}

fn test(files: &[PathBuf], builtin: bool) -> Result<Exit, Refusal> {
    let texts = read_rule_files(files)?;
    let files: Vec<RuleFile<'_>> = texts.iter().map(|(name, text)| RuleFile { name, text }).collect();
    let trial = trial::run(builtin, &files)?;
    print(|out| write_trial(&trial, out))?;
    Ok(if trial.failures.is_empty() { Exit::Done } else { Exit::Found })
}

fn write_trial(trial: &Trial, out: &mut dyn Write) -> io::Result<()> {
    let red = AnsiColor::Red.on_default().bold();
    for Failure { place, example, wrong } in &trial.failures {
        write!(out, "{place}: {red}example {example} failed{red:#}")?;
        match wrong {
            Wrong::Unreadable(why) => writeln!(out, ": {why}")?,
            Wrong::Differs { way, text, want, got } => {
                writeln!(out, " {way}\n    text {text}\n    want {want}\n    got  {got}")?;
            }
        }
    }
    for place in &trial.bare {
        writeln!(out, "{place}: has no examples")?;
    }
    let Trial { rules, examples, bare, failures } = trial;
    writeln!(
        out,
        "{rules} rules, {examples} examples, {} failures, {} rules without examples",
        failures.len(),
        bare.len()
    )
}
