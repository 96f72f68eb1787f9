//! What programs print of their own data: Python values, command lines, environments, YAML, XML, tracebacks.

use super::super::random::Random;
use super::super::slots::{line, prefix};
use super::super::text::{Text, keep};
use super::fields::{Field, fields};
use super::{
    Carrier, Fits, Secret, Spelling, backslashed, bare, escapable, free, join, json_string, kept, mix,
    one_line, python_repr, quotable,
};

pub(super) const CARRIERS: &[Carrier] = &[
    row("python-dict", "python", escapable, python_dict),
    row("python-bytes", "python", escapable, python_bytes),
    row("python-call", "python", escapable, python_call),
    row("python-tuple", "python", tuple_holds, python_tuple),
    Carrier { json: true, ..row("python-in-json", "python", escapable, python_in_json) },
    row("flag-space", "cli", shell_bare, flag_space),
    row("flag-equals", "cli", shell_bare, flag_equals),
    row("flag-quoted", "cli", shell_quoted, flag_quoted),
    row("flag-python", "cli", argument, flag_python),
    Carrier { json: true, ..row("flag-json", "cli", argument, flag_json) },
    row("environment", "cli", environment_holds, environment),
    row("xml-element", "xml", xml_holds, xml_element),
    row("xml-attribute", "xml", xml_holds, xml_attribute),
    row("xml-property", "xml", xml_holds, xml_property),
    row("yaml", "yaml", yaml_holds, yaml),
    row("yaml-block", "yaml", yaml_holds, yaml_block),
    row("yaml-env", "yaml", yaml_holds, yaml_env),
    row("traceback-python", "traceback", one_line, traceback_python),
    row("traceback-java", "traceback", bare, traceback_java),
    Carrier { json: true, ..row("traceback-json", "traceback", one_line, traceback_json) },
];

const fn row(
    name: &'static str,
    group: &'static str,
    holds: fn(&Secret, &str) -> bool,
    carry: fn(&mut Random, &Secret) -> Text,
) -> Carrier {
    Carrier { name, group, json: false, holds, carry }
}

fn tuple_holds(secret: &Secret, shown: &str) -> bool {
    secret.fits != Fits::Prose && escapable(secret, shown)
}

/// A word that a shell and `ps` show as it is. A first `-` would make it another flag.
fn shell_bare(secret: &Secret, shown: &str) -> bool {
    bare(secret, shown) && !shown.starts_with('-')
}

fn shell_quoted(secret: &Secret, shown: &str) -> bool {
    free(secret, shown) && quotable(secret, shown) && !shown.contains(['$', '!'])
}

fn argument(secret: &Secret, shown: &str) -> bool {
    free(secret, shown) && one_line(secret, shown)
}

/// One variable per line, in single quotes if need be.
fn environment_holds(secret: &Secret, shown: &str) -> bool {
    argument(secret, shown) && !shown.contains(['"', '\'', '`', '\\'])
}

fn xml_holds(secret: &Secret, shown: &str) -> bool {
    free(secret, shown) && one_line(secret, shown)
}

fn yaml_holds(secret: &Secret, shown: &str) -> bool {
    free(secret, shown) && one_line(secret, shown)
}

/// `'key': value` neighbours with Python's words for things.
fn python_members(random: &mut Random, operator: &str, quoted: bool) -> Vec<Text> {
    let members = fields(random, 1, 4).into_iter().map(|Field { key, value, scalar }| {
        let value = match value.as_str() {
            "true" => "True".to_owned(),
            _ if scalar => value,
            _ => format!("'{value}'"),
        };
        if quoted { format!("'{key}'{operator}{value}") } else { format!("{key}{operator}{value}") }
    });
    let mut members: Vec<String> = members.collect();
    if random.chance(50) {
        members.push(if quoted {
            format!("'docker_token'{operator}None")
        } else {
            format!("parent{operator}None")
        });
    }
    kept(members)
}

fn dict(random: &mut Random, secret: &Secret, bytes: bool) -> Text {
    let key = secret.spelled(random);
    let key = if bytes && random.chance(50) { format!("b'{key}'") } else { format!("'{key}'") };
    let value = python_repr(secret.value.clone(), bytes);
    let value = if random.chance(20) { value.within("[", "]") } else { value };
    let members = python_members(random, ": ", true);
    join(mix(random, members, value.within(&format!("{key}: "), "")), ", ").within("{", "}")
}

fn python_dict(random: &mut Random, secret: &Secret) -> Text {
    let start = prefix(random);
    let dict = dict(random, secret, false);
    if random.chance(40) {
        return dict.within(
            &format!("{start}{{'message': 'processed', 'data': [{{'image_id': None, 'settings': "),
            "}]}",
        );
    }
    dict.within(&start, "")
}

fn python_bytes(random: &mut Random, secret: &Secret) -> Text {
    let start = prefix(random);
    dict(random, secret, true).within(&start, "")
}

