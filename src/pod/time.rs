//! Times as logs write them, in nanoseconds since 1970: RFC 3339, and the one of RFC 3164 that has neither year nor zone.
//! No clock is read here but by [`now`].

use std::time::{SystemTime, UNIX_EPOCH};

const NANOS: u64 = 1_000_000_000;
const DAY: u64 = 86_400;

/// The time now. A clock that stands before 1970 gives 0: not known.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar; `None`: there is no such day, or it was before.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let most = match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=most).contains(&day) || !(1970..=2554).contains(&year) {
        return None;
    }
    // Years that begin in March end with the day that not every year has.
    let year = year - u64::from(month <= 2);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468)
}

/// Year, month and day, so many days after 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// The number that so many digits from `at` on make.
fn digits(text: &[u8], at: usize, count: usize) -> Option<u64> {
    let digits = text.get(at..at + count)?;
    let all = digits.iter().all(u8::is_ascii_digit);
    all.then(|| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// `HH:MM:SS` from `at` on, in seconds. A leap second is the last of its minute.
fn clock(text: &[u8], at: usize) -> Option<u64> {
    let (hour, minute, second) = (digits(text, at, 2)?, digits(text, at + 3, 2)?, digits(text, at + 6, 2)?);
    let is_clock = text[at + 2] == b':' && text[at + 5] == b':' && hour < 24 && minute < 60 && second <= 60;
    is_clock.then(|| hour * 3600 + minute * 60 + second.min(59))
}

/// Reads a whole text as a time of RFC 3339, as container runtimes and RFC 5424 write it.
pub fn parse_rfc3339(text: &[u8]) -> Option<u64> {
    let (year, month, day) = (digits(text, 0, 4)?, digits(text, 5, 2)?, digits(text, 8, 2)?);
    if text[4] != b'-' || text[7] != b'-' || !matches!(text.get(10)?, b'T' | b't' | b' ') {
        return None;
    }
    let seconds = days(year, month, day)? * DAY + clock(text, 11)?;
    let mut rest = &text[19..];
    let mut nanos = 0;
    if let [b'.' | b',', part @ ..] = rest {
        let count = part.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 || count > 18 {
            return None;
        }
        let shown = count.min(9);
        nanos = digits(part, 0, shown)? * 10_u64.pow(9 - shown as u32);
        rest = &part[count..];
    }
    let offset = match rest {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), zone @ ..] if zone.len() == 5 && zone[2] == b':' => {
            let (hours, minutes) = (digits(zone, 0, 2)?, digits(zone, 3, 2)?);
            let offset = (hours * 3600 + minutes * 60) as i64;
            if hours > 23 || minutes > 59 {
                return None;
            }
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    seconds.checked_add_signed(-offset)?.checked_mul(NANOS)?.checked_add(nanos)
}

/// Writes a time as RFC 3339 has it, in UTC, to the nanosecond.
pub fn write_rfc3339(time: u64, out: &mut Vec<u8>) {
    let (seconds, nanos) = (time / NANOS, time % NANOS);
    let (year, month, day) = date(seconds / DAY);
    let of_day = seconds % DAY;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z");
    out.extend_from_slice(text.as_bytes());
}

const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// Reads the fifteen bytes of a time of RFC 3164 (`Oct 11 22:14:15`), in UTC, as the one of the years around `now` that is
/// nearest to it, but not more than a day after it.
pub fn parse_rfc3164(text: &[u8], now: u64) -> Option<u64> {
    let name = text.get(..3)?;
    let month = MONTHS.chunks(3).position(|month| month == name)? as u64 + 1;
    let day = if text.get(4) == Some(&b' ') { digits(text, 5, 1)? } else { digits(text, 4, 2)? };
    let of_day = clock(text, 7)?;
    if text[3] != b' ' || text[6] != b' ' {
        return None;
    }
    let (this_year, ..) = date(now / NANOS / DAY);
    let last = now.saturating_add(DAY * NANOS);
    let at = |year| Some((days(year, month, day)? * DAY + of_day) * NANOS);
    // The 29th of February may be years ago.
    (0..9).map(|back| this_year + 1 - back).filter_map(at).find(|&time| time <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(time: u64) -> String {
        let mut out = Vec::new();
        write_rfc3339(time, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn rfc_3339_there_and_back() {
        let check = |text: &str, want: Option<&str>| {
            assert_eq!(parse_rfc3339(text.as_bytes()).map(shown).as_deref(), want, "{text}");
        };
        check("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00.000000000Z"));
        check("2024-02-29T23:59:60.5Z", Some("2024-02-29T23:59:59.500000000Z"));
        check("2026-10-11T22:14:15.003+02:00", Some("2026-10-11T20:14:15.003000000Z"));
        check("2026-01-01T00:30:00.123456789123-01:30", Some("2026-01-01T02:00:00.123456789Z"));
        for bad in [
            "",
            "2026-10-11",
            "2026-10-11T22:14:15",
            "2026-13-11T22:14:15Z",
            "2026-02-29T22:14:15Z",
            "2026-10-11T24:14:15Z",
            "2026-10-11T22:14:15.Z",
            "2026-10-11T22:14:15+0200",
            "1970-01-01T00:00:00+01:00",
            "2026-10-11T22:14:15Zx",
            "2026-10-11T22:14:1",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn a_time_without_a_year_is_the_nearest() {
        let now = parse_rfc3339(b"2027-01-01T00:00:10Z").expect("a time");
        let check = |text: &str, want: Option<&str>| {
            let got = parse_rfc3164(text.as_bytes(), now).map(shown);
            assert_eq!(got.as_deref().map(|time| &time[..19]), want, "{text}");
        };
        check("Dec 31 23:59:59", Some("2026-12-31T23:59:59"));
        check("Jan  1 00:00:09", Some("2027-01-01T00:00:09"));
        check("Jan  1 20:00:00", Some("2027-01-01T20:00:00"));
        check("Oct 11 22:14:15", Some("2026-10-11T22:14:15"));
        check("Feb 29 00:00:00", Some("2024-02-29T00:00:00"));
        for bad in ["", "Oct 11", "Okt 11 22:14:15", "Oct 32 22:14:15", "Oct 11 22-14-15", "Oct 11T22:14:15"]
        {
            check(bad, None);
        }
    }
}
