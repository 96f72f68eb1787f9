//! Inputs and the output of a sidecar: what options and the configuration say of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Refusal;
use crate::config::inputs::{Address, Tail, Words};
use crate::config::output::LineFormat;
use crate::config::{self, Config};
use crate::pod::fifo::FifoSettings;
use crate::pod::output::{self, FileSettings, Format, OtlpSettings};
use crate::pod::syslog::{SyslogAddress, SyslogSettings};
use crate::pod::tail::{self, TailSettings};
use crate::pod::{Input, Settings};

/// Where records come from and go to, beside OTLP.
#[derive(Debug, clap::Args)]
pub(super) struct InputOptions {
    /// Read files that grow: a path with *, ? and **; may be given more than once. Needs --state
    #[arg(long, value_name = "GLOB", help_heading = "Inputs")]
    tail: Vec<String>,
    /// Read container logs of the node (CRI, or Docker's json-file); may be given more than once. Needs --state
    #[arg(long, value_name = "GLOB", help_heading = "Inputs")]
    cri: Vec<String>,
    /// Read a FIFO, and make it if it is not there; may be given more than once
    #[arg(long, value_name = "PATH", help_heading = "Inputs")]
    fifo: Vec<PathBuf>,
    /// Take syslog: udp:HOST:PORT, tcp:HOST:PORT, unix:/PATH or unix-stream:/PATH; may be given more than once [without
    /// an address: udp:localhost:514]
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "udp:localhost:514",
        help_heading = "Inputs")]
    syslog: Vec<SyslogAddress>,
    /// Where records of these inputs go: stdout (JSON), stdout-raw, file:PATH, or otlp (the upstream) [default: stdout]
    #[arg(long, value_name = "OUTPUT", value_parser = output, help_heading = "Inputs")]
    output: Option<output::Settings>,
    /// Where it is kept how far files were read; it must outlive this process
    #[arg(long, value_name = "DIR", help_heading = "Inputs")]
    state: Option<PathBuf>,
}

/// What a configuration says of ports and the upstream for OTLP.
#[derive(Debug, Default)]
pub(super) struct OtlpOfConfig {
    pub(super) grpc: Vec<String>,
    pub(super) http: Vec<String>,
    pub(super) url: Option<String>,
}

fn output(text: &str) -> Result<output::Settings, String> {
    match text {
        "stdout" => Ok(output::Settings::Stdout(Format::Json)),
        "stdout-raw" => Ok(output::Settings::Stdout(Format::Raw)),
        "otlp" => Ok(output::Settings::Otlp(OtlpSettings::default())),
        _ => match text.strip_prefix("file:") {
            Some(path) if !path.is_empty() => Ok(output::Settings::File(FileSettings::at(path.into()))),
            _ => Err("write stdout, stdout-raw, otlp or file:PATH".to_owned()),
        },
    }
}

/// The variables of this process' environment.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn resolved(address: &Address) -> Result<String, Refusal> {
    Ok(address.resolve(variable)?)
}

impl InputOptions {
    /// What there is of inputs, if any. Those of options come on top of those of the configuration; an output beats its.
    pub(super) fn settings(
        &self,
        config: &Config,
        drain: Duration,
        audit: Option<&Path>,
    ) -> Result<(Option<Settings>, OtlpOfConfig), Refusal> {
        let mut inputs = Vec::new();
        let mut otlp = OtlpOfConfig::default();
        for input in &config.inputs {
            inputs.extend(self.of_config(input, &mut otlp)?);
        }
        for (paths, format) in [(&self.tail, tail::Format::Lines), (&self.cri, tail::Format::Cri)] {
            if !paths.is_empty() {
                tail::check(paths, &[]).map_err(|why| Refusal(why.to_string()))?;
                let checkpoint = self.checkpoint(format)?;
                inputs.push(Input::Tail(TailSettings::new(paths.clone(), format, checkpoint)));
            }
        }
        inputs.extend(self.fifo.iter().map(|path| Input::Fifo(FifoSettings::at(path.clone()))));
        let syslog = self.syslog.iter().cloned();
        inputs.extend(syslog.map(|address| Input::Syslog(SyslogSettings { address })));
        one_checkpoint_each(&inputs)?;
        one_reader_each(&inputs)?;
        let of_config = config.output.as_ref().map(|told| output_of_config(told, &mut otlp)).transpose()?;
        let output = self.output.clone().or(of_config);
        if inputs.is_empty() {
            return match output {
                Some(_) => Err(Refusal(
                    "an output is named, but no input whose records could go there; add --tail, --cri, --fifo or \
                     --syslog"
                        .to_owned(),
                )),
                None => Ok((None, otlp)),
            };
        }
        let output = output.unwrap_or(output::Settings::Stdout(Format::Json));
        not_its_own(&mut inputs, &output, audit)?;
        Ok((Some(Settings { inputs, output, drain, audit: None }), otlp))
    }

