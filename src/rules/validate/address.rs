//! Addresses of people and machines: e-mail, telephone, IP, MAC.
//!
//! A validator sees the address only. Whether `1.2.3.4` follows a `v` is the regex's to say.

use std::net::{Ipv4Addr, Ipv6Addr};

use memchr::{memchr_iter, memrchr};

/// Four octets, no leading zeros.
pub(super) fn ipv4(text: &[u8]) -> bool {
    text.len() <= 15 && std::str::from_utf8(text).is_ok_and(|t| t.parse::<Ipv4Addr>().is_ok())
}

/// An IPv6 address, perhaps with a zone (`%eth0`) or, as Java writes it, with a port as a ninth
/// group. Needs a digit, so that `::add` in code stays; eight groups of two are a world wide name.
pub(super) fn ipv6(text: &[u8]) -> bool {
    // 45 for the address, 16 for a zone.
    if text.len() > 61 || !text.iter().any(u8::is_ascii_digit) {
        return false;
    }
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    let zone_fits =
        !zone.is_empty() && zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let name = address.len() == 23 && address.split(':').all(|group| group.len() == 2);
    let before_port = address.rsplit_once(':').filter(|(rest, port)| {
        !rest.contains("::") && (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit())
    });
    let parses = |address: &str| address.parse::<Ipv6Addr>().is_ok();
    zone_fits && !name && (parses(address) || before_port.is_some_and(|(rest, _)| parses(rest)))
}

/// Six octets in hex with `:` or `-`, or three groups of four with dots.
/// Decimal pairs with dashes are a date and time.
pub(super) fn mac(text: &[u8]) -> bool {
    let (separator, group) = match text.len() {
        14 => (b'.', 4),
        17 => (text.get(2).copied().unwrap_or_default(), 2),
        _ => return false,
    };
    let placed = |(at, &byte): (usize, &u8)| match at % (group + 1) == group {
        true => byte == separator,
        false => byte.is_ascii_hexdigit(),
    };
    matches!(separator, b':' | b'-' | b'.')
        && (separator != b'.' || group == 4)
        && text.iter().enumerate().all(placed)
        && (separator == b':' || text.iter().any(u8::is_ascii_alphabetic))
}

/// A telephone number in international form: `+` (or `%2B`), an assigned country code, 8 to 15
/// digits; between them single spaces, dots, dashes, slashes, an area code in parentheses.
/// Written without any of these it must also have a length its country uses.
pub(super) fn e164(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"(").unwrap_or(text);
    let rest = match text {
        [b'+', rest @ ..] | [b'%', b'2', b'B' | b'b', rest @ ..] => rest,
        _ => return false,
    };
    let mut digits = [0_u8; 15];
    let mut len = 0_usize;
    let mut at = 0;
    while let Some(&byte) = rest.get(at) {
        match byte {
            b'0'..=b'9' => {
                let Some(slot) = digits.get_mut(len) else { return false };
                *slot = byte - b'0';
                len += 1;
            }
            // The trunk prefix of national calls is no part of the number.
            b'(' if rest.get(at..at + 3) == Some(b"(0)") => at += 2,
            b' ' | b'.' | b'-' | b'/' | b'(' | b')' => {}
            _ => return false,
        }
        at += 1;
    }
    let digits = digits.get(..len).unwrap_or_default();
    let least = if len == rest.len() { least_digits(digits) } else { 8 };
    len >= least && has_country_code(digits) && (digits.first() != Some(&1) || is_north_american(digits))
}

/// Whether the digits begin with a country code that the ITU has assigned (E.164 list).
fn has_country_code(digits: &[u8]) -> bool {
    let [a, b, c, ..] = *digits else { return false };
    let (two, three) = (a * 10 + b, u16::from(a) * 100 + u16::from(b) * 10 + u16::from(c));
    matches!(a, 1 | 7)
        || matches!(two, 20 | 27 | 30..=34 | 36 | 39 | 40 | 41 | 43..=49 | 51..=58 | 60..=66 | 81 | 82 | 84 | 86)
        || matches!(two, 90..=95 | 98)
        || matches!(three, 211..=213 | 216 | 218 | 220..=258 | 260..=269 | 290 | 291 | 297..=299)
        || matches!(three, 350..=359 | 370..=383 | 385..=387 | 389 | 420 | 421 | 423 | 500..=509 | 590..=599)
        || matches!(three, 670 | 672..=683 | 685..=692 | 800 | 808 | 850 | 852 | 853 | 855 | 856 | 870 | 878)
        || matches!(three, 880..=883 | 886 | 888 | 960..=968 | 970..=977 | 979 | 992..=996 | 998)
}

