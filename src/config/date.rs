//! Dates of the Gregorian calendar, as configurations write them. Which day it is, the caller knows.

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |range: std::ops::Range<usize>| -> Option<u16> {
            let digits = text.get(range).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse().ok()
        };
        let is_date = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
        let (year, month, day) = (number(0..4).filter(|_| is_date)?, number(5..7)?, number(8..10)?);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u16::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        (1..=days).contains(&day).then_some(Self { year, month: month as u8, day: day as u8 })
    }

    /// The day, in UTC, so many seconds after the start of 1970.
    pub fn at(seconds: u64) -> Self {
        // Counted from 0000-03-01, a leap day is the last day of its year; 146,097 days are 400 years.
        let days = (seconds / 86_400).min(2_932_896) + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let year = era * 400 + year_of_era + u64::from(month >= 10);
        let month = if month < 10 { month + 3 } else { month - 9 };
        Self { year: year as u16, month: month as u8, day: day as u8 }
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_calendar() {
        for text in ["2026-12-31", "2024-02-29", "2000-02-29", "0001-01-01"] {
            assert_eq!(Date::parse(text).map(|date| date.to_string()).as_deref(), Some(text));
        }
        for text in [
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "2026-1-1",
            "20261231",
            "+026-01-01",
            "2026-01-1é",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        assert!(Date::parse("2026-12-31") < Date::parse("2027-01-01"));
    }

    #[test]
    fn days_of_the_clock() {
        let check = |seconds, want: &str| assert_eq!(Date::at(seconds).to_string(), want);
        check(0, "1970-01-01");
        check(86_399, "1970-01-01");
        check(951_782_400, "2000-02-29");
        check(951_868_800, "2000-03-01");
        check(1_767_225_599, "2025-12-31");
        check(1_767_225_600, "2026-01-01");
        check(4_107_542_400, "2100-03-01");
        check(u64::MAX, "9999-12-31");
    }
}
