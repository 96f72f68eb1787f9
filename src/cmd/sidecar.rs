//! `sidecar`: stands between what sends telemetry and where it goes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::auditing::AuditOptions;
use super::inputs::{InputOptions, OtlpOfConfig};
use super::logs::{self, Scrubbed};
use super::otel::Variables;
use super::setup::{SanitizerOptions, duration};
use super::source::Source;
use super::{Exit, Refusal};
use crate::Sanitizer;
use crate::audit::{Told, WhenFull};
use crate::otlp::{Policy, Signal, Unknown};
use crate::pod::{self, Inputs, output};
use crate::relay::{
    self, Address, ClientTls, Companion, Compression, End, Limits, PerSignal, Place, Reloaded, Rules,
    SOCKET_MODE, Scrubbing, ServerTls, Settings, Upstream, UpstreamCompression, UpstreamProtocol, Url,
};

const EXAMPLES: &str = "\
Examples:
  kasm-scrub sidecar --upstream http://otel-collector:4317
  kasm-scrub sidecar --otlp-grpc unix:/run/otlp.sock --upstream https://gateway --upstream-ca ca.pem
  kasm-scrub sidecar --upstream http://collector:4318 --upstream-protocol http/protobuf
  kasm-scrub sidecar --upstream http://collector:4317 --profile strict --canary 60s
  OTEL_EXPORTER_OTLP_HEADERS=x-tenant=kasm kasm-scrub sidecar --upstream https://tempo:4317
  kasm-scrub sidecar --fifo /run/logs/app --syslog udp:127.0.0.1:5514
  kasm-scrub sidecar --tail '/var/log/kasm/*.log' --state /var/lib/kasm-scrub --output otlp \
    --upstream http://otel-collector:4317

A request is answered with what the upstream has answered: nothing is queued, and nothing is
lost that a client was told is taken. Clean requests go on as they came, byte by byte. What
cannot be scrubbed is refused, never forwarded.

With --tail, --cri, --fifo or --syslog, ports for OTLP are open only where they are asked for, and
an upstream is needed only for them and for --output otlp. An input waits while its output cannot
take more; nothing is dropped but datagrams of UDP, which the system counts. Sections inputs and
output of --config say the same, and more; they are read when the sidecar starts.

What no option says of the upstream, the variables OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL,
_HEADERS, _TIMEOUT, _COMPRESSION, _INSECURE, _CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY
say, or those of one signal (OTEL_EXPORTER_OTLP_TRACES_…).

SIGHUP, or a change of one of the files named, reads rules, learned values, certificates and tokens
again, each by itself; what is wrong leaves the old ones in use. While learned values cannot be
read, it is not ready. SIGTERM drains.";

