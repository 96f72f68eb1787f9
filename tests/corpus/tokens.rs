//! Values that take more than characters of a class: checksummed tokens, JWTs, private keys, card numbers.
//!
//! Not here: tokens that are a prefix and a run of characters (`families`).

use super::checksum::{
    base62_crc32, base64, base64_url, bech32_upper, grafana_crc32, iban_check, luhn_digit,
};
use super::random::{ALNUM, BASE64, BASE64_URL, DIGITS, LETTERS, Random};
use super::slots::{NAMES, WORDS, line, uuid};
use super::text::{Text, encoded_secret, keep, secret, soft};

/// The value of a named slot, or nothing if the name is not one of these.
pub(crate) fn token(random: &mut Random, name: &str) -> Option<Text> {
    Some(match name {
        "github" => {
            let (prefix, body) =
                (random.pick(&["ghp", "gho", "ghu", "ghs", "ghr"]), random.string(ALNUM, 30));
            keep(format!("{prefix}_{body}{}", base62_crc32(&body)))
        }
        "npm" => {
            let body = random.string(ALNUM, 30);
            keep(format!("npm_{body}{}", base62_crc32(&body)))
        }
        "glsa" => {
            let key = format!("glsa_{}", random.string(ALNUM, 32));
            keep(format!("{key}_{}", grafana_crc32(&key)))
        }
        "atlassian" => {
            let key = format!("ATATT3xFfGF0{}", random.string(BASE64_URL, 172));
            keep(format!("{key}={:08X}", crc32fast::hash(key.as_bytes())))
        }
        "glc" => {
            let inside = line(random, r#"{"o":"~d6~","n":"stack-~word~","k":"~a24~","m":{"r":"eu"}}"#);
            keep(format!("glc_{}", base64(inside.as_bytes())))
        }
        "onepassword" => {
            let inside = line(
                random,
                r#"{"email":"~z8~@1passwordserviceaccounts.com","muk":{"k":"~w43~"},"secretKey":"~u34~"}"#,
            );
            keep(format!("ops_{}", base64_url(inside.as_bytes())))
        }
        "sentry" => {
            let inside = line(random, r#"{"iat":17~d8~.5,"url":"https://sentry.io","org":"~word~"}"#);
            keep(format!("sntrys_{}_{}", base64(inside.as_bytes()), random.string(ALNUM, 43)))
        }
        "bedrock" => {
            let inside = line(random, "BedrockAPIKey-~l4~-at-~d12~:~b70~");
            keep(format!("ABSK{}", base64(inside.as_bytes())))
        }
        "discord" => {
            let (id, when, mac) =
                (random.string(DIGITS, 17), random.string(BASE64_URL, 6), random.string(BASE64_URL, 38));
            keep(format!("{}.{when}.{mac}", base64_url(format!("1{id}").as_bytes())))
        }
        "age" => {
            let data: Vec<u8> = (0..52).map(|_| random.below(32) as u8).collect();
            keep(bech32_upper("AGE-SECRET-KEY-", &data))
        }
        "jwt" => keep(jwt(random, r#"{"alg":"RS256","typ":"JWT"}"#, 342)),
        "jwttyp" => keep(jwt(random, r#"{"typ":"JWT","alg":"RS256"}"#, 342)),
        "jwths" => keep(jwt(random, r#"{"alg":"HS256","typ":"JWT"}"#, 43)),
        "jwtkid" => {
            let header = line(random, r#"{"alg":"RS256","kid":"~w43~"}"#);
            keep(jwt(random, &header, 342))
        }
        "jwtnone" => secret(jwt(random, r#"{"alg":"none"}"#, 0).trim_end_matches('.')).then(soft(".")),
        "jwe" => {
            let header = base64_url(br#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#);
            keep(line(random, &format!("{header}.~w342~.~w16~.~w120-240~.~w22~")))
        }
        // A signature in base64, as Azure writes it into a URL: `+`, `/` and `=` are encoded.
        "azuresig" => {
            let signature = format!(
                "{}+{}/{}=",
                random.string(ALNUM, 20),
                random.string(ALNUM, 12),
                random.string(ALNUM, 9)
            );
            encoded_secret(super::carriers::percent(&signature, false), &[&signature])
        }
        // CloudFront writes `-`, `~` and `_` for `+`, `/` and the padding `=`.
        "cloudfrontsig" => keep(format!(
            "{}-{}~{}__",
            random.string(ALNUM, 120),
            random.string(ALNUM, 120),
            random.string(ALNUM, 98)
        )),
        "basic" => {
            let (user, password) = (random.pick(NAMES), random.string(ALNUM, 16));
            encoded_secret(base64(format!("{user}:{password}").as_bytes()), &[&password])
        }
        // A value under `data:` of a Kubernetes Secret.
        "base64pw" => {
            let password = random.string(ALNUM, 24);
            encoded_secret(base64(password.as_bytes()), &[&password])
        }
        "saml" => {
            let inside = line(
                random,
                "<samlp:Response ID=\"_~h32~\" Version=\"2.0\"><saml:Assertion ID=\"_~h32~\"><saml:NameID>~name~</saml:NameID><ds:SignatureValue>~b172~</ds:SignatureValue></saml:Assertion></samlp:Response>",
            );
            keep(base64(inside.as_bytes()))
        }
        "pembase64" => {
            let (label, lines) = pem_lines(random);
            let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"));
            keep(base64(pem.as_bytes()))
        }
        "pem" => pem(random, "\n"),
        "pem1" => pem(random, "\\n"),
        "pem2" => pem(random, "\\\\n"),
        "pemindent" => pem(random, "\n    "),
        "pemlogged" => logged_pem(random),
        // A Node.js Buffer that holds a key: decimal bytes.
        "pemdecimal" => {
            let (label, lines) = pem_lines(random);
            let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"));
            let numbers: Vec<String> = pem.bytes().map(|b| b.to_string()).collect();
            secret(numbers.join(","))
        }
        "card" => keep(card(random)),
        "cardspaced" => keep(grouped_card(random, ' ')),
        "carddashed" => keep(grouped_card(random, '-')),
        "iban" => keep(iban(random)),
        "ibanspaced" => {
            let iban = iban(random);
            let groups: Vec<&str> =
                iban.as_bytes().chunks(4).map(|g| std::str::from_utf8(g).expect("ASCII")).collect();
            keep(groups.join(" "))
        }
        "email" => {
            let (first, last, top) =
                (random.pick(NAMES), random.pick(WORDS), random.pick(&["com", "org", "io", "de", "co.uk"]));
            let (number, house) = (random.string(DIGITS, 2), random.string(LETTERS, 7));
            keep(format!("{first}.{last}{number}@{house}.{top}"))
        }
        "phone" => {
            let template =
                random.pick(&["+49151~d8~", "+447~d9~", "+336~d8~", "+1415555~d4~", "+316~d8~", "+919~d9~"]);
            keep(line(random, template))
        }
        "ssn" => {
            let area = random.pick(&[212, 331, 408, 517, 605]);
            keep(format!("{area}-{:02}-{:04}", random.between(10, 99), random.between(1000, 9999)))
        }
        "uuidpw" => keep(uuid(random)),
        "pwshort" => {
            let n = random.between(5, 7);
            keep(format!("{}{}", random.pick(&["x", "Q", "k", "Z"]), random.string(ALNUM, n)))
        }
        "pwwords" => {
            let (one, two, three) = (random.pick(WORDS), random.pick(WORDS), random.pick(WORDS));
            keep(format!("{one}{two}{three}"))
        }
        "passphrase" => {
            let words: Vec<&str> = (0..random.between(4, 6)).map(|_| random.pick(WORDS)).collect();
            keep(words.join(" "))
        }
        "pwsymbols" => keep(sprinkled(random, "!@#$%^*+=:?/.-_&", 6)),
        "pwquotes" => keep(sprinkled(random, "\"'\\ ,;&<>{}[]()|`!#%", 6)),
        "pwunicode" => keep(sprinkled(random, "äßéñøłжюλ密码鍵🔑", 5)),
        // A password inside a URL: percent-encoded where the URL needs it.
        "urlpw" => {
            let password = sprinkled(random, "!@#$%^*+=:?/&", 4);
            let carried = super::carriers::percent(&password, false);
            encoded_secret(carried, &[&password])
        }
        // Guacamole's length-prefixed element.
        "guacpw" => {
            let password = random.string(ALNUM, 16);
            soft("16.").then(secret(password))
        }
        _ => return None,
    })
}

/// Letters and digits with `n` marks strewn in; begins and ends with a letter or digit, so that where the
/// value stops is not a matter of taste.
fn sprinkled(random: &mut Random, marks: &str, n: usize) -> String {
    let marks: Vec<char> = marks.chars().collect();
    let mut out = random.string(ALNUM, 3);
    for _ in 0..n {
        out.push(random.pick(&marks));
        let run = random.between(0, 3);
        out.push_str(&random.string(ALNUM, run));
    }
    out.push_str(&random.string(ALNUM, 2));
    out
}

fn jwt(random: &mut Random, header: &str, signature: usize) -> String {
    let claims = random.pick(&[
        r#"{"kasm_id":"~uuid~","profile_path":null,"authorizations":[50],"exp":18~d8~}"#,
        r#"{"session_token_id":"~uuid~","authorizations":[100,200],"exp":18~d8~}"#,
        r#"{"sub":"~d10~","iss":"https://~host~","aud":"kasm","iat":17~d8~}"#,
    ]);
    let claims = line(random, claims);
    let signature = random.string(BASE64_URL, signature);
    format!("{}.{}.{signature}", base64_url(header.as_bytes()), base64_url(claims.as_bytes()))
}

/// A private key's label and base64 lines. The body starts as the format's DER does.
pub(crate) fn pem_lines(random: &mut Random) -> (&'static str, Vec<String>) {
    let (label, start) = random.pick(&[
        ("PRIVATE KEY", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"),
        ("RSA PRIVATE KEY", "MIIEpAIBAAKCAQEA"),
        ("EC PRIVATE KEY", "MHcCAQEEI"),
        ("ENCRYPTED PRIVATE KEY", "MIIFHDBOBgkqhkiG9w0BBQ0wQTApBgkq"),
        ("OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ"),
    ]);
    let full = random.between(2, 12);
    let mut lines = vec![format!("{start}{}", random.string(BASE64, 64 - start.len()))];
    lines.extend((0..full).map(|_| random.string(BASE64, 64)));
    lines.push(format!("{}==", random.string(BASE64, 26)));
    (label, lines)
}

/// A key block: the labels and line ends are soft, each line of the body is a secret.
fn pem(random: &mut Random, newline: &str) -> Text {
    let (label, lines) = pem_lines(random);
    let mut text = soft(format!("-----BEGIN {label}-----{newline}"));
    for line in lines {
        text = text.then(secret(line)).then(soft(newline));
    }
    text.then(soft(format!("-----END {label}-----")))
}

/// A key block that a logger printed line by line: each line has its own front, which must stay.
fn logged_pem(random: &mut Random) -> Text {
    let front = random.pick(&[
        "~klog~       1 tls.go:88] ",
        "~cri~ stdout F ",
        "~py~ [DEBUG] tls: ",
        "kasm-api-1  | ",
    ]);
    let (label, lines) = pem_lines(random);
    let mut text = keep(line(random, front)).then(soft(format!("-----BEGIN {label}-----")));
    for body in lines {
        let front = line(random, front);
        text = text.and("\n").and(&front).then(secret(body));
    }
    let front = line(random, front);
    text.and("\n").and(&front).then(soft(format!("-----END {label}-----")))
}

/// A card number with an issuer's prefix, that issuer's length and a right check digit.
fn card(random: &mut Random) -> String {
    let (prefix, length) = random.pick(&[
        ("4", 16),
        ("51", 16),
        ("55", 16),
        ("2223", 16),
        ("34", 15),
        ("37", 15),
        ("6011", 16),
        ("3530", 16),
    ]);
    let body = format!("{prefix}{}", random.string(DIGITS, length - 1 - prefix.len()));
    format!("{body}{}", luhn_digit(&body))
}

fn grouped_card(random: &mut Random, separator: char) -> String {
    let digits = card(random);
    let ends: &[usize] = if digits.len() == 15 { &[4, 10] } else { &[4, 8, 12] };
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if ends.contains(&index) {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}

fn iban(random: &mut Random) -> String {
    let (country, account) = random.pick(&[
        ("DE", "~d18~"),
        ("GB", "NWBK~d14~"),
        ("NL", "ABNA~d10~"),
        ("ES", "~d20~"),
        ("AT", "~d16~"),
        ("CH", "00~d3~~u12~"),
        ("IT", "X~d10~~u12~"),
        ("FR", "~d10~~u11~~d2~"),
    ]);
    let account = line(random, account);
    format!("{country}{}{account}", iban_check(country, &account))
}

#[test]
fn numbers_and_keys_have_their_checks() {
    let mut random = Random::of(3, &[], 0);
    for _ in 0..50 {
        let card = card(&mut random);
        let (body, check) = card.split_at(card.len() - 1);
        assert_eq!(check, luhn_digit(body).to_string());
        let iban = iban(&mut random);
        assert_eq!(iban[2..4], iban_check(&iban[..2], &iban[4..]));
        let github = token(&mut random, "github").expect("a slot").shown();
        assert_eq!(github.len(), 40);
        assert_eq!(github[34..], base62_crc32(&github[4..34]));
        assert_eq!(token(&mut random, "age").expect("a slot").shown().len(), 74);
    }
}