/// A call or a dataclass's `repr`.
fn python_call(random: &mut Random, secret: &Secret) -> Text {
    let key = Spelling::Snake.spell(&secret.key);
    let value = python_repr(secret.value.clone(), false).within(&format!("{key}="), "");
    let members = python_members(random, "=", false);
    let start = format!("{}{}(", prefix(random), random.pick(&["Settings", "connect", "<Task render"]));
    join(mix(random, members, value), ", ").within(&start, ")")
}

/// Header and environment dumps: a list of tuples.
fn python_tuple(random: &mut Random, secret: &Secret) -> Text {
    let key = secret.spelled(random);
    let bytes = random.chance(30);
    let name = if bytes { format!("b'{key}'") } else { format!("'{key}'") };
    let value = python_repr(secret.value.clone(), bytes);
    let start = format!("{}[('Accept', '*/*'), ({name}, ", prefix(random));
    value.within(&start, "), ('Host', 'kasm.internal')]")
}

fn python_in_json(random: &mut Random, secret: &Secret) -> Text {
    let text = dict(random, secret, false).within("handler got ", "");
    let start = line(random, "{\"asctime\": \"~py~\", \"levelname\": \"DEBUG\", \"message\": ");
    json_string(random, text).within(&start, ", \"lineno\": 812}")
}

/// `--key`, and now and then `-key` as Go programs have it.
fn flag(random: &mut Random, secret: &Secret) -> String {
    let dashes = if random.chance(15) { "-" } else { "--" };
    format!("{dashes}{}", Spelling::Kebab.spell(&secret.key))
}

fn command(random: &mut Random, text: Text) -> Text {
    let program = random.pick(&[
        "kasm-profile-sync --upload",
        "exec: /usr/bin/agent -v",
        "+ curl -sS",
        "ps: 312 ? Ssl 0:01 server --port 8080",
    ]);
    let after = random.pick(&["", " --zone default", " &", " --retries 3"]);
    text.within(&format!("{}{program} ", prefix(random)), after)
}

fn flag_space(random: &mut Random, secret: &Secret) -> Text {
    let text = secret.value.clone().within(&format!("{} ", flag(random, secret)), "");
    command(random, text)
}

fn flag_equals(random: &mut Random, secret: &Secret) -> Text {
    let text = secret.value.clone().within(&format!("{}=", flag(random, secret)), "");
    command(random, text)
}

fn flag_quoted(random: &mut Random, secret: &Secret) -> Text {
    let (quote, operator) = (random.pick(&["\"", "'"]), random.pick(&[" ", "="]));
    let text = secret.value.clone().within(&format!("{}{operator}{quote}", flag(random, secret)), quote);
    command(random, text)
}

fn flag_python(random: &mut Random, secret: &Secret) -> Text {
    let start = format!("{}running ['agent', '{}', ", prefix(random), flag(random, secret));
    python_repr(secret.value.clone(), false).within(&start, ", '--zone', 'default']")
}

fn flag_json(random: &mut Random, secret: &Secret) -> Text {
    let start = format!("{{\"level\":\"info\",\"args\":[\"agent\",\"{}\",", flag(random, secret));
    json_string(random, secret.value.clone()).within(&start, ",\"--zone\",\"default\"]}")
}

fn environment(random: &mut Random, secret: &Secret) -> Text {
    let key = Spelling::Upper.spell(&secret.key);
    let (before, after) = random.pick(&[
        ("", ""),
        ("export ", ""),
        ("HOME=/root\n", "\nTZ=UTC"),
        ("+ ", ""),
        ("env: ", " TZ=UTC"),
    ]);
    let value = secret.value.clone();
    // Where a word would end or open something, dumps that can be read back (`declare -x`) quote it.
    let value = if bare(secret, &value.shown()) { value } else { value.within("'", "'") };
    value.within(&format!("{before}{key}="), after)
}

fn xml_escape(text: Text) -> Text {
    text.map(|piece| {
        piece
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', "&apos;")
    })
}

fn xml_element(random: &mut Random, secret: &Secret) -> Text {
    let key = if random.chance(50) {
        Spelling::Camel.spell(&secret.key)
    } else {
        Spelling::Snake.spell(&secret.key)
    };
    let name = random.pick(&["", "", "ns:"]);
    let value =
        xml_escape(secret.value.clone()).within(&format!("<{name}{key}>"), &format!("</{name}{key}>"));
    let value = value.within("<settings><zone>default</zone>", "<port>443</port></settings>");
    keep(prefix(random)).then(value)
}

fn xml_attribute(random: &mut Random, secret: &Secret) -> Text {
    let key = if random.chance(50) {
        Spelling::Camel.spell(&secret.key)
    } else {
        Spelling::Snake.spell(&secret.key)
    };
    let quote = random.pick(&["\"", "'"]);
    let value = xml_escape(secret.value.clone()).within(&format!("{key}={quote}"), quote);
    let start = format!("{}<connection zone=\"default\" ", prefix(random));
    value.within(&start, " port=\"443\"/>")
}

