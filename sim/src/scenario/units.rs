//! Texts with units that only scenarios have: spans of time, drifts, bandwidths.

use std::fmt;
use std::time::Duration;

use rumormill::time::nanos;
use rumormill::units::{nearest, parse_duration, show_duration};

use crate::percent::Percent;

/// Longest time that a scenario can name.
pub(super) const TIME_MAX: Duration = Duration::from_secs(365 * 86_400);

/// Reads a duration of at most a year.
pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration > TIME_MAX {
        return Err(format!("`{text}` is too long: at most 365d"));
    }
    Ok(duration)
}

/// Reads a duration that is more than nothing.
pub(super) fn parse_positive_time(text: &str) -> Result<Duration, String> {
    match parse_time(text)? {
        Duration::ZERO => Err(format!("`{text}` is no time at all: it must be more than zero")),
        duration => Ok(duration),
    }
}

/// Furthest that a clock can be off, some 200 years: nodes that boot in 1970 and those whose clock
/// shows a time after 2116, the last that a generation can name.
const CLOCK_OFF_MAX: Duration = Duration::from_secs(73_000 * 86_400);

/// Reads a duration that may be negative, in nanoseconds: how far a clock is ahead.
pub(super) fn parse_signed_time(text: &str) -> Result<i64, String> {
    let (sign, magnitude) = signed(text);
    let duration = parse_duration(magnitude)?;
    if duration > CLOCK_OFF_MAX {
        return Err(format!("`{text}` is too far off: at most 73000d, which is 200 years"));
    }
    let nanos = i64::try_from(nanos(duration)).expect("200 years fit");
    Ok(sign * nanos)
}

/// Writes nanoseconds so that [`parse_signed_time`] reads the same again.
pub(super) fn show_signed_time(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    format!("{sign}{}", show_duration(Duration::from_nanos(nanos.unsigned_abs())))
}

