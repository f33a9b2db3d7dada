//! Dates and times as IMAP writes them.
//!
//! RFC 9051 §9 (`date-time`: `"17-Jul-1996 02:44:25 -0700"`; `date`: `1-Feb-1994`); RFC 3339 §5.6 (in URLs).
//!
//! Invariants: a day exists in the calendar; a moment is a number of seconds, its zone only how it is written.
//! Not here: clocks.

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_SECS: i64 = 86_400;

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

impl Day {
    /// A day that there is, in the years 1 to 9999.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let fits = (1..=9999).contains(&year) && (1..=12).contains(&month) && day >= 1;
        (fits && day <= days_in(year, month)).then_some(Day { year, month, day })
    }

    /// Days since 1970-01-01.
    pub fn number(self) -> i64 {
        // After Howard Hinnant: years begin in March, so that the leap day comes last.
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let (era, month) = (year.div_euclid(400), i64::from((self.month + 9) % 12));
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }

    /// The day of this number, if its year has at most four digits.
    pub fn of_number(number: i64) -> Option<Self> {
        let shifted = number.checked_add(719_468)?;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Day::new(u16::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
    }

    /// Reads `1-Feb-1994`; `01` and ` 1` are read, too.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = text.split(|&octet| octet == b'-');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || year.len() != 4 {
            return None;
        }
        let month = MONTHS.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(month))?;
        let day = digits(day.strip_prefix(b" ").unwrap_or(day), 2)?;
        Day::new(u16::try_from(digits(year, 4)?).ok()?, u8::try_from(month + 1).ok()?, u8::try_from(day).ok()?)
    }

    /// Year, month (1 to 12), day.
    pub fn parts(self) -> (u16, u8, u8) {
        (self.year, self.month, self.day)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{:04}", self.day, MONTHS[usize::from(self.month) - 1], self.year)
    }
}

/// A moment, and the zone it was or will be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Unix seconds.
    pub unix_secs: i64,
    /// Minutes east of Greenwich.
    pub zone_minutes: i16,
}

impl Moment {
    /// In UTC.
    pub fn utc(unix_secs: i64) -> Self {
        Moment { unix_secs, zone_minutes: 0 }
    }

    /// Reads what stands between the quotes of a `date-time`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = text.trim_ascii_start().split(|&octet| octet == b' ');
        let (day, time, zone) = (Day::parse(parts.next()?)?, parts.next()?, parts.next()?);
        let ([h1, h2, b':', m1, m2, b':', s1, s2], None) = (time, parts.next()) else { return None };
        let (hour, minute, second) = (pair(*h1, *h2)?, pair(*m1, *m2)?, pair(*s1, *s2)?);
        let [sign @ (b'+' | b'-'), zh1, zh2, zm1, zm2] = zone else { return None };
        Self::of(day, [hour, minute, second], *sign, [pair(*zh1, *zh2)?, pair(*zm1, *zm2)?])
    }

    /// Reads `1996-12-19T16:39:57.52-08:00` (RFC 3339 §5.6). Parts of seconds are left out.
    pub fn parse_internet(text: &[u8]) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else { return None };
        let year = u16::try_from(digits(&[*y1, *y2, *y3, *y4], 4)?).ok()?;
        let day = Day::new(year, u8::try_from(pair(*m1, *m2)?).ok()?, u8::try_from(pair(*d1, *d2)?).ok()?)?;
        let [b'T' | b't', h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = rest else { return None };
        let (hour, minute, second) = (pair(*h1, *h2)?, pair(*m1, *m2)?, pair(*s1, *s2)?);
        let rest = match rest {
            [b'.', rest @ ..] if rest.first().is_some_and(u8::is_ascii_digit) => {
                &rest[rest.iter().take_while(|octet| octet.is_ascii_digit()).count()..]
            }
            rest => rest,
        };
        let (sign, zone_hours, zone_mins) = match rest {
            [b'Z' | b'z'] => (b'+', 0, 0),
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => (*sign, pair(*h1, *h2)?, pair(*m1, *m2)?),
            _ => return None,
        };
        Self::of(day, [hour, minute, second], sign, [zone_hours, zone_mins])
    }

    /// A day and a time in a zone, which is east of Greenwich by hours and minutes, or west with `-`.
    fn of(day: Day, [hour, minute, second]: [u32; 3], sign: u8, [zone_hours, zone_mins]: [u32; 2]) -> Option<Self> {
        // A leap second is the first of the next minute here.
        if hour > 23 || minute > 59 || second > 60 || zone_hours > 23 || zone_mins > 59 {
            return None;
        }
        let zone = i64::from(zone_hours * 60 + zone_mins) * if sign == b'-' { -1 } else { 1 };
        let local = day.number() * DAY_SECS + i64::from(hour * 3600 + minute * 60 + second);
        Some(Moment { unix_secs: local - zone * 60, zone_minutes: i16::try_from(zone).ok()? })
    }
}

