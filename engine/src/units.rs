//! Texts with units, read and written in one way everywhere: durations, sizes, nearest names.

use std::time::Duration;

use crate::text::Printable;

/// Reads a duration such as `250ms`, `1.5s` or `2min 30s`.
///
/// # Errors
/// A sentence that says what is wrong. Units longer than a day are refused: in a cluster's
/// settings `M`, `w` and `y` are typing errors for `m` or `ms`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refused = ["M", "month", "w", "wk", "week", "y", "yr", "year"];
    let units = text.split(|c: char| !c.is_alphabetic()).filter(|unit| !unit.is_empty());
    for unit in units {
        if refused.contains(&unit.trim_end_matches('s')) {
            return Err(format!(
                "`{unit}` is no unit of time here: use ns, us, ms, s, min, h or d"
            ));
        }
    }
    humantime::parse_duration(text.trim()).map_err(|_| {
        let text = Printable(text);
        format!("`{text}` is no duration: write a number and a unit, such as 250ms, 1.5s or 2min")
    })
}

/// Writes a duration so that [`parse_duration`] reads the same again: `1s 500ms`.
pub fn show_duration(duration: Duration) -> String {
    let seconds_per_day = 86_400;
    let days = duration.as_secs() / seconds_per_day;
    if days == 0 {
        return humantime::format_duration(duration).to_string();
    }
    // Left to humantime, thirty days would be shown as a month, which nobody could read back.
    match duration - Duration::from_secs(days * seconds_per_day) {
        Duration::ZERO => format!("{days}d"),
        rest => format!("{days}d {}", humantime::format_duration(rest)),
    }
}

/// Reads a number of bytes such as `1400`, `64KiB` or `1MiB`; `kB` and `MB` count in thousands.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[digits..].trim() {
        "" | "B" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => {
            let text = Printable(text);
            return Err(format!(
                "`{text}` is no size: write bytes or a unit, such as 1400, 64KiB or 1MiB"
            ));
        }
    };
    let count: u64 = text[..digits]
        .parse()
        .map_err(|_| format!("`{text}` is no size: it must begin with a whole number"))?;
    count.checked_mul(unit).ok_or_else(|| format!("`{text}` is too large for a size"))
}

/// The candidate nearest to what was typed, when it is near enough to be what was meant.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let simple = |text: &str| text.to_lowercase().replace(['-', '_', '.', ' '], "");
    let typed = simple(typed);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&typed, &simple(candidate)), candidate))
        .filter(|&(distance, candidate)| distance <= 1.max(candidate.len() / 3))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::find_unprintable;

    #[test]
    fn what_is_no_number_is_told_without_writing_on_a_terminal() {
        for text in ["1\u{1b}[2J", "1s\n", "\u{9b}", "7\u{202e}"] {
            for told in [parse_duration(text).map(drop), parse_size(text).map(drop)] {
                assert_eq!(told.err().and_then(|told| find_unprintable(&told)), None, "{text:?}");
            }
        }
    }

    #[test]
    fn durations_need_a_unit_and_may_have_a_fraction() {
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2min 30s"), Ok(Duration::from_secs(150)));
        assert!(parse_duration("5").unwrap_err().contains("250ms"));
        assert!(parse_duration("").is_err());
        assert!(parse_duration("-1s").is_err());
    }

    #[test]
    fn months_weeks_and_years_are_refused_as_units() {
        for text in ["1M", "3w", "1y", "2 months", "2weeks"] {
            assert!(parse_duration(text).unwrap_err().contains("no unit of time"), "{text}");
        }
    }

    #[test]
    fn a_shown_duration_reads_back() {
        let day = 86_400_000;
        for millis in [0, 1, 250, 1_500, 61_001, day, 31 * day + 1, 365 * day, 4_000 * day] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
    }

    #[test]
    fn sizes_count_in_bytes() {
        assert_eq!(parse_size("1400"), Ok(1400));
        assert_eq!(parse_size("64 KiB"), Ok(65_536));
        assert_eq!(parse_size("2MB"), Ok(2_000_000));
        assert!(parse_size("64 bits").is_err());
        assert!(parse_size("KiB").is_err());
        assert!(parse_size("99999999999GiB").is_err());
    }

    #[test]
    fn the_nearest_name_is_found_across_case_and_underscores() {
        let keys = ["fan_out", "cycle", "timeout"];
        assert_eq!(nearest("fanout", keys), Some("fan_out"));
        assert_eq!(nearest("Time-Out", keys), Some("timeout"));
        assert_eq!(nearest("colour", keys), None);
    }
}