/// Scrub OTLP, log files, FIFOs and syslog on their way: to an upstream, a file or stdout
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    sanitizer: SanitizerOptions,
    #[command(flatten)]
    inputs: InputOptions,
    /// Take OTLP/gRPC here: HOST:PORT or unix:/PATH; may be given more than once [default, if neither --otlp-http nor an
    /// input is given: 127.0.0.1:4317]
    #[arg(long, value_name = "ADDR", help_heading = "Clients")]
    otlp_grpc: Vec<Address>,
    /// Take OTLP/HTTP (protobuf and JSON) here; may be given more than once [default, if neither --otlp-grpc nor an
    /// input is given: 127.0.0.1:4318]
    #[arg(long, value_name = "ADDR", help_heading = "Clients")]
    otlp_http: Vec<Address>,
    /// Who may connect to the Unix sockets of OTLP and of --admin: the mode of a file in octal [default: 0666, whoever
    /// reaches the folder]
    #[arg(long, value_name = "MODE", value_parser = mode, help_heading = "Clients")]
    socket_mode: Option<u32>,
    /// The certificate chain of the ports above (PEM); with it they speak TLS only
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "Clients")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "Clients")]
    tls_key: Option<PathBuf>,
    /// Who signs certificates of clients (PEM); with it a client needs one
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "Clients")]
    tls_client_ca: Option<PathBuf>,
    /// A file with bearer tokens, one a line; with it a client needs one of them, and it is not passed on
    #[arg(long, value_name = "FILE", help_heading = "Clients")]
    bearer_tokens: Option<PathBuf>,
    /// Where requests go: http://HOST:PORT, https://HOST:PORT or unix:/PATH [env: OTEL_EXPORTER_OTLP_ENDPOINT]
    #[arg(long, value_name = "URL", help_heading = "Upstream")]
    upstream: Option<String>,
    /// What is spoken there: grpc or http/protobuf [default: grpc, or what OTEL_EXPORTER_OTLP_PROTOCOL says]
    #[arg(long, value_name = "PROTOCOL", value_parser = ["grpc", "http/protobuf"], help_heading = "Upstream")]
    upstream_protocol: Option<String>,
    /// How requests are compressed there: as-came, none, gzip or zstd [default: as-came]
    #[arg(long, value_name = "HOW", value_parser = ["as-came", "none", "gzip", "zstd"], help_heading = "Upstream")]
    upstream_compression: Option<String>,
    /// Who signs the upstream's certificate (PEM) [default: who the system trusts]
    #[arg(long, value_name = "FILE", help_heading = "Upstream")]
    upstream_ca: Option<PathBuf>,
    /// Our certificate there (PEM)
    #[arg(long, value_name = "FILE", requires = "upstream_key", help_heading = "Upstream")]
    upstream_cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "upstream_cert", help_heading = "Upstream")]
    upstream_key: Option<PathBuf>,
    /// How long an answer may take: 10s, 500ms, 2m [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Upstream")]
    timeout: Option<Duration>,
    /// Where /livez, /readyz and /metrics are, without TLS; "none" for nowhere
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9464", help_heading = "Operation")]
    admin: String,
    /// Send a made-up secret the way of all requests this often, and be not ready if it comes out: 60s
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Operation")]
    canary: Option<Duration>,
    /// Remove fields that the protocol, as it is known here, does not have (they are scanned otherwise)
    #[arg(long, help_heading = "Operation")]
    strict_fields: bool,
    /// The most MiB of a request, decompressed
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=64),
        help_heading = "Operation")]
    max_request: u16,
    /// The most MiB that all requests under way may hold; beyond it clients are told to try again
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1 << 20),
        help_heading = "Operation")]
    max_memory: u32,
    /// The most requests under way; beyond it clients are told to try again
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1 << 20),
        help_heading = "Operation")]
    max_requests: u32,
    /// The most connections of clients; beyond it they are closed
    #[arg(long, value_name = "N", default_value_t = 16384, value_parser = clap::value_parser!(u32).range(1..=1 << 20),
        help_heading = "Operation")]
    max_connections: u32,
    /// How long a TLS handshake, the first bytes of a connection, a head of HTTP/1.1 or a piece of a body may take
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s", help_heading = "Operation")]
    head_timeout: Duration,
    /// How long a whole request may take to arrive
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s", help_heading = "Operation")]
    read_timeout: Duration,
    /// How much of a processor's time the scrubbing of one request may take; beyond it the request is refused for good
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s", help_heading = "Operation")]
    scrub_timeout: Duration,
    /// How long a connection of HTTP/1.1 may stay without a request
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "180s", help_heading = "Operation")]
    idle_timeout: Duration,
    /// How often a silent client is asked whether it is still there. One of HTTP/2 that does not answer for as long again is
    /// cut off, and so is one that takes longer for a head or another frame
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "20s", help_heading = "Operation")]
    keep_alive: Duration,
    /// How long requests under way may take after SIGTERM
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "25s", help_heading = "Operation")]
    drain: Duration,
    /// Move and scrub requests with so many threads
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64),
        help_heading = "Operation")]
    threads: u16,
    /// How our own log is written, on stderr
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"], help_heading = "Operation")]
    log_format: String,
    /// What our own log tells
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = ["error", "warn", "info", "debug"],
        help_heading = "Operation")]
    log_level: String,
    #[command(flatten)]
    audit: AuditOptions,
}

pub(super) fn run(args: Args) -> Result<Exit, Refusal> {
    let (mut settings, mut inputs) = settings(&args, &Variables::of_process())?;
    let scrubbed = Scrubbed::default();
    logs::start(&args.log_format, &args.log_level, scrubbed.clone());
    let trail = args.audit.open(Box::new(tell))?;
    settings.audit.clone_from(&trail);
    if let Some(inputs) = &mut inputs {
        inputs.audit.clone_from(&trail);
    }
    let inputs = inputs.map(|told| Arc::new(Inputs::new(told)) as Arc<dyn Companion>);
    let end = relay::run(settings, Files { source: Source::new(args.sanitizer, None), scrubbed }, inputs)?;
    if let Some(trail) = trail
        && trail.close().is_err()
        && args.audit.when_full() == WhenFull::Stop
    {
        return Err(Refusal(trail.fault().unwrap_or_default()));
    }
    match end {
        End::Drained => Ok(Exit::Done),
        End::Interrupted => {
            Err(Refusal("ended by a second signal, before all requests were answered".to_owned()))
        }
        End::CutOff => Err(Refusal(
            "requests were still under way at the deadline and were cut off; give --drain more time"
                .to_owned(),
        )),
        End::Undelivered => Err(Refusal(
            "records were still undelivered at the end; the log says what could not be read or what the output did \
             not take; if it was only slow, give --drain more time"
                .to_owned(),
        )),
        End::Failed => {
            Err(Refusal("an input or the output has failed; the log says why".to_owned()))
        }
    }
}

