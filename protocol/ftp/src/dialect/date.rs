//! Dates as listings write them, and what they are worth.
//!
//! | date | whose |
//! |---|---|
//! | `Jul 10 10:18`, `Jul 10  1998`, `Jul 10 1998 10:18` | `ls -l` in English |
//! | `10 Jul 10:18`, `10. Jul 1998` | in other languages, whose months are known by their first letters |
//! | `2026-07-10 10:18`, `2026-07-10 10:18:33.000 +0200` | `ls --time-style` |
//! | `07-10 10:18` | the same, short |
//! | `7月 10日 10:18`, `7月 10日 1998年` | in Chinese and Japanese |
//!
//! Invariants: a date that does not exist is not read; a year that is not written is the last one that fits.
//! Not here: what zone a server is in, unless it says so (see [`zone_secs`]).

use super::tokens::{Tokens, digits};
use crate::moment::{Civil, Moment};

const DAY_SECS: i64 = 86_400;
/// A server's day may have begun when ours has not.
const AHEAD_SECS: i64 = DAY_SECS;
/// Zones lie between 12 hours behind Greenwich and 14 before.
const ZONE_MAX_SECS: i64 = 14 * 3600;
/// And are written in quarters of an hour.
const ZONE_STEP_SECS: i64 = 15 * 60;
/// Two-digit years below this are of our century.
const CENTURY_PIVOT: u32 = 70;

/// When something was, as the server has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// As written, taken for UTC.
    pub moment: Moment,
    /// How exact it is.
    pub precision: Precision,
    /// Whether it is UTC indeed. Otherwise it is the server's own time, whatever that is.
    pub utc: bool,
}

/// How exact a date is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// To the second.
    Second,
    /// To the minute.
    Minute,
    /// To the day.
    Day,
}

impl Stamp {
    /// A moment of RFC 3659.
    pub fn exact(moment: Moment) -> Self {
        Stamp { moment, precision: Precision::Second, utc: true }
    }

    /// What it is in UTC where the server's clock is so many seconds ahead of it.
    pub fn corrected(self, zone_secs: i64) -> Self {
        if self.utc {
            return self;
        }
        Stamp { moment: Moment::from_unix_secs(self.moment.unix_secs() - zone_secs), utc: true, ..self }
    }

    fn local(civil: Civil, precision: Precision) -> Option<Self> {
        Some(Stamp { moment: civil.moment()?, precision, utc: false })
    }
}

/// How far the server's clock is ahead of UTC: `listed` is what a listing says of a file, `told` what MDTM says of it.
/// `None` if the two cannot be the same moment.
pub fn zone_secs(listed: Stamp, told: Moment) -> Option<i64> {
    if listed.utc {
        return Some(0);
    }
    if listed.precision == Precision::Day {
        return None;
    }
    // What is exact to the minute was cut, not rounded.
    let difference =
        listed.moment.unix_secs() - told.unix_secs() + if listed.precision == Precision::Minute { 59 } else { 0 };
    let zone = difference.div_euclid(ZONE_STEP_SECS) * ZONE_STEP_SECS;
    (difference - zone < 60 && zone.abs() <= ZONE_MAX_SECS).then_some(zone)
}

/// A date whose first word is at this place, and how many words it has.
pub fn read(tokens: &Tokens, at: usize, now: Moment) -> Option<(Stamp, usize)> {
    iso(tokens, at, now).or_else(|| worded(tokens, at, now))
}

/// `2026-07-10 10:18`, `2026-07-10 10:18:33.000000000 +0200`, `07-10 10:18`
fn iso(tokens: &Tokens, at: usize, now: Moment) -> Option<(Stamp, usize)> {
    let parts: Vec<&str> = tokens.text(at).split('-').collect();
    let (year, month, day) = match parts[..] {
        [year, month, day] if year.len() == 4 => (Some(digits(year)?), digits(month)?, digits(day)?),
        [month, day] if month.len() == 2 && day.len() == 2 => (None, digits(month)?, digits(day)?),
        _ => return None,
    };
    let Some((hour, minute, second)) = time(tokens.text(at + 1)) else {
        // `ls --time-style=iso` shows no time for what is old.
        let year = year?;
        return Some((Stamp::local(civil(year, month, day), Precision::Day)?, 1));
    };
    let precision = if second.is_some() { Precision::Second } else { Precision::Minute };
    let with_time = |civil| Civil { hour, minute, second: second.unwrap_or(0), ..civil };
    let stamp = match year {
        Some(year) => Stamp::local(with_time(civil(year, month, day)), precision)?,
        None => latest(with_time(civil(0, month, day)), precision, now)?,
    };
    match zone(tokens.text(at + 2)) {
        Some(secs) if second.is_some() => Some((stamp.corrected(secs), 3)),
        _ => Some((stamp, 2)),
    }
}

/// A month's name and a day, either first, then a time, a year, or both.
fn worded(tokens: &Tokens, at: usize, now: Moment) -> Option<(Stamp, usize)> {
    let (first, second) = (tokens.text(at), tokens.text(at + 1));
    let (month, day) = match (month(first), month(second)) {
        (Some(month), _) => (month, day(second)?),
        (None, Some(month)) => (month, day(first)?),
        _ => return None,
    };
    let (third, fourth) = (tokens.text(at + 2), tokens.text(at + 3));
    if let Some((hour, minute, seconds)) = time(third) {
        let precision = if seconds.is_some() { Precision::Second } else { Precision::Minute };
        let moment = Civil { hour, minute, second: seconds.unwrap_or(0), ..civil(0, month, day) };
        // `Jul 10 10:18:33 2026` of `ls -T`: a time with seconds has its year behind it. Otherwise it is a name.
        if let Some(year) = seconds.and_then(|_| long_year(fourth)) {
            return Some((Stamp::local(Civil { year, ..moment }, precision)?, 4));
        }
        return Some((latest(moment, precision, now)?, 3));
    }
    let year = long_year(third)?;
    match time(fourth) {
        // `Jul 10 1998 10:18` is a date with a time only if a name follows.
        Some((hour, minute, None)) if tokens.len() > at + 4 => {
            Some((Stamp::local(Civil { hour, minute, ..civil(year, month, day) }, Precision::Minute)?, 4))
        }
        _ => Some((Stamp::local(civil(year, month, day), Precision::Day)?, 3)),
    }
}