/// Country code 1: ten digits follow, area and exchange from 2 upwards.
fn is_north_american(digits: &[u8]) -> bool {
    digits.len() == 11 && digits.get(1).is_some_and(|d| *d >= 2) && digits.get(4).is_some_and(|d| *d >= 2)
}

/// The shortest number in use for some countries with long ones, so that `+204800000` is a sum.
fn least_digits(digits: &[u8]) -> usize {
    match *digits {
        [7, ..] | [3, 3 | 4, ..] | [6, 1, ..] => 11,
        [2, 0, ..] | [8, 1, ..] => 11,
        [5, 2 | 4 | 5, ..] | [9, 0 | 1 | 8, ..] => 12,
        [4, 4, ..] => 11,
        [3, 0, ..] => 12,
        _ => 8,
    }
}

/// An e-mail address with a domain name of at least two labels.
///
/// What only looks like one does not pass: files (`icon@2x.png`), systemd units
/// (`getty@tty1.service`), package versions (`pkg@1.2.3`), Git over SSH (`git@github.com`),
/// SSH algorithms (`aes128-gcm@openssh.com`), nodes named after Kubernetes services.
pub(super) fn email(text: &[u8]) -> bool {
    // 64 for the local part, `@`, 253 for the domain, and room for local parts out of bounds.
    if text.len() > 400 {
        return false;
    }
    let Some((local, domain)) = split_email(text) else { return false };
    is_local_part(local)
        && is_domain(domain)
        && !is_file_or_unit(domain)
        && !is_ssh_name(local, domain)
        && !ends_with(domain, b".cluster.local")
        && !ends_with(domain, b".svc")
        && !local.eq_ignore_ascii_case(b"git")
}

/// Local part and domain. The `@` may be percent-encoded, once or twice, or a JSON escape.
fn split_email(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(at) = memrchr(b'@', text) {
        return Some((text.get(..at)?, text.get(at + 1..)?));
    }
    let at = text.iter().rposition(|&b| b == b'%' || b == b'\\')?;
    let (local, rest) = text.split_at_checked(at)?;
    let domain = [&b"%40"[..], b"%2540", b"\\u0040"].iter().find_map(|sign| rest.strip_prefix(*sign))?;
    Some((local, domain))
}

fn is_local_part(local: &[u8]) -> bool {
    let atom = |&b: &u8| b.is_ascii_alphanumeric() || b >= 0x80 || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
    (1..=128).contains(&local.len())
        && local.iter().all(atom)
        && local.iter().any(|b| b.is_ascii_alphanumeric() || *b >= 0x80)
}

fn is_domain(domain: &[u8]) -> bool {
    let label = |l: &[u8]| {
        (1..=63).contains(&l.len())
            && l.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-' || *b >= 0x80)
            && l.first() != Some(&b'-')
            && l.last() != Some(&b'-')
    };
    let last = last_label(domain);
    let top = last.len() >= 2 && last.iter().all(u8::is_ascii_alphabetic)
        || last.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"xn--"));
    domain.len() <= 253
        && memchr_iter(b'.', domain).next().is_some()
        && top
        && domain.split(|&b| b == b'.').all(label)
}

fn last_label(domain: &[u8]) -> &[u8] {
    memrchr(b'.', domain).and_then(|at| domain.get(at + 1..)).unwrap_or(domain)
}

fn ends_with(text: &[u8], end: &[u8]) -> bool {
    text.len()
        .checked_sub(end.len())
        .and_then(|at| text.get(at..))
        .is_some_and(|t| t.eq_ignore_ascii_case(end))
}

fn one_of(word: &[u8], list: &[&str]) -> bool {
    list.iter().any(|w| word.eq_ignore_ascii_case(w.as_bytes()))
}