/// Says in our log what becomes of the audit trail.
fn tell(told: Told<'_>) {
    match told {
        Told::Failed(_) | Told::Lost(..) => tracing::error!("{told}"),
        Told::Recovered | Told::Opened(_) | Told::Closed(_) => tracing::info!("{told}"),
    }
}

/// Rules from files; our own log is scrubbed by the same ones.
#[derive(Debug)]
struct Files {
    source: Source,
    scrubbed: Scrubbed,
}

impl Rules for Files {
    fn load(&self) -> Result<Arc<Sanitizer>, String> {
        let sanitizer = self.source.load().map_err(|Refusal(why)| why)?.sanitizer;
        self.scrubbed.by(sanitizer.clone());
        Ok(sanitizer)
    }

    fn reload(&self) -> Reloaded {
        let reloaded = self.source.reload();
        if let Some(sanitizer) = &reloaded.sanitizer {
            self.scrubbed.by(sanitizer.clone());
        }
        reloaded
    }

    fn learn_more(&self) -> Option<Arc<Sanitizer>> {
        if self.source.learned_files().is_empty() {
            return None;
        }
        let sanitizer = self.source.learn_more()?;
        self.scrubbed.by(sanitizer.clone());
        Some(sanitizer)
    }

    fn files(&self) -> Vec<PathBuf> {
        self.source.files()
    }

    fn due(&self) -> Option<Duration> {
        self.source.due()
    }
}

fn settings(args: &Args, variables: &Variables) -> Result<(Settings, Option<pod::Settings>), Refusal> {
    let (inputs, told) =
        args.inputs.settings(&args.sanitizer.configuration()?, args.drain, args.audit.path())?;
    let (mut grpc, mut http) = (args.otlp_grpc.clone(), args.otlp_http.clone());
    for (told, all) in [(&told.grpc, &mut grpc), (&told.http, &mut http)] {
        for address in told {
            all.push(address.parse()?);
        }
    }
    if inputs.is_none() && grpc.is_empty() && http.is_empty() {
        grpc.push(Address::Tcp("127.0.0.1:4317".to_owned()));
        http.push(Address::Tcp("127.0.0.1:4318".to_owned()));
    }
    let admin = match args.admin.as_str() {
        "none" => None,
        text => Some(text.parse().map_err(|bad| Refusal(format!("--admin {text}: {bad}, or none")))?),
    };
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => {
            Some(ServerTls { cert: cert.clone(), key: key.clone(), client_ca: args.tls_client_ca.clone() })
        }
        _ => None,
    };
    // JSON for gRPC is held most often: compressed, plain, as protobuf, and compressed again.
    let least = 4 * u32::from(args.max_request);
    if args.max_memory < least {
        return Err(Refusal(format!(
            "--max-memory {} has no room for a request, what it is compressed from and what it becomes; \
             make it {least} or more, or --max-request less",
            args.max_memory
        )));
    }
    let limits = Limits {
        in_flight: args.max_requests as usize,
        memory: (args.max_memory as usize) << 20,
        connections: args.max_connections as usize,
        head: args.head_timeout,
        read: args.read_timeout,
        scrub: args.scrub_timeout,
        idle: args.idle_timeout,
        keep_alive: args.keep_alive,
        ..Limits::default()
    };
    let has_ports = !(grpc.is_empty() && http.is_empty());
    if args.canary.is_some() && !has_ports {
        return Err(Refusal(
            "--canary needs a port for OTLP to fly to; add --otlp-grpc or leave it out".to_owned(),
        ));
    }
    let sends = inputs.as_ref().is_some_and(|told| matches!(told.output, output::Settings::Otlp(_)));
    let upstreams = match (has_ports, sends) {
        (true, _) => Some(PerSignal::try_new(|signal| upstream(args, &told, &variables.of(signal), signal))?),
        // Only logs go there.
        (false, true) => {
            let logs = upstream(args, &told, &variables.of(Signal::Logs), Signal::Logs)?;
            Some(PerSignal::try_new(|_| Ok::<_, Refusal>(logs.clone()))?)
        }
        (false, false) => None,
    };
    let unknown = if args.strict_fields { Unknown::Remove } else { Unknown::Scan };
    let settings = Settings {
        grpc,
        http,
        admin,
        socket_mode: args.socket_mode.unwrap_or(SOCKET_MODE),
        tls,
        tokens: args.bearer_tokens.clone(),
        upstreams,
        limits,
        policy: Policy { unknown, most_bytes: usize::from(args.max_request) << 20 },
        canary: args.canary,
        drain: args.drain,
        threads: usize::from(args.threads),
        audit: None,
        scrubbing: Scrubbing::On,
    };
    Ok((settings, inputs))
}