fn signed(text: &str) -> (i64, &str) {
    let text = text.trim();
    match text.strip_prefix('-') {
        Some(magnitude) => (-1, magnitude),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// The fastest and the slowest clock: half as fast again, half as fast.
const DRIFT_MAX_PPB: i64 = 500_000_000;

/// Reads how much too fast a clock goes, such as `200ppm` or `-0.5%`, in parts per billion.
pub(super) fn parse_drift(text: &str) -> Result<i64, String> {
    let (sign, magnitude) = signed(text);
    let ppb = if magnitude.ends_with('%') {
        i64::try_from(Percent::parse(magnitude)?.ppb).expect("at most 10^9")
    } else {
        parse_ppm(magnitude).ok_or_else(|| {
            format!("`{text}` is no drift: write such as 200ppm or -0.5%, with 3 or 7 decimals")
        })?
    };
    if ppb > DRIFT_MAX_PPB {
        return Err(format!("`{text}` is too much: a clock drifts by at most 50%"));
    }
    Ok(sign * ppb)
}

fn parse_ppm(text: &str) -> Option<i64> {
    let digits = text.strip_suffix("ppm")?.trim_end();
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(decimals) || decimals.len() > 3 || whole.len() > 9 {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let decimals: i64 = format!("{decimals:0<3}").parse().ok()?;
    Some(whole * 1_000 + decimals)
}

/// Writes parts per billion so that [`parse_drift`] reads the same again.
pub(super) fn show_drift(ppb: i64) -> String {
    let sign = if ppb < 0 { "-" } else { "" };
    let (whole, rest) = (ppb.unsigned_abs() / 1_000, ppb.unsigned_abs() % 1_000);
    match rest {
        0 => format!("{sign}{whole}ppm"),
        rest => format!("{sign}{whole}.{}ppm", format!("{rest:03}").trim_end_matches('0')),
    }
}

/// A closed range of time, such as `1ms..10ms`; a single time is both its ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) min: Duration,
    pub(super) max: Duration,
}

impl Span {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some((min, max)) = text.split_once("..") else {
            let time = parse_time(text)?;
            return Ok(Self { min: time, max: time });
        };
        if let Some(max) = max.strip_prefix('=') {
            let (min, max) = (min.trim(), max.trim());
            return Err(format!("a range of time holds both its ends: write `{min}..{max}`"));
        }
        let span = Self { min: parse_time(min)?, max: parse_time(max)? };
        if span.min > span.max {
            let (min, max) = (min.trim(), max.trim());
            return Err(format!("`{text}` is upside down, did you mean `{max}..{min}`?"));
        }
        Ok(span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (show_duration(self.min), show_duration(self.max));
        if min == max { f.write_str(&min) } else { write!(f, "{min}..{max}") }
    }
}

const BANDWIDTH_UNITS: [(&str, u64); 4] =
    [("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000), ("kbit/s", 1_000), ("bit/s", 1)];

/// Reads a bandwidth such as `20Mbit/s`, in bits per second.
pub(super) fn parse_bandwidth(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let typed = trimmed[digits..].trim();
    let Some((_, unit)) = BANDWIDTH_UNITS.iter().find(|(name, _)| *name == typed) else {
        let near = nearest(typed, BANDWIDTH_UNITS.map(|(name, _)| name));
        let near = near.map(|near| format!("{}{near}", &trimmed[..digits]));
        return Err(match near {
            Some(near) => format!("`{text}` is no bandwidth, did you mean `{near}`?"),
            None => format!(
                "`{text}` is no bandwidth: write a whole number of bit/s, kbit/s, Mbit/s or \
                 Gbit/s, such as 20Mbit/s"
            ),
        });
    };
    let count: u64 = trimmed[..digits].parse().map_err(|_| {
        format!("`{text}` is no bandwidth: it must begin with a whole number that is not huge")
    })?;
    let bits = count.checked_mul(*unit).filter(|&bits| bits <= 1_000_000_000_000);
    match bits {
        Some(0) => Err(format!("`{text}` lets nothing through: use loss = \"100%\" for that")),
        Some(bits) => Ok(bits),
        None => Err(format!("`{text}` is too fast: at most 1000Gbit/s")),
    }
}

/// Writes a bandwidth so that [`parse_bandwidth`] reads the same again.
pub(super) fn show_bandwidth(bits: u64) -> String {
    let whole = |&&(_, unit): &&(&str, u64)| bits.is_multiple_of(unit);
    let (name, unit) = BANDWIDTH_UNITS.iter().find(whole).expect("one divides all");
    format!("{}{name}", bits / unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_span_is_a_closed_range_or_one_time() {
        let millis = Duration::from_millis;
        let span = |min, max| Ok(Span { min: millis(min), max: millis(max) });
        assert_eq!(Span::parse("1ms..10ms"), span(1, 10));
        assert_eq!(Span::parse("0s .. 1s"), span(0, 1000));
        assert_eq!(Span::parse("5ms"), span(5, 5));
        let error = Span::parse("10ms..1ms").unwrap_err();
        assert_eq!(error, "`10ms..1ms` is upside down, did you mean `1ms..10ms`?");
        assert!(Span::parse("1ms..=2ms").unwrap_err().contains("write `1ms..2ms`"));
        assert!(Span::parse("1..2").is_err());
        assert!(Span::parse("1s..2y").unwrap_err().contains("`y` is no unit of time"));
        assert!(Span::parse("400d").unwrap_err().contains("at most 365d"));
    }

    #[test]
    fn bandwidths_count_bits() {
        assert_eq!(parse_bandwidth("20Mbit/s"), Ok(20_000_000));
        assert_eq!(parse_bandwidth("9600 bit/s"), Ok(9_600));
        let error = parse_bandwidth("20mbit/s").unwrap_err();
        assert_eq!(error, "`20mbit/s` is no bandwidth, did you mean `20Mbit/s`?");
        assert!(parse_bandwidth("20").unwrap_err().contains("such as 20Mbit/s"));
        assert!(parse_bandwidth("0bit/s").unwrap_err().contains("lets nothing through"));
        assert!(parse_bandwidth("99999999999Gbit/s").unwrap_err().contains("too fast"));
    }

    #[test]
    fn times_may_be_negative_and_drifts_are_small() {
        assert_eq!(parse_signed_time("-1.5s"), Ok(-1_500_000_000));
        assert_eq!(parse_signed_time(" +2ms"), Ok(2_000_000));
        assert!(parse_signed_time("--1s").is_err());
        assert_eq!(parse_signed_time("-73000d"), Ok(-73_000 * 86_400_000_000_000));
        assert!(parse_signed_time("-73001d").unwrap_err().contains("200 years"));
        assert_eq!(parse_drift("200ppm"), Ok(200_000));
        assert_eq!(parse_drift("-0.5%"), Ok(-5_000_000));
        assert_eq!(parse_drift("0.25ppm"), Ok(250));
        assert!(parse_drift("200").unwrap_err().contains("200ppm or -0.5%"));
        assert!(parse_drift("1.2345ppm").is_err());
        assert!(parse_drift("51%").unwrap_err().contains("at most 50%"));
    }

    proptest! {
        #[test]
        fn signed_times_and_drifts_read_back(
            nanos in -1_000_000_000_000_i64..1_000_000_000_000,
            ppb in -DRIFT_MAX_PPB..=DRIFT_MAX_PPB,
        ) {
            prop_assert_eq!(parse_signed_time(&show_signed_time(nanos)), Ok(nanos));
            prop_assert_eq!(parse_drift(&show_drift(ppb)), Ok(ppb));
        }

        #[test]
        fn what_is_shown_reads_back(bits in 1..1_000_000_000_000u64,
            min in 0..1_000_000_000_000u64, more in 0..1_000_000_000_000u64) {
            prop_assert_eq!(parse_bandwidth(&show_bandwidth(bits)), Ok(bits));
            let (min, max) = (Duration::from_nanos(min), Duration::from_nanos(min + more));
            let span = Span { min, max };
            prop_assert_eq!(Span::parse(&span.to_string()), Ok(span));
        }
    }
}
