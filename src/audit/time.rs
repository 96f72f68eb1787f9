//! Times as the trail writes them: RFC 3339, UTC, milliseconds. What time it is, the caller says.

use std::fmt;

/// Milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

/// The end of the year 9999: RFC 3339 knows no later one.
const LAST: u64 = 253_402_300_799_999;
const DAY: u64 = 86_400_000;

impl Time {
    /// Reads `YYYY-MM-DDThh:mm:ss.mmmZ`, as it is written here.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |range: std::ops::Range<usize>| -> Option<u64> {
            text.get(range).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
        };
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        // Counted as below: from a year that begins in March.
        let (of_march, year) = ((month + 9) % 12, year.checked_sub(u64::from(month < 3))?);
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * of_march + 2) / 5 + day;
        let days = days.checked_sub(719_469)?;
        let seconds = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
        let time = Self(days * DAY + seconds * 1000 + number(20..23)?);
        // What it would not write is none: a month of 13, a day of 31 where there are 30.
        (time.to_string() == text).then_some(time)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.min(LAST);
        // Years that begin in March: a leap day is the last of its year. 146,097 days are 400 years.
        let days = millis / DAY + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let of_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * of_march + 2) / 5 + 1;
        let month = (of_march + 2) % 12 + 1;
        let year = era * 400 + year_of_era + u64::from(month < 3);
        let of_day = millis % DAY;
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let check = |millis, want: &str| {
            assert_eq!(Time(millis).to_string(), want);
            assert_eq!(Time::parse(want), Some(Time(millis)));
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_001, "2000-02-29T00:00:00.001Z");
        check(1_767_225_599_999, "2025-12-31T23:59:59.999Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
        check(LAST, "9999-12-31T23:59:59.999Z");
        for text in [
            "2026-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-01-01T24:00:00.000Z",
            "2026-01-01",
            "é026",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }
}
