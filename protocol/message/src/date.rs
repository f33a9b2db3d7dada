//! Dates as header fields write them: `Mon, 23 Nov 2026 10:00:00 +0000`.
//!
//! RFC 5322 §3.3 (date and time), §4.3 (obsolete years and zones).
//!
//! Invariants: a [`Date`] can always be written (its year has four digits); what is written is read back as the same.
//! Not here: what time it is (a parameter of whoever writes), the forms of other protocols (they have their own rooms).

use std::fmt;

use crate::syntax::is_wsp;

const DAY_SECS: i64 = 86_400;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// RFC 5322 §4.3: the zone names that have a meaning, in minutes east of Greenwich.
const ZONES: [(&str, i16); 10] = [
    ("UT", 0),
    ("GMT", 0),
    ("EST", -5 * 60),
    ("EDT", -4 * 60),
    ("CST", -6 * 60),
    ("CDT", -5 * 60),
    ("MST", -7 * 60),
    ("MDT", -6 * 60),
    ("PST", -8 * 60),
    ("PDT", -7 * 60),
];

/// RFC 5322 §3.3: four digits of a zone can say no more than 99 hours and 59 minutes.
const ZONE_MINUTES_MAX: i16 = 99 * 60 + 59;

/// The shortest time of which every zone still lies in a year of four digits: 2 January of the year 0, and 26 hours.
const EARLIEST: i64 = -62_167_219_200 + 5 * DAY_SECS;
/// Likewise the longest: before the end of the year 9999.
const LATEST: i64 = 253_402_300_799 - 5 * DAY_SECS;

/// A moment, and the place it was seen from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Date {
    unix_secs: i64,
    zone: Zone,
}

/// How local time differed from universal time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zone {
    /// Minutes east of Greenwich.
    East(i16),
    /// The time is universal, the place is not told: `-0000`.
    Unknown,
}

/// A day of the calendar, and a time of day, as the writer's clock showed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Local {
    /// 0 to 9999.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl Date {
    /// A moment in seconds since 1970, seen from a zone. What no year of four digits can show is brought near.
    pub fn new(unix_secs: i64, zone: Zone) -> Self {
        let zone = match zone {
            Zone::East(minutes) => Zone::East(minutes.clamp(-ZONE_MINUTES_MAX, ZONE_MINUTES_MAX)),
            Zone::Unknown => Zone::Unknown,
        };
        Date { unix_secs: unix_secs.clamp(EARLIEST, LATEST), zone }
    }

    /// A moment in seconds since 1970, shown as `+0000`.
    pub fn utc(unix_secs: i64) -> Self {
        Date::new(unix_secs, Zone::East(0))
    }

    /// Seconds since 1970, leap seconds not counted.
    pub fn unix_secs(&self) -> i64 {
        self.unix_secs
    }

    /// The zone it was written in.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// What the writer's clock showed, in seconds since 1970 as if it had stood in Greenwich.
    pub fn local_secs(&self) -> i64 {
        self.unix_secs + self.zone.secs()
    }

    /// What the writer's clock showed.
    pub fn local(&self) -> Local {
        let secs = self.local_secs();
        let (year, month, day) = civil(secs.div_euclid(DAY_SECS));
        let of_day = secs.rem_euclid(DAY_SECS);
        Local {
            year: year as i32,
            month,
            day,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
        }
    }

    /// Reads the value of a date field, all obsolete forms included; a wrong name of the day does not matter.
    ///
    /// More lenient than the grammar: months and days in full, no zone (then it is unknown), comments anywhere,
    /// anything behind the zone.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut words = Words { text: value };
        let mut day = words.next()?;
        if day.first()?.is_ascii_alphabetic() {
            day = words.next()?;
        }
        let day = number(day, 1..=2)?;
        let month = month(words.next()?)?;
        let year = year(words.next()?)?;
        let hour = number(words.next()?, 1..=2)?;
        let minute = words.after_colon().and_then(|word| number(word, 1..=2))?;
        let second = words.after_colon().map_or(Some(0), |word| number(word, 1..=2))?;
        if !(1..=days_in(year, month)).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let zone = words.next().map_or(Zone::Unknown, zone);
        let days = days_from_civil(year, month, day);
        // A leap second (RFC 5322 §3.3 allows 60) is the first one of the next minute.
        Some(Date::new(days * DAY_SECS + hour * 3600 + minute * 60 + second - zone.secs(), zone))
    }
}

impl Zone {
    fn secs(self) -> i64 {
        match self {
            Zone::East(minutes) => i64::from(minutes) * 60,
            Zone::Unknown => 0,
        }
    }
}