/// The last year in which this was not in the future.
fn latest(moment: Civil, precision: Precision, now: Moment) -> Option<Stamp> {
    let this = now.civil().year;
    // Eight years may lie between two 29ths of February.
    (0..=8).find_map(|ago| {
        let stamp = Stamp::local(Civil { year: (this + 1).checked_sub(ago)?, ..moment }, precision)?;
        (stamp.moment.unix_secs() <= now.unix_secs() + AHEAD_SECS).then_some(stamp)
    })
}

pub fn civil(year: u32, month: u32, day: u32) -> Civil {
    Civil { year, month, day, hour: 0, minute: 0, second: 0 }
}

/// A date with a time, of the server's own clock.
pub fn stamp(date: Civil, (hour, minute, second): (u32, u32, Option<u32>)) -> Option<Stamp> {
    let precision = if second.is_some() { Precision::Second } else { Precision::Minute };
    Stamp::local(Civil { hour, minute, second: second.unwrap_or(0), ..date }, precision)
}

/// A date without a time.
pub fn day_stamp(date: Civil) -> Option<Stamp> {
    Stamp::local(date, Precision::Day)
}

/// `10:18`, `10:18:33`, `10:18:33.000000000`, `10:18AM`, `10:18p`
pub fn time(text: &str) -> Option<(u32, u32, Option<u32>)> {
    let upper = text.to_ascii_uppercase();
    let (clock, half) = match upper.trim_end_matches('M') {
        clock if clock.ends_with('A') => (&clock[..clock.len() - 1], Some(0)),
        clock if clock.ends_with('P') => (&clock[..clock.len() - 1], Some(12)),
        _ => (&upper[..], None),
    };
    let mut parts = clock.split(':');
    let (hour, minute) = (digits(parts.next()?)?, digits(parts.next()?)?);
    let second = match parts.next() {
        Some(second) => Some(digits(second.split('.').next()?)?),
        None => None,
    };
    let hour = match half {
        Some(noon) if (1..=12).contains(&hour) => hour % 12 + noon,
        Some(_) => return None,
        None => hour,
    };
    (parts.next().is_none() && hour < 24 && minute < 60).then_some((hour, minute, second))
}

/// `+0200`
fn zone(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let number = digits(text.get(1..5)?).filter(|_| text.len() == 5)?;
    Some(sign * i64::from(number / 100 * 3600 + number % 100 * 60))
}

fn day(text: &str) -> Option<u32> {
    let text = text.trim_end_matches(['.', ',', '日', '일']);
    digits(text).filter(|day| (1..=31).contains(day))
}

/// Four digits: `4 Nov 28 10:18` is a size and a date of this year, not one of 2028.
fn long_year(text: &str) -> Option<u32> {
    year(text).filter(|_| text.len() >= 4)
}

/// Four digits, or two, or `1998年`.
pub fn year(text: &str) -> Option<u32> {
    let text = text.trim_end_matches(['年', '년']);
    match (text.len(), digits(text)?) {
        (4, year) => Some(year),
        (2, year) => Some(century(year)),
        // OS/2 counts years since 1900.
        (3, year) => Some(1900 + year),
        _ => None,
    }
}

/// A year of two digits.
pub fn century(year: u32) -> u32 {
    if year < CENTURY_PIVOT { 2000 + year } else { 1900 + year }
}

/// By its first letters in English, German, French, Spanish, Italian, Portuguese, Dutch, Swedish, Polish, Czech, Hungarian,
/// Finnish, Russian; or as `7月`.
pub fn month(text: &str) -> Option<u32> {
    const MONTHS: [&[&str]; 12] = [
        &["jan", "jän", "ene", "gen", "led", "sty", "tammi", "янв"],
        &["feb", "fév", "fev", "úno", "lut", "helmi", "фев"],
        &["mar", "mär", "mrz", "maa", "mrt", "bře", "már", "мар"],
        &["apr", "avr", "abr", "dub", "kwi", "ápr", "huhti", "апр"],
        &["may", "mai", "mei", "mag", "maj", "kvě", "máj", "touko", "май", "мая"],
        &["jun", "juin", "giu", "cze", "čer", "jún", "kesä", "июн"],
        &["jul", "juil", "lug", "lip", "čvc", "júl", "heinä", "июл"],
        &["aug", "aoû", "aou", "ago", "sie", "srp", "elo", "авг"],
        &["sep", "set", "wrz", "zář", "sze", "syys", "сен"],
        &["oct", "okt", "out", "ott", "paź", "říj", "loka", "окт"],
        &["nov", "lis", "marras", "ноя"],
        &["dec", "dez", "déc", "dic", "gru", "pro", "joulu", "дек"],
    ];
    if let Some(number) = text.strip_suffix(['月', '월']) {
        return digits(number).filter(|month| (1..=12).contains(month));
    }
    let lower = text.to_lowercase();
    // Longer beginnings first: `marras` is no March, `juil` no June.
    let best = (1..).zip(MONTHS).flat_map(|(month, names)| names.iter().map(move |name| (name.len(), month, *name)));
    best.filter(|(_, _, name)| lower.starts_with(name)).max().map(|(_, month, _)| month)
}