    fn of_config(&self, input: &config::Input, otlp: &mut OtlpOfConfig) -> Result<Option<Input>, Refusal> {
        Ok(match input {
            config::Input::Tail(told) => Some(self.tail_of_config(told, tail::Format::Lines)?),
            config::Input::Cri(told) => Some(self.tail_of_config(told, tail::Format::Cri)?),
            config::Input::Fifo { path, mode } => {
                let usual = FifoSettings::at(path.into());
                Some(Input::Fifo(FifoSettings { mode: mode.unwrap_or(usual.mode), ..usual }))
            }
            config::Input::Syslog { address } => {
                let address = match address {
                    Some(told) => resolved(told)?.parse().map_err(|why| told.fault(why))?,
                    None => SyslogAddress::default(),
                };
                Some(Input::Syslog(SyslogSettings { address }))
            }
            config::Input::Otlp { grpc, http } => {
                for (told, all) in [(grpc, &mut otlp.grpc), (http, &mut otlp.http)] {
                    if let Some(told) = told {
                        let address: crate::relay::Address =
                            resolved(told)?.parse().map_err(|why| told.fault(why))?;
                        all.push(address.to_string());
                    }
                }
                None
            }
        })
    }

    fn tail_of_config(&self, told: &Tail, format: tail::Format) -> Result<Input, Refusal> {
        let checkpoint = match &told.checkpoint {
            Some(path) => path.into(),
            None => self.checkpoint(format)?,
        };
        for path in &told.paths {
            tail::check(std::slice::from_ref(&path.text), &[]).map_err(|why| path.fault(why))?;
        }
        for name in &told.exclude {
            tail::check(&[], std::slice::from_ref(&name.text)).map_err(|why| name.fault(why))?;
        }
        let texts = |all: &[Words]| all.iter().map(|words| words.text.clone()).collect::<Vec<_>>();
        let mut settings = TailSettings::new(texts(&told.paths), format, checkpoint);
        settings.exclude.extend(texts(&told.exclude));
        settings.follow_links = told.follow_links.iter().map(PathBuf::from).collect();
        settings.from_start = told.from_start.unwrap_or(settings.from_start);
        settings.remove_rotated = told.remove_rotated.unwrap_or(settings.remove_rotated);
        Ok(Input::Tail(settings))
    }

    fn checkpoint(&self, format: tail::Format) -> Result<PathBuf, Refusal> {
        let name = if format == tail::Format::Cri { "cri.checkpoint" } else { "tail.checkpoint" };
        self.state.as_deref().map(|folder: &Path| folder.join(name)).ok_or_else(|| {
            Refusal(
                "files are read, but it is not said where to keep how far; add --state DIR, a folder that outlives \
                 this process"
                    .to_owned(),
            )
        })
    }
}

fn one_checkpoint_each(inputs: &[Input]) -> Result<(), Refusal> {
    let mut seen: Vec<&Path> = Vec::new();
    for input in inputs {
        if let Input::Tail(told) = input {
            if seen.contains(&&*told.checkpoint) {
                return Err(Refusal(format!(
                    "two inputs keep how far they have read in {}; give each of them a checkpoint of its own in the \
                     configuration",
                    told.checkpoint.display()
                )));
            }
            seen.push(&told.checkpoint);
        }
    }
    Ok(())
}

