//! Figures as a person reads them: `1.24 s`, `12.3 kB`, `1,234,567`, `99.9 %`.
//!
//! Only tables and pictures use these; files hold plain numbers.

/// A whole number with a comma between thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 packet`, `2 packets`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// A span of time given in milliseconds, to three digits: `0.42 ms`, `1.24 s`, `3 min 20 s`.
pub fn span(ms: f64) -> String {
    if ms == 0.0 {
        "0 ms".to_owned()
    } else if ms < 999.5 {
        format!("{} ms", three_digits(ms))
    } else if ms < 119_950.0 {
        format!("{} s", three_digits(ms / 1000.0))
    } else {
        long_span((ms / 1000.0).round() as u64)
    }
}

/// As [`span`], with words for what never came.
pub fn span_or(ms: Option<f64>, never: &str) -> String {
    ms.map_or_else(|| never.to_owned(), span)
}

/// A point in the time of a run, given in milliseconds, exact to the millisecond: `12.25 s`.
pub fn moment(ms: f64) -> String {
    let text = format!("{:.3}", ms / 1000.0);
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A number of bytes, in thousands: `812 B`, `5.6 kB`.
pub fn bytes(bytes: f64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let fitting = units.into_iter().find(|&(size, _)| bytes >= size * 0.9995);
    match fitting {
        Some((size, unit)) => format!("{} {unit}", three_digits(bytes / size)),
        None => format!("{} B", three_digits(bytes)),
    }
}

/// A share from 0 to 1; only exactly all is `100 %`, only exactly nothing is `0 %`.
pub fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).floor();
    match tenths {
        _ if share <= 0.0 => "0 %".to_owned(),
        _ if share >= 1.0 => "100 %".to_owned(),
        t if t < 1.0 => "< 0.1 %".to_owned(),
        t if (t as u64).is_multiple_of(10) => format!("{:.0} %", t / 10.0),
        t => format!("{:.1} %", t / 10.0),
    }
}

/// A number to about three digits: `0.42`, `3.1`, `31`, `1,240`.
pub fn three_digits(number: f64) -> String {
    let text = match number.abs() {
        size if size >= 99.95 => return count(number.max(0.0).round() as u64),
        size if size >= 9.995 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A text cut to a number of characters, the last of which then says that it was.
pub fn shortened(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

fn long_span(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, seconds) {
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{} h", count(hours)),
        (hours, minutes, _) => format!("{} h {minutes} min", count(hours)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let texts = [0, 999, 1_000, 1_234_567].map(count);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(counted(1, "seed"), "1 seed");
        assert_eq!(counted(2_000, "seed"), "2,000 seeds");
    }

    #[test]
    fn spans_take_the_unit_that_fits() {
        let texts = [0.0, 0.421, 3.15, 31.26, 999.4, 1_240.0, 12_345.0, 119_949.0].map(span);
        assert_eq!(
            texts,
            ["0 ms", "0.42 ms", "3.15 ms", "31.3 ms", "999 ms", "1.24 s", "12.3 s", "120 s"]
        );
        let long = [120_000.0, 200_000.0, 3_600_000.0, 7_500_000.0].map(span);
        assert_eq!(long, ["2 min", "3 min 20 s", "1 h", "2 h 5 min"]);
        assert_eq!(span_or(None, "never"), "never");
    }

    #[test]
    fn moments_are_exact_to_the_millisecond() {
        let texts = [0.0, 10_000.0, 12_250.0, 61_001.0].map(moment);
        assert_eq!(texts, ["0 s", "10 s", "12.25 s", "61.001 s"]);
    }

    #[test]
    fn bytes_count_in_thousands() {
        let texts = [0.0, 812.0, 999.6, 5_640.0, 1_234_567.0, 2.5e9].map(bytes);
        assert_eq!(texts, ["0 B", "812 B", "1 kB", "5.64 kB", "1.23 MB", "2.5 GB"]);
    }

    #[test]
    fn a_share_is_never_rounded_to_all_or_nothing() {
        let texts = [0.0, 0.000_01, 0.07, 0.965, 0.999_99, 1.0].map(percent);
        assert_eq!(texts, ["0 %", "< 0.1 %", "7 %", "96.5 %", "99.9 %", "100 %"]);
    }

    #[test]
    fn a_shortened_text_says_that_it_was() {
        assert_eq!(shortened("partition", 9), "partition");
        assert_eq!(shortened("partition 0..25", 10), "partition…");
    }
}