/// Without the quotes. What no calendar of four digits has is written as the first moment of 1970.
impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let local = self.unix_secs.saturating_add(i64::from(self.zone_minutes) * 60);
        let (day, second) = (Day::of_number(local.div_euclid(DAY_SECS)), local.rem_euclid(DAY_SECS));
        let Some(day) = day else { return Moment::utc(0).fmt(f) };
        let (sign, zone) = (if self.zone_minutes < 0 { '-' } else { '+' }, self.zone_minutes.unsigned_abs());
        let (year, month, date) = day.parts();
        write!(f, "{date:2}-{}-{year:04} ", MONTHS[usize::from(month) - 1])?;
        write!(f, "{:02}:{:02}:{:02} ", second / 3600, second / 60 % 60, second % 60)?;
        write!(f, "{sign}{:02}{:02}", zone / 60, zone % 60)
    }
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn pair(tens: u8, ones: u8) -> Option<u32> {
    digits(&[tens, ones], 2)
}

fn digits(text: &[u8], max: usize) -> Option<u32> {
    let fits = (1..=max).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    fits.then(|| text.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_moment_of_the_textbook() {
        let moment = Moment::parse(b"17-Jul-1996 02:44:25 -0700").expect("a moment");
        assert_eq!(moment.unix_secs, 837_596_665);
        assert_eq!(moment.to_string(), "17-Jul-1996 02:44:25 -0700");
        assert_eq!(Moment::utc(0).to_string(), " 1-Jan-1970 00:00:00 +0000");
        assert_eq!(Moment::utc(i64::MAX).to_string(), Moment::utc(0).to_string());
        assert_eq!(Moment::parse(b" 1-jan-1970 00:00:00 +0000"), Some(Moment::utc(0)));
    }

    #[test]
    fn days_that_are_none() {
        assert_eq!(Day::parse(b"29-Feb-2024").map(|day| day.to_string()), Some("29-Feb-2024".into()));
        for text in
            ["29-Feb-2023", "0-Jan-2000", "1-Foo-2000", "1-Jan-20", "1-Jan-2000-1", "", "1 Jan 2000", "1-Jan-0000"]
        {
            assert_eq!(Day::parse(text.as_bytes()), None, "{text}");
        }
        for text in ["1-Jan-2000 24:00:00 +0000", "1-Jan-2000 1:00:00 +0000", "1-Jan-2000 01:00:00 0000", "1-Jan-2000"]
        {
            assert_eq!(Moment::parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(unix_secs in -60_000_000_000i64..250_000_000_000, zone_minutes in -1439i16..1440) {
            let moment = Moment { unix_secs, zone_minutes };
            prop_assert_eq!(Moment::parse(moment.to_string().as_bytes()), Some(moment));
        }

        #[test]
        fn days_count_up(number in -700_000i64..2_900_000) {
            let (day, next) = (Day::of_number(number).expect("a day"), Day::of_number(number + 1).expect("a day"));
            prop_assert_eq!(day.number(), number);
            prop_assert!(day < next);
            prop_assert_eq!(Day::parse(day.to_string().as_bytes()), Some(day));
        }
    }
}