/// What two inputs read comes out twice. Patterns that only overlap are not told.
fn one_reader_each(inputs: &[Input]) -> Result<(), Refusal> {
    let mut seen: Vec<&TailSettings> = Vec::new();
    for input in inputs {
        let Input::Tail(told) = input else { continue };
        let same = seen.iter().filter(|other| other.exclude == told.exclude).flat_map(|other| &other.paths);
        if let Some(path) = same.into_iter().find(|path| told.paths.contains(path)) {
            return Err(Refusal(format!(
                "two inputs read {path}, so each of its lines would come out twice; leave it in one of them"
            )));
        }
        seen.push(told);
    }
    Ok(())
}

/// No tail reads what this process writes: it would be read, written and read again.
fn not_its_own(inputs: &mut [Input], output: &output::Settings, audit: Option<&Path>) -> Result<(), Refusal> {
    let mut own = output.files();
    own.extend(audit.map(Path::to_owned));
    let tails = inputs.iter().filter_map(|input| match input {
        Input::Tail(told) => Some(&told.checkpoint),
        Input::Fifo(_) | Input::Syslog(_) => None,
    });
    own.extend(tails.flat_map(|path| tail::files_of_checkpoint(path)));
    let fifos: Vec<String> = inputs
        .iter()
        .filter_map(|input| match input {
            Input::Fifo(told) => Some(glob::Pattern::escape(&told.path.to_string_lossy())),
            Input::Tail(_) | Input::Syslog(_) => None,
        })
        .collect();
    for input in inputs {
        let Input::Tail(told) = input else { continue };
        // Another input reads them; no tail could.
        told.exclude.extend(fifos.iter().cloned());
        // One that is rotated is found by its name as well.
        for path in &own {
            let rotated = PathBuf::from(format!("{}.1", path.display()));
            if told.names(path).or(told.names(&rotated)).is_some() {
                return Err(Refusal(format!(
                    "{} is written by this process and would be read by one of its tails, again and again; write it \
                     elsewhere, or name it in `exclude` of the configuration",
                    path.display()
                )));
            }
        }
        told.own.clone_from(&own);
    }
    Ok(())
}