/// Writes it as RFC 5322 §3.3 says, the day of the week and the seconds included.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Local { year, month, day, hour, minute, second } = self.local();
        let days = (self.unix_secs + self.zone.secs()).div_euclid(DAY_SECS);
        // 1 January 1970 was a Thursday.
        let weekday = WEEKDAYS[(days + 3).rem_euclid(7) as usize];
        let month = MONTHS[usize::from(month) - 1];
        let (sign, minutes) = match self.zone {
            Zone::East(minutes) if minutes >= 0 => ('+', minutes),
            Zone::East(minutes) => ('-', -minutes),
            Zone::Unknown => ('-', 0),
        };
        write!(
            f,
            "{weekday}, {day} {month} {year:04} {hour:02}:{minute:02}:{second:02} {sign}{:02}{:02}",
            minutes / 60,
            minutes % 60
        )
    }
}

/// The words of a date: letters, or digits with their sign. Colons are kept apart, all else only separates.
struct Words<'a> {
    text: &'a [u8],
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        self.skip(b",-.:");
        self.word()
    }

    /// The number behind a colon, if a colon is what follows.
    fn after_colon(&mut self) -> Option<&'a [u8]> {
        self.skip(b"");
        self.text = self.text.strip_prefix(b":")?;
        self.skip(b"");
        self.word()
    }

    fn word(&mut self) -> Option<&'a [u8]> {
        let digits = self.text.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(self.text.len());
        let letters = self.text.iter().position(|octet| !octet.is_ascii_alphabetic()).unwrap_or(self.text.len());
        let signed = match self.text.first()? {
            b'+' | b'-' => {
                1 + self.text[1..].iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(self.text.len() - 1)
            }
            _ => 0,
        };
        let (word, rest) = self.text.split_at(digits.max(letters).max(signed));
        self.text = rest;
        (!word.is_empty()).then_some(word)
    }

    /// Passes over blanks, line ends, comments, and the given separators, but not over the sign of a number.
    fn skip(&mut self, separators: &[u8]) {
        while let [first, rest @ ..] = self.text {
            match first {
                b'(' => self.skip_comment(),
                b'-' if rest.len() >= 4 && rest[..4].iter().all(u8::is_ascii_digit) && !separators.is_empty() => return,
                octet if is_wsp(*octet) || matches!(octet, b'\r' | b'\n') || separators.contains(octet) => {
                    self.text = rest
                }
                _ => return,
            }
        }
    }

    fn skip_comment(&mut self) {
        let (mut depth, mut at) = (0usize, 0);
        while let Some(octet) = self.text.get(at) {
            at += 1;
            match octet {
                b'\\' => at += 1,
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        self.text = &self.text[at.min(self.text.len())..];
    }
}

fn number(word: &[u8], digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let is_number = digits.contains(&word.len()) && word.iter().all(u8::is_ascii_digit);
    is_number.then(|| word.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

fn month(word: &[u8]) -> Option<i64> {
    let at = MONTHS.iter().position(|month| word.len() >= 3 && word[..3].eq_ignore_ascii_case(month.as_bytes()))?;
    Some(at as i64 + 1)
}

/// RFC 5322 §4.3: two digits are 1950 to 2049, three are counted from 1900.
fn year(word: &[u8]) -> Option<i64> {
    // `23-Nov-2026` has its hyphen still.
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let year = number(word, 2..=4)?;
    Some(match (word.len(), year) {
        (2, 0..50) => year + 2000,
        (2 | 3, _) => year + 1900,
        _ => year,
    })
}

/// RFC 5322 §4.3: names that are not known, and the military letters (wrong in RFC 822), say nothing.
fn zone(word: &[u8]) -> Zone {
    let sign = match word.first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => {
            return ZONES
                .iter()
                .find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()))
                .map_or(Zone::Unknown, |zone| Zone::East(zone.1));
        }
    };
    match number(&word[1..], 4..=4) {
        Some(0) if sign < 0 => Zone::Unknown,
        Some(digits) if digits % 100 < 60 => Zone::East(sign * (digits / 100 * 60 + digits % 100) as i16),
        _ => Zone::Unknown,
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a day in the Gregorian calendar. Years are counted from March, so that a leap day is their last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The reverse: year, month and day.
fn civil(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reads(value: &str) -> Option<String> {
        Date::parse(value.as_bytes()).map(|date| date.to_string())
    }

    #[test]
    fn dates_are_written_as_the_rfc_says() {
        assert_eq!(Date::utc(1_795_428_000).to_string(), "Mon, 23 Nov 2026 10:00:00 +0000");
        assert_eq!(Date::new(1_795_428_000, Zone::East(-330)).to_string(), "Mon, 23 Nov 2026 04:30:00 -0530");
        assert_eq!(Date::new(1_795_428_000, Zone::East(60)).to_string(), "Mon, 23 Nov 2026 11:00:00 +0100");
        assert_eq!(Date::new(0, Zone::Unknown).to_string(), "Thu, 1 Jan 1970 00:00:00 -0000");
        assert_eq!(Date::utc(951_782_400).to_string(), "Tue, 29 Feb 2000 00:00:00 +0000");
    }

    #[test]
    fn dates_out_of_all_proportion_are_still_dates() {
        for secs in [i64::MIN, i64::MAX] {
            for zone in [Zone::East(i16::MIN), Zone::East(i16::MAX), Zone::Unknown] {
                let written = Date::new(secs, zone).to_string();
                assert_eq!(reads(&written), Some(written.clone()), "{written}");
            }
        }
    }

    #[test]
    fn the_examples_of_rfc_5322_are_read() {
        let same = |value: &str| assert_eq!(reads(value).as_deref(), Some(value));
        same("Fri, 21 Nov 1997 09:55:06 -0600");
        same("Tue, 1 Jul 2003 10:52:37 +0200");
        // Appendix A.5, A.6.2, A.6.3.
        assert_eq!(reads("Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)").as_deref(), Some("Thu, 13 Feb 1969 23:32:00 -0330"));
        assert_eq!(reads("21 Nov 97 09:55:06 GMT").as_deref(), Some("Fri, 21 Nov 1997 09:55:06 +0000"));
        assert_eq!(
            reads("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600").as_deref(),
            Some("Fri, 21 Nov 1997 09:55:06 -0600")
        );
    }

    #[test]
    fn obsolete_years_and_zones_are_read() {
        for (value, read) in [
            ("1 Jan 49 00:00 UT", "Fri, 1 Jan 2049 00:00:00 +0000"),
            ("1 Jan 50 00:00 EST", "Sun, 1 Jan 1950 00:00:00 -0500"),
            ("1 Jan 126 00:00 pdt", "Thu, 1 Jan 2026 00:00:00 -0700"),
            ("1 Jan 2026 00:00 A", "Thu, 1 Jan 2026 00:00:00 -0000"),
            ("1 Jan 2026 00:00 Z", "Thu, 1 Jan 2026 00:00:00 -0000"),
            ("1 Jan 2026 00:00 CEST", "Thu, 1 Jan 2026 00:00:00 -0000"),
            ("1 Jan 2026 00:00 -0000", "Thu, 1 Jan 2026 00:00:00 -0000"),
            ("1 Jan 2026 00:00", "Thu, 1 Jan 2026 00:00:00 -0000"),
        ] {
            assert_eq!(reads(value).as_deref(), Some(read), "{value}");
        }
    }

    #[test]
    fn habits_outside_of_the_grammar_are_read() {
        for (value, read) in [
            ("Sat, 23 Nov 2026 10:00:00 +0000", "Mon, 23 Nov 2026 10:00:00 +0000"),
            ("Monday, 23 November 2026 10:00:00 +0000 (UTC)", "Mon, 23 Nov 2026 10:00:00 +0000"),
            ("23-Nov-2026 10:00:00 +0100", "Mon, 23 Nov 2026 10:00:00 +0100"),
            ("(a (nested) one) Mon,23 Nov 2026 10:00:00+0100", "Mon, 23 Nov 2026 10:00:00 +0100"),
            ("31 Dec 2016 23:59:60 +0000", "Sun, 1 Jan 2017 00:00:00 +0000"),
        ] {
            assert_eq!(reads(value).as_deref(), Some(read), "{value}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for value in [
            "",
            "Mon",
            "(",
            "\\",
            "30 Feb 2026 00:00 +0000",
            "1 Foo 2026 00:00 +0000",
            "1 Jan 2026 24:00 +0000",
            "1 Jan 2026 00:60",
            "1 Jan 2026",
            "1 Jan 2026 00",
            "0 Jan 2026 00:00",
            "1 Jan 12026 00:00",
        ] {
            assert_eq!(reads(value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(secs in EARLIEST..LATEST, minutes in proptest::option::of(-ZONE_MINUTES_MAX..ZONE_MINUTES_MAX)) {
            let date = Date::new(secs, minutes.map_or(Zone::Unknown, Zone::East));
            // Years below 100 are written with four digits but would be taken for short ones by other readers, not by us.
            prop_assert_eq!(Date::parse(date.to_string().as_bytes()), Some(date));
        }

        #[test]
        fn nothing_panics(value in "[-+:,(0-9a-zJjFfMm\\\\ )]{0,40}") {
            Date::parse(value.as_bytes());
        }
    }
}