fn xml_property(random: &mut Random, secret: &Secret) -> Text {
    let key = Spelling::Camel.spell(&secret.key);
    let value = xml_escape(secret.value.clone());
    let value = if random.chance(60) {
        value.within(&format!("<property name=\"{key}\" value=\""), "\"/>")
    } else {
        value.within("<property value=\"", &format!("\" name=\"{key}\"/>"))
    };
    keep(prefix(random)).then(value)
}

/// A YAML scalar: plain where that reads back as the same string, else quoted.
fn yaml_scalar(random: &mut Random, text: Text, random_quotes: bool) -> Text {
    let shown = text.shown();
    let plain = shown.chars().next().is_some_and(char::is_alphanumeric)
        && shown.chars().all(|c| c.is_alphanumeric() || "-._~+/=@$^%:!*? ".contains(c))
        && !shown.contains(": ")
        && !shown.ends_with(':');
    match (plain, random_quotes && random.chance(40)) {
        (true, false) => text,
        _ if random.chance(50) => backslashed(text, '"').within("\"", "\""),
        _ => text.map(|piece| piece.replace('\'', "''")).within("'", "'"),
    }
}

fn yaml_key(random: &mut Random, secret: &Secret) -> String {
    let spelling = random.pick(&[Spelling::Snake, Spelling::Camel, Spelling::Kebab, Spelling::Upper]);
    spelling.spell(&secret.key)
}

fn yaml(random: &mut Random, secret: &Secret) -> Text {
    let key = yaml_key(random, secret);
    let indent = random.pick(&["", "  ", "      ", "- "]);
    let value = yaml_scalar(random, secret.value.clone(), true);
    value.within(&format!("{indent}{key}: "), "")
}

fn yaml_block(random: &mut Random, secret: &Secret) -> Text {
    let key = yaml_key(random, secret);
    let value = yaml_scalar(random, secret.value.clone(), true);
    let start = line(random, "apiVersion: v1\nkind: Config\nmetadata:\n  name: ~pod~\nspec:\n  port: 8080\n");
    value.within(&format!("{start}  {key}: "), "\n  replicas: 3\n  zone: default")
}

/// A container's `env` in a manifest.
fn yaml_env(random: &mut Random, secret: &Secret) -> Text {
    let key = Spelling::Upper.spell(&secret.key);
    let value = yaml_scalar(random, secret.value.clone(), true);
    let start = format!("env:\n- name: TZ\n  value: UTC\n- name: {key}\n  value: ");
    value.within(&start, "\n- name: REPLICAS\n  value: \"3\"")
}

/// What the exception at a traceback's end says.
fn exception(random: &mut Random, secret: &Secret) -> Text {
    let value = python_repr(secret.value.clone(), false);
    if secret.fits == Fits::Prose || (!secret.needs_key && random.chance(40)) {
        return value.within("ValueError: invalid literal: ", "");
    }
    let key = Spelling::Snake.spell(&secret.key);
    match random.below(3) {
        0 => value.within(&format!("TypeError: connect() got {{'{key}': "), "} for None"),
        1 => value.within(&format!("RuntimeError: cannot connect ({key}="), ", attempt=2)"),
        _ => value.within(&format!("kasm.errors.SettingError: {key}="), ""),
    }
}

const FRAMES: &str = "Traceback (most recent call last):\n  File \"cherrypy/_cprequest.py\", line 659, in respond\n    self.hooks.run('before_handler')\n  File \"/opt/kasm/client_api.py\", line ~n~, in login\n    return self.provider.connect(settings)\n";

fn traceback_python(random: &mut Random, secret: &Secret) -> Text {
    let start = line(random, &format!("~py~ [ERROR] client_api_server: request failed\n{FRAMES}"));
    exception(random, secret).within(&start, "")
}

fn traceback_json(random: &mut Random, secret: &Secret) -> Text {
    let start = line(random, FRAMES);
    let text = exception(random, secret).within(&start, "\n");
    let open = line(
        random,
        "{\"host\":\"proxy\",\"ingest_date\":\"202607071000\",\"application\":\"kasm_manager\",\"traceback\":",
    );
    json_string(random, text).within(&open, ",\"process\":\"__main__.handler\"}")
}

fn traceback_java(random: &mut Random, secret: &Secret) -> Text {
    let key = Spelling::Camel.spell(&secret.key);
    let start = line(
        random,
        "~iso~ ERROR request failed\norg.kasm.GatewayException: cannot connect\n\tat org.kasm.Gateway.open(Gateway.java:~n~)\nCaused by: java.io.IOException: 401 for ",
    );
    let value = secret.value.clone().within(&format!("{key}="), "");
    value.within(&start, "\n\tat org.kasm.Client.send(Client.java:88)\n\t... 12 more")
}