fn output_of_config(told: &config::Output, otlp: &mut OtlpOfConfig) -> Result<output::Settings, Refusal> {
    let format = |told: Option<LineFormat>| match told {
        Some(LineFormat::Raw) => Format::Raw,
        Some(LineFormat::Json) | None => Format::Json,
    };
    Ok(match told {
        config::Output::Stdout { format: told } => output::Settings::Stdout(format(*told)),
        config::Output::File { path, max_size, keep, format: told, sync } => {
            let usual = FileSettings::at(path.into());
            output::Settings::File(FileSettings {
                max_size: max_size.or(usual.max_size),
                keep: keep.unwrap_or(usual.keep),
                format: format(*told),
                sync: sync.unwrap_or(usual.sync),
                ..usual
            })
        }
        config::Output::Otlp { url, dead_letter, give_up_after } => {
            if let Some(told) = url {
                let url = resolved(told)?;
                url.parse::<crate::relay::Url>().map_err(|why| told.fault(why))?;
                otlp.url = Some(url);
            }
            let usual = OtlpSettings::default();
            output::Settings::Otlp(OtlpSettings {
                dead_letter: dead_letter.as_ref().map(PathBuf::from),
                patience: give_up_after.unwrap_or(usual.patience),
            })
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: InputOptions,
    }

    fn told(line: &str, config: &str) -> Result<String, String> {
        let words = line.split_whitespace();
        let cli = Cli::try_parse_from(["x"].into_iter().chain(words)).map_err(|error| error.to_string())?;
        let config = Config::read("c.yaml", config).map_err(|faults| faults.to_string())?;
        let told = cli
            .args
            .settings(&config, Duration::from_secs(1), Some("/a/audit".as_ref()))
            .map_err(|Refusal(why)| why)?;
        Ok(format!("{told:?}"))
    }

    #[test]
    fn options_come_on_top_of_the_configuration() {
        let config = "inputs:\n- fifo: {path: /a, mode: \"0600\"}\n- syslog:\n- otlp: {grpc: \"${NO_SUCH_NAME:-[::1]:7}\"}\n\
                      - tail: {paths: [/l/*.log], from_start: false, checkpoint: /s/own}\n\
                      output: {file: {path: /o, max_size: 1MiB, keep: 2, sync: true}}\n";
        let told = told("--fifo /b --syslog tcp:[::1]:601 --tail /x --state /s", config).expect("enough");
        for part in [
            "path: \"/a\", mode: 384",
            "path: \"/b\", mode: 402",
            "Udp(\"localhost:514\")",
            "Tcp(\"[::1]:601\")",
            "grpc: [\"[::1]:7\"]",
            "from_start: false",
            "checkpoint: \"/s/own\"",
            "checkpoint: \"/s/tail.checkpoint\"",
            "max_size: Some(1048576), keep: 2, format: Json, sync: true",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        assert!(self::told("", "").expect("nothing").starts_with("(None"));
        let beaten = self::told("--fifo /b --output stdout-raw", "output: otlp\n").expect("enough");
        assert!(beaten.contains("output: Stdout(Raw)"), "{beaten}");
    }

    #[test]
    fn mistakes_are_named() {
        let check = |line: &str, config: &str, want: &str| {
            let why = told(line, config).expect_err(want);
            assert!(why.contains(want), "{line} {config}: {why}");
        };
        check("--tail /x", "", "--state");
        check("--output otlp", "", "no input");
        check("--fifo /a --output nowhere", "", "write stdout, stdout-raw, otlp or file:PATH");
        check("--syslog 514", "", "write udp:HOST:PORT");
        check("--tail /x/[ --state /s", "", "path /x/[: ");
        check(
            "--state /s",
            "inputs:\n- tail:\n    paths: [/a, /b/]\n",
            "c.yaml:3: inputs.tail.paths: path /b/: names",
        );
        check(
            "--state /s",
            "inputs:\n- tail:\n    paths: [/a]\n    exclude: ['[']\n",
            "c.yaml:4: inputs.tail.exclude: ",
        );
        for (tail, output) in [
            ("/l/*.log", "file:/l/clean.log"),
            ("/l/clean.log*", "file:/l/clean.log"),
            ("/l/**/*", "file:/l/deep/clean.log"),
            ("/l/./[ac]*.log", "file:/l/../l/clean.log"),
            ("/a/*", "stdout"),
            ("/s/tail*", "stdout"),
            ("/s/*.lock", "stdout"),
        ] {
            check(&format!("--tail {tail} --state /s --output {output}"), "", "is written by this process");
        }
        let excluded = "inputs:\n- tail: {paths: [/l/*], exclude: ['clean.log*']}\noutput: {file: {path: /l/clean.log}}\n";
        told("--state /s", excluded).expect("it is excluded");
        told("--tail /l/app*.log --state /s --output file:/l/clean.log", "").expect("it is another");
        let two = "inputs:\n- tail: {paths: [/a]}\n- tail: {paths: [/b]}\n";
        check("--state /s", two, "checkpoint of its own");
        check(
            "",
            "inputs: [{syslog: {address: '${NO_SUCH_NAME}'}}]",
            "c.yaml:1: inputs.syslog.address: the variable NO_SUCH_NAME",
        );
        check(
            "",
            "inputs: [{syslog: {address: 'udp:514'}}]",
            "c.yaml:1: inputs.syslog.address: write udp:HOST:PORT",
        );
        check("", "inputs: [{otlp: {grpc: '4317'}}]", "c.yaml:1: inputs.otlp.grpc: write HOST:PORT");
        check("--fifo /a", "output: {otlp: {url: 'gateway'}}", "c.yaml:1: output.otlp.url: write http://");
    }
}