/// Last labels that are no top-level domain: file endings, systemd units, pre-releases.
#[rustfmt::skip]
const ENDINGS: &[&str] = &[
    "service", "socket", "target", "timer", "mount", "automount", "slice", "scope", "path", "swap", "device",
    "png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "ico", "pdf", "woff", "ttf",
    "js", "mjs", "cjs", "jsx", "ts", "tsx", "css", "scss", "less", "html", "htm", "xml", "map", "vue",
    "json", "yaml", "yml", "toml", "ini", "conf", "cfg", "lock", "txt", "log", "csv", "sql", "db",
    "java", "class", "jar", "war", "kt", "scala", "go", "cpp", "hpp", "cs", "php", "rb", "lua", "exe", "dll", "dylib",
    "gz", "tgz", "bz", "xz", "zst", "tar", "deb", "rpm", "whl", "bak", "tmp", "sock", "pid", "plist", "framework",
    "alpha", "beta", "rc", "snapshot", "final", "release", "canary", "latest",
];

/// Endings that are top-level domains too (Serbia, Paraguay, …): only with a host that names a
/// source file.
const ENDINGS_AND_COUNTRIES: &[&str] = &["rs", "py", "sh", "so", "md", "pl", "ps"];
#[rustfmt::skip]
const SOURCE_FILES: &[&str] = &[
    "main", "lib", "mod", "index", "test", "tests", "setup", "run", "app", "init", "install", "build", "readme",
];

/// Labels that make a domain even of `user@example.com.log`, a file named after a user.
#[rustfmt::skip]
const COMMON_DOMAINS: &[&str] = &[
    "com", "net", "org", "edu", "gov", "io", "dev", "info", "biz", "cloud", "local", "de", "at", "ch", "uk", "fr", "nl",
    "be", "it", "es", "pt", "pl", "se", "no", "dk", "fi", "eu", "us", "ca", "au", "jp", "cn", "in", "br", "mx", "ru",
];

fn is_file_or_unit(domain: &[u8]) -> bool {
    let last = last_label(domain);
    let host = domain.get(..domain.len() - last.len()).and_then(|d| d.strip_suffix(b".")).unwrap_or_default();
    if one_of(last, ENDINGS) {
        return !(host.contains(&b'.') && one_of(last_label(host), COMMON_DOMAINS));
    }
    one_of(last, ENDINGS_AND_COUNTRIES)
        && (one_of(host, SOURCE_FILES) || host.starts_with(b"lib") && ends_with(last, b"so"))
}

