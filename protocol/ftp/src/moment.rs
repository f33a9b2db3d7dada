//! Moments as FTP writes them: `YYYYMMDDHHMMSS`, always UTC.
//!
//! RFC 3659 §2.3 (time-val); draft-somers-ftp-mfxx-03 §3.1 (a date that does not exist is refused).
//!
//! Departure: a fraction of a second is read and forgotten, and never written. RFC 3659 §2.3 allows it, but clients
//! stumble over it, and no listing needs it.
//!
//! Invariants: `parse(write(m)) == m` for the years 1000 to 9999; a date that does not exist is not read.
//! Not here: what time it is (comes in as a parameter), other zones (there are none in FTP).

/// Seconds since 1970-01-01 00:00:00 UTC; leap seconds are not counted, as in POSIX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

/// A moment as the calendar shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// 1000 to 9999.
    pub year: u32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59.
    pub second: u32,
}

const DAY_SECS: i64 = 86_400;
/// 1000-01-01 00:00:00: a time-val has four digits for the year, and the first is not 0.
const EARLIEST: i64 = -30_610_224_000;
/// 9999-12-31 23:59:59.
const LATEST: i64 = 253_402_300_799;

impl Moment {
    /// Years before 1000 and behind 9999 cannot be written; what lies beyond is brought to the nearest end.
    pub fn from_unix_secs(secs: i64) -> Self {
        Moment(secs.clamp(EARLIEST, LATEST))
    }

    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub fn unix_secs(self) -> i64 {
        self.0
    }

    /// Fourteen digits, perhaps a point and a fraction.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (digits, fraction) = text.split_at_checked(14)?;
        match fraction {
            [] => {}
            [b'.', rest @ ..] if !rest.is_empty() && rest.iter().all(u8::is_ascii_digit) => {}
            _ => return None,
        }
        Self::from_digits(digits)
    }

    /// `YYYYMMDDhhmm` or with seconds, as SITE UTIME has it.
    pub fn parse_short(text: &[u8]) -> Option<Self> {
        match text.len() {
            12 => Self::from_digits(&[text, b"00"].concat()),
            14 => Self::from_digits(text),
            _ => None,
        }
    }

    fn from_digits(digits: &[u8]) -> Option<Self> {
        let field = |from: usize, to: usize| number(digits.get(from..to)?);
        let civil = Civil {
            year: field(0, 4)?,
            month: field(4, 6)?,
            day: field(6, 8)?,
            hour: field(8, 10)?,
            minute: field(10, 12)?,
            second: field(12, 14)?,
        };
        civil.moment()
    }

    /// Appends fourteen digits.
    pub fn write(self, out: &mut Vec<u8>) {
        let civil = self.civil();
        digits(civil.year, 4, out);
        for field in [civil.month, civil.day, civil.hour, civil.minute, civil.second] {
            digits(field, 2, out);
        }
    }

    /// What the calendar shows.
    pub fn civil(self) -> Civil {
        let (year, month, day) = date(self.0.div_euclid(DAY_SECS));
        let secs = self.0.rem_euclid(DAY_SECS) as u32;
        Civil { year, month, day, hour: secs / 3600, minute: secs / 60 % 60, second: secs % 60 }
    }
}

impl Civil {
    /// `None` if there is no such date. Second 60, a leap second, is the next minute's first (RFC 3659 §2.3).
    pub fn moment(self) -> Option<Moment> {
        let good = (1000..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=month_days(self.year, self.month)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60;
        let secs = i64::from(self.hour * 3600 + self.minute * 60 + self.second);
        good.then(|| Moment::from_unix_secs(days(self.year, self.month, self.day) * DAY_SECS + secs))
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, octet| octet.is_ascii_digit().then(|| sum * 10 + u32::from(octet - b'0')))
}

fn digits(value: u32, count: u32, out: &mut Vec<u8>) {
    out.extend((0..count).rev().map(|place| b'0' + (value / 10_u32.pow(place) % 10) as u8));
}

fn month_days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01. The year begins in March here, so that the leap day is its last: then the days before a month
/// are a straight line, `(153 m + 2) / 5`.
fn days(year: u32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The other way round.
fn date(days: i64) -> (u32, u32, u32) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Option<i64> {
        Moment::parse(text.as_bytes()).map(Moment::unix_secs)
    }

    fn written(moment: Moment) -> String {
        let mut out = Vec::new();
        moment.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_moments() {
        for (text, secs) in [
            ("19700101000000", 0),
            ("20000229235959", 951_868_799),
            ("19980615100045", 897_904_845),
            ("19980615100045.014", 897_904_845),
            ("20161231235960", 1_483_228_800),
            ("10000101000000", EARLIEST),
            ("99991231235959", LATEST),
        ] {
            assert_eq!(parsed(text), Some(secs), "{text}");
        }
        assert_eq!(Moment::parse_short(b"200002292359").map(Moment::unix_secs), Some(951_868_740));
    }

    #[test]
    fn what_is_no_moment() {
        for text in [
            "",
            "1998061510004",
            "199806151000455",
            "19980615100045.",
            "19980615100045.x",
            "1998061510004x",
            "19990229000000",
            "19001301000000",
            "20000431000000",
            "20000400000000",
            "20000401240000",
            "20000401006000",
            "20000401000061",
            "09991231235959",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parse_after_write_is_identity(secs in EARLIEST..=LATEST) {
            let moment = Moment::from_unix_secs(secs);
            prop_assert_eq!(Moment::parse(written(moment).as_bytes()), Some(moment));
            prop_assert_eq!(moment.civil().moment(), Some(moment));
        }

        #[test]
        fn any_moment_can_be_written(secs in any::<i64>()) {
            prop_assert_eq!(written(Moment::from_unix_secs(secs)).len(), 14);
        }
    }
}