/// The mode of a socket.
fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "write a mode in octal: 0660".to_owned())
}

/// The upstream of a signal: what options say, else the configuration, else variables.
fn upstream(
    args: &Args,
    told: &OtlpOfConfig,
    variables: &super::otel::OfSignal<'_>,
    signal: Signal,
) -> Result<Upstream, Refusal> {
    let protocol = match args.upstream_protocol.as_deref() {
        Some("http/protobuf") => UpstreamProtocol::Http,
        Some(_) => UpstreamProtocol::Grpc,
        None => variables.protocol()?.unwrap_or_default(),
    };
    let mut upstream = match args.upstream.as_ref().or(told.url.as_ref()) {
        Some(text) => {
            let url: Url = text.parse().map_err(|bad| Refusal(format!("--upstream: {bad}")))?;
            if protocol == UpstreamProtocol::Grpc && !url.path.trim_end_matches('/').is_empty() {
                return Err(Refusal(format!(
                    "--upstream {text}: gRPC has no path; leave it out, or add --upstream-protocol http/protobuf"
                )));
            }
            Upstream::at(&url, signal, protocol)
        }
        None => variables.upstream(signal, protocol)?.ok_or_else(|| {
            Refusal("no upstream is named; add --upstream URL, or set OTEL_EXPORTER_OTLP_ENDPOINT".to_owned())
        })?,
    };
    upstream.compression = match args.upstream_compression.as_deref() {
        Some("as-came") => UpstreamCompression::AsCame,
        Some(name) => UpstreamCompression::Always(Compression::by_name(name).unwrap_or_default()),
        None => variables.compression()?.unwrap_or_default(),
    };
    if let Some(timeout) = args.timeout.map_or_else(|| variables.timeout(), |timeout| Ok(Some(timeout)))? {
        upstream.timeout = timeout;
    }
    let identity = args.upstream_cert.clone().zip(args.upstream_key.clone());
    upstream.tls = ClientTls {
        ca: args.upstream_ca.clone().or_else(|| variables.ca()),
        identity: match identity {
            Some(files) => Some(files),
            None => variables.identity()?,
        },
    };
    let is_tls = matches!(upstream.place, Place::Tcp { tls: true, .. });
    if !is_tls && (args.upstream_ca.is_some() || args.upstream_cert.is_some()) {
        return Err(Refusal(format!(
            "--upstream-ca and --upstream-cert are for TLS, which {} does not speak; write https://, or leave them out",
            upstream.place
        )));
    }
    upstream.headers = variables.headers()?;
    Ok(upstream)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn told(line: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let words = line.split_whitespace();
        let cli =
            Cli::try_parse_from(["sidecar"].into_iter().chain(words)).map_err(|error| error.to_string())?;
        let variables = Variables::new(variables.iter().map(|&(name, value)| (name.into(), value.into())));
        settings(&cli.args, &variables).map(|(settings, _)| settings).map_err(|Refusal(why)| why)
    }

    #[test]
    fn what_is_usual() {
        let told = told("--upstream http://gateway:4317", &[]).expect("enough");
        assert_eq!(told.grpc, [Address::Tcp("127.0.0.1:4317".to_owned())]);
        assert_eq!(told.http, [Address::Tcp("127.0.0.1:4318".to_owned())]);
        let logs = told.upstreams.expect("upstreams").logs;
        assert_eq!((logs.protocol, logs.timeout), (UpstreamProtocol::Grpc, Duration::from_secs(10)));
        assert_eq!(told.scrubbing, Scrubbing::On);
        assert_eq!(told.socket_mode, 0o666);
    }

    #[test]
    fn variables_say_what_options_do_not() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318/base"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://logs/own"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=kasm,authorization=Bearer%20Dead"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ];
        let told_so = told("", &variables).expect("enough").upstreams.expect("upstreams");
        assert_eq!(
            (told_so.metrics.place.to_string().as_str(), told_so.metrics.path.as_str()),
            ("http://all:4318", "/base/v1/metrics")
        );
        assert_eq!(
            (told_so.logs.place.to_string().as_str(), told_so.logs.path.as_str()),
            ("https://logs:443", "/own")
        );
        assert_eq!(told_so.traces.protocol, UpstreamProtocol::Grpc);
        assert_eq!(told_so.logs.headers["authorization"], "Bearer Dead");
        assert_eq!(told_so.logs.timeout, Duration::from_millis(2500));
        assert_eq!(told_so.logs.compression, UpstreamCompression::Always(Compression::Gzip));
        let beaten = told("--upstream http://option:1 --timeout 1s --upstream-protocol grpc", &variables)
            .expect("enough")
            .upstreams
            .expect("upstreams");
        assert_eq!(beaten.logs.place.to_string(), "http://option:1");
        assert_eq!(beaten.logs.timeout, Duration::from_secs(1));
        // Without a scheme, as for gRPC.
        let bare = [("OTEL_EXPORTER_OTLP_ENDPOINT", "all:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")];
        let place = |variables: &[(&str, &str)]| {
            told("", variables).expect("enough").upstreams.expect("upstreams").logs.place.to_string()
        };
        assert_eq!(place(&bare), "http://all:4317");
        assert_eq!(place(&bare[..1]), "https://all:4317");
    }

    #[test]
    fn inputs_alone_need_no_port_and_no_upstream() {
        let alone = told("--fifo /run/logs", &[]).expect("enough");
        assert!(alone.grpc.is_empty() && alone.http.is_empty() && alone.upstreams.is_none());
        let both =
            told("--fifo /run/logs --otlp-http 127.0.0.1:1 --upstream http://a:1", &[]).expect("enough");
        assert!(both.grpc.is_empty() && both.http.len() == 1 && both.upstreams.is_some());
        let sends = told("--fifo /run/logs --output otlp --upstream http://a:1", &[]).expect("enough");
        assert!(sends.http.is_empty() && sends.upstreams.is_some());
        let logs = [("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://only:1")];
        assert!(told("--fifo /run/logs --output otlp", &logs).is_ok());
    }

    #[test]
    fn mistakes_are_named() {
        let check = |line: &str, variables: &[(&str, &str)], want: &str| {
            let why = told(line, variables).map(|_| ()).expect_err(line);
            assert!(why.contains(want), "{line}: {why}");
        };
        check("", &[], "--upstream");
        check("--fifo /a --output otlp", &[], "--upstream");
        check("--fifo /a --otlp-grpc 127.0.0.1:1", &[], "--upstream");
        check("--fifo /a --canary 60s", &[], "--canary needs a port");
        check("--upstream gateway:4317", &[], "--upstream: write http://");
        check("--upstream http://a --admin x", &[], "--admin x: write HOST:PORT");
        check("--upstream http://a --otlp-grpc 4317", &[], "write HOST:PORT or unix:/PATH");
        check("--upstream http://a --tls-cert x", &[], "--tls-key");
        check("--upstream http://a --max-memory 100", &[], "make it 256 or more");
        check("--upstream http://a/otlp", &[], "gRPC has no path");
        check(
            "--upstream http://a --upstream-ca ca.pem",
            &[],
            "are for TLS, which http://a:80 does not speak",
        );
        check("--upstream http://a --socket-mode rw", &[], "write a mode in octal");
        check("--upstream http://a --socket-mode 1666", &[], "write a mode in octal");
        check("--upstream http://a --canary 1x", &[], "write a number and s");
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2hunter2");
        check("--upstream http://a", &[headers], "OTEL_EXPORTER_OTLP_HEADERS: write name=value");
        let why = told("--upstream http://a", &[headers]).expect_err("no header");
        assert!(!why.contains("hunter2"), "{why}");
        check("--upstream http://a", &[("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")], "OTEL_EXPORTER_OTLP_TIMEOUT");
        check(
            "--upstream http://a",
            &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        );
        check("", &[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://only:1")], "--upstream");
    }
}
