//! Percents as people type them, exact to a billionth.

use std::fmt;

use rumormill::rng::Probability;

/// A share of a whole, exact to a billionth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Percent {
    pub(crate) ppb: u64,
}

const PPB_PER_PERCENT: u64 = 10_000_000;

impl Percent {
    pub(crate) const WHOLE: Self = Self { ppb: 100 * PPB_PER_PERCENT };

    /// The decimals that a billionth leaves to a percent.
    const DECIMALS: usize = 7;

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let no_percent = || format!("`{text}` is no percent: write a number and %, such as 2.5%");
        let digits = text.trim().strip_suffix('%').ok_or_else(no_percent)?.trim_end();
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(decimals) {
            return Err(no_percent());
        }
        if decimals.len() > Self::DECIMALS {
            return Err(format!("`{text}` is too fine: at most {} decimals", Self::DECIMALS));
        }
        let out_of_range = || format!("`{text}` is out of range: it must lie between 0% and 100%");
        let whole: u64 = whole.parse().map_err(|_| out_of_range())?;
        let decimals: u64 =
            format!("{decimals:0<width$}", width = Self::DECIMALS).parse().expect("seven digits");
        let ppb = whole.saturating_mul(PPB_PER_PERCENT).saturating_add(decimals);
        if ppb > 100 * PPB_PER_PERCENT { Err(out_of_range()) } else { Ok(Self { ppb }) }
    }

    pub(crate) fn probability(self) -> Probability {
        Probability::from_ppb(self.ppb)
    }

    /// This share of a number, rounded down, so that neighbouring ranges meet.
    pub(crate) fn of(self, whole: u32) -> u32 {
        let share = u64::from(whole) * self.ppb / (100 * PPB_PER_PERCENT);
        u32::try_from(share).expect("a share is not more than the whole")
    }

    /// From 0 to 1, for statistics.
    pub(crate) fn share(self) -> f64 {
        self.ppb as f64 / (100 * PPB_PER_PERCENT) as f64
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.ppb / PPB_PER_PERCENT, self.ppb % PPB_PER_PERCENT);
        if rest == 0 {
            return write!(f, "{whole}%");
        }
        let decimals = format!("{rest:07}");
        write!(f, "{whole}.{}%", decimals.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percents_are_exact_to_a_billionth() {
        for (text, ppb) in [
            ("0%", 0),
            ("1%", 10_000_000),
            ("0.0000001%", 1),
            ("33.3333333%", 333_333_333),
            (" 2.5 %", 25_000_000),
            ("100%", 1_000_000_000),
        ] {
            assert_eq!(Percent::parse(text), Ok(Percent { ppb }), "{text}");
        }
    }

    #[test]
    fn what_is_no_percent_is_refused_with_the_reason() {
        for (text, reason) in [
            ("20", "write a number and %"),
            ("%", "write a number and %"),
            ("-1%", "write a number and %"),
            ("1.%", "write a number and %"),
            ("1e2%", "write a number and %"),
            ("101%", "between 0% and 100%"),
            ("100.0000001%", "between 0% and 100%"),
            ("99999999999999999999%", "between 0% and 100%"),
            ("0.00000001%", "at most 7 decimals"),
        ] {
            let error = Percent::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn shares_of_neighbouring_percents_meet() {
        let third = Percent::parse("33.3%").unwrap();
        assert_eq!((third.of(10), third.of(1000), third.of(u32::MAX)), (3, 333, 1_430_224_109));
        assert_eq!(Percent::parse("100%").unwrap().of(u32::MAX), u32::MAX);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(ppb in 0..=1_000_000_000u64) {
            let percent = Percent { ppb };
            prop_assert_eq!(Percent::parse(&percent.to_string()), Ok(percent));
        }
    }
}