/// Extension names of the SSH protocol: `name@domain` of whoever defined them (RFC 4251).
fn is_ssh_name(local: &[u8], domain: &[u8]) -> bool {
    const STARTS: &[&[u8]] = &[
        b"aes",
        b"chacha20",
        b"hmac",
        b"umac",
        b"curve25519",
        b"rijndael",
        b"sntrup",
        b"mlkem",
        b"ssh-",
        b"ecdsa",
        b"sk-",
        b"rsa-",
        b"zlib",
        b"kex-",
        b"ext-",
        b"ecdh",
        b"diffie",
        b"x25519",
    ];
    let defines = [
        "libssh.org",
        "ssh.com",
        "lysator.liu.se",
        "tinyssh.org",
        "amazon.com",
        "google.com",
        "putty.projects.tartarus.org",
    ];
    one_of(domain, &["openssh.com"])
        || one_of(domain, &defines)
            && STARTS.iter().any(|s| local.get(..s.len()).is_some_and(|l| l.eq_ignore_ascii_case(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(f: fn(&[u8]) -> bool, text: &str, want: bool) {
        assert_eq!(f(text.as_bytes()), want, "{text}");
    }

    #[test]
    fn ipv4_octets() {
        check(ipv4, "10.0.0.1", true);
        check(ipv4, "255.255.255.255", true);
        check(ipv4, "256.0.0.1", false);
        check(ipv4, "10.0.0.01", false);
        check(ipv4, "10.0.0", false);
        check(ipv4, "10.0.0.1.2", false);
        check(ipv4, "6.1.7601.23505", false);
        check(ipv4, "", false);
    }

    #[test]
    fn ipv6_forms() {
        check(ipv6, "2001:db8::1", true);
        check(ipv6, "2001:0db8:0000:0000:0000:ff00:0042:8329", true);
        check(ipv6, "fe80::1%eth0", true);
        check(ipv6, "::ffff:192.0.2.1", true);
        check(ipv6, "::1", true);
        check(ipv6, "2001:db8:0:0:0:0:0:1:50312", true);
        check(ipv6, "0:0:0:0:0:0:0:0:2181", true);
        check(ipv6, "10:00:01", false);
        check(ipv6, "00:1a:2b:3c:4d:5e", false);
        check(ipv6, "50:06:01:60:3b:a0:11:22", false);
        check(ipv6, "::add", false);
        check(ipv6, "dead::beef", false);
        check(ipv6, "fe80::1%", false);
        check(ipv6, "1::2::3", false);
        check(ipv6, "12:34:56:78:9a:bc:de:f0:12:34:56:78:9a:bc:de:f0", false);
        check(ipv6, ":", false);
        check(ipv6, "", false);
    }

    #[test]
    fn mac_forms() {
        check(mac, "00:1a:2b:3c:4d:5e", true);
        check(mac, "00-1A-2B-3C-4D-5E", true);
        check(mac, "001a.2b3c.4d5e", true);
        check(mac, "24:01:02:10:00:01", true);
        check(mac, "24-01-02-10-00-01", false);
        check(mac, "00:1a-2b:3c:4d:5e", false);
        check(mac, "00:1a:2b:3c:4d", false);
        check(mac, "00:1a:2b:3c:4d:5g", false);
        check(mac, "00.1a.2b.3c.4d.5e", false);
        check(mac, "1234.5678.9012", false);
    }

    #[test]
    fn telephone_numbers() {
        check(e164, "+4930123456", true);
        check(e164, "+49 30 123456", true);
        check(e164, "+49 (0)30 123456", true);
        check(e164, "(+49) 30 123456", true);
        check(e164, "+49) 30 123456", true);
        check(e164, "+1 (555) 234-5678", true);
        check(e164, "+15552345678", true);
        check(e164, "+33 1 23 45 67 89", true);
        check(e164, "%2B491511234567", true);
        check(e164, "+441632960961", true);
        check(e164, "+35312345678", true);
    }

    #[test]
    fn not_telephone_numbers() {
        check(e164, "+0100", false);
        check(e164, "+0123456789", false);
        check(e164, "+1 555 123", false);
        check(e164, "+1048576", false);
        check(e164, "+11234567890", false);
        check(e164, "+204800000", false);
        check(e164, "+2100000000", false);
        check(e164, "+2590000000", false);
        check(e164, "+1234567890123456", false);
        check(e164, "+49", false);
        check(e164, "4930123456", false);
        check(e164, "+", false);
        check(e164, "", false);
    }

    #[test]
    fn email_addresses() {
        check(email, "jane@example.com", true);
        check(email, "jane.doe+tag@mail.example.co.uk", true);
        check(email, "o'brien@example.com", true);
        check(email, "admin@kasm.local", true);
        check(email, "12345@qq.com", true);
        check(email, "mail@163.com", true);
        check(email, "ime@firma.rs", true);
        check(email, "user@xn--bcher-kva.example", true);
        check(email, "a@b.xn--p1ai", true);
        check(email, "jürgen@example.de", true);
        check(email, "jane@example.com.log", true);
        check(email, "jane@openssh.example", true);
        check(email, "jane%40example.com", true);
        check(email, "jane%2Btag%2540example.com", true);
        check(email, r"jane\u0040example.com", true);
    }

    #[test]
    fn not_email_addresses() {
        check(email, "user@host", false);
        check(email, "icon@2x.png", false);
        check(email, "pkg@1.2.3", false);
        check(email, "pkg@1.2.3-rc.beta", false);
        check(email, "getty@tty1.service", false);
        check(email, "systemd-fsck@dev-sda1.service", false);
        check(email, "user@1000.slice", false);
        check(email, "git@github.com", false);
        check(email, "aes128-gcm@openssh.com", false);
        check(email, "hmac-sha2-256-etm@openssh.com", false);
        check(email, "curve25519-sha256@libssh.org", false);
        check(email, "func@main.rs", false);
        check(email, "rabbit@mq-0.mq.default.svc.cluster.local", false);
        check(email, "root@10.0.0.1", false);
        check(email, "scope%401.2.3", false);
        check(email, "jane%41example.com", false);
        check(email, "a@b..com", false);
        check(email, "a@-b.com", false);
        check(email, "a@b-.com", false);
        check(email, "a b@c.com", false);
        check(email, "...@c.com", false);
        check(email, "@c.com", false);
        check(email, "a@", false);
        check(email, "a@.", false);
        check(email, "", false);
    }
}
