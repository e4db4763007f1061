//! Figures as people read them: three significant digits, a unit that fits, small and apart from the number.

/// A number and its unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Figure {
    pub(crate) number: String,
    pub(crate) unit: &'static str,
}

impl Figure {
    fn new(number: String, unit: &'static str) -> Self {
        Self { number, unit }
    }

    /// Nothing was measured.
    pub(crate) fn none() -> Self {
        Self::new("–".into(), "")
    }

    /// Without zeros that say nothing: for what was set rather than measured, and for the ticks of axes.
    pub(crate) fn plain(mut self) -> Self {
        if self.number.contains('.') {
            self.number = self.number.trim_end_matches('0').trim_end_matches('.').to_owned();
        }
        self
    }

    /// In one string, with a narrow no-break space between.
    pub(crate) fn text(&self) -> String {
        if self.unit.is_empty() {
            self.number.clone()
        } else {
            format!("{}\u{202f}{}", self.number, self.unit)
        }
    }
}

/// Three significant digits, without trailing noise: `0.0123`, `1.23`, `12.3`, `123`, `1230`.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    if value == 0.0 {
        return "0".into();
    }
    let places = (2 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.places$}");
    // 9.999 rounds to 10.00: one place too many.
    let rounded: f64 = text.parse().unwrap_or(value);
    let places = (2 - rounded.abs().max(1e-12).log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.places$}");
    text.strip_prefix('-').map_or_else(|| text.clone(), |rest| format!("−{rest}"))
}

/// The same with thousands apart, for whole numbers: `1 234 567`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A duration given in seconds.
pub(crate) fn seconds(value: f64) -> Figure {
    match value {
        value if !value.is_finite() => Figure::none(),
        0.0 => Figure::new("0".into(), "s"),
        value if value.abs() < 0.999_5e-9 => Figure::new(number(value * 1e12), "ps"),
        value if value.abs() < 0.999_5e-6 => Figure::new(number(value * 1e9), "ns"),
        value if value.abs() < 0.999_5e-3 => Figure::new(number(value * 1e6), "µs"),
        value if value.abs() < 0.999_5 => Figure::new(number(value * 1e3), "ms"),
        value if value.abs() < 119.5 => Figure::new(number(value), "s"),
        value if value.abs() < 7170.0 => Figure::new(number(value / 60.0), "min"),
        value => Figure::new(number(value / 3600.0), "h"),
    }
}

/// Bytes, in decimal multiples, as on a wire.
pub(crate) fn bytes(value: f64) -> Figure {
    match value {
        value if !value.is_finite() => Figure::none(),
        value if value.abs() < 999.5 => Figure::new(number(value), "B"),
        value if value.abs() < 999.5e3 => Figure::new(number(value / 1e3), "kB"),
        value if value.abs() < 999.5e6 => Figure::new(number(value / 1e6), "MB"),
        value => Figure::new(number(value / 1e9), "GB"),
    }
}

/// Memory, in binary multiples, as a kernel counts it.
pub(crate) fn memory(value: f64) -> Figure {
    match value {
        value if !value.is_finite() => Figure::none(),
        value if value.abs() < 1023.5 => Figure::new(number(value), "B"),
        value if value.abs() < 1023.5 * 1024.0 => Figure::new(number(value / 1024.0), "KiB"),
        value if value.abs() < 1023.5 * 1024.0 * 1024.0 => {
            Figure::new(number(value / 1024.0 / 1024.0), "MiB")
        }
        value => Figure::new(number(value / 1024.0 / 1024.0 / 1024.0), "GiB"),
    }
}

/// From one to another, on one line: `4.9–5.3 µs`.
pub(crate) fn between(low: &Figure, high: &Figure) -> String {
    match low {
        low if low == high => low.text(),
        low if low.unit == high.unit => format!("{}–\u{2060}{}", low.number, high.text()),
        low => format!("{} – {}", low.text(), high.text()),
    }
}

/// A rate per second: from once an hour to thousands a second.
pub(crate) fn rate(value: f64) -> Figure {
    match value {
        value if !value.is_finite() => Figure::none(),
        0.0 => Figure::new("0".into(), "/s"),
        value if value.abs() >= 0.999_5 => Figure::new(number(value), "/s"),
        value if value.abs() * 60.0 >= 0.999_5 => Figure::new(number(value * 60.0), "/min"),
        value => Figure::new(number(value * 3600.0), "/h"),
    }
}

/// A share as a percentage: `4.2 %`.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{}\u{202f}%", number(share * 100.0)) } else { "–".into() }
}

/// By how much more one is than the other, for sentences: `3 % more`, `2.2 times`, `45 times`.
pub(crate) fn factor(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 1.01 => format!("{:.1}\u{202f}% more", (ratio - 1.0) * 100.0),
        ratio if ratio < 1.5 => format!("{:.0}\u{202f}% more", (ratio - 1.0) * 100.0),
        ratio if ratio < 9.95 => format!("{ratio:.1} times"),
        ratio => format!("{ratio:.0} times"),
    }
}

/// `a, b and c`.
pub(crate) fn list<S: AsRef<str>>(words: &[S]) -> String {
    match words {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_shown() {
        let shown = [0.0, 0.01234, 0.5, 1.0, 1.234, 9.999, 12.34, 123.4, 1234.0, -2.5].map(number);
        assert_eq!(shown, ["0", "0.0123", "0.500", "1.00", "1.23", "10.0", "12.3", "123", "1234", "−2.50"]);
    }

    #[test]
    fn units_change_where_the_number_would_grow_long() {
        assert_eq!(seconds(0.000_999_9).text(), "1.00\u{202f}ms");
        assert_eq!(seconds(0.06).text(), "60.0\u{202f}ms");
        assert_eq!(seconds(1.09).text(), "1.09\u{202f}s");
        assert_eq!(bytes(733.0).text(), "733\u{202f}B");
        assert_eq!(bytes(1190.0).text(), "1.19\u{202f}kB");
        assert_eq!(memory(840.0 * 1024.0).text(), "840\u{202f}KiB");
        assert_eq!(between(&seconds(0.02), &seconds(0.0205)), "20.0–\u{2060}20.5\u{202f}ms");
        assert_eq!(between(&seconds(0.9), &seconds(1.25)), "900\u{202f}ms – 1.25\u{202f}s");
        assert_eq!(between(&bytes(304.0), &bytes(304.2)), "304\u{202f}B");
        assert_eq!(rate(0.1).text(), "6.00\u{202f}/min");
        assert_eq!(rate(1.0 / 3600.0).text(), "1.00\u{202f}/h");
        assert_eq!(seconds(0.25e-9).text(), "250\u{202f}ps");
        assert_eq!(
            [seconds(0.04), seconds(1.5), seconds(0.0)].map(|figure| figure.plain().text()),
            ["40\u{202f}ms", "1.5\u{202f}s", "0\u{202f}s"]
        );
    }

    #[test]
    fn lists_and_counts_read_well() {
        assert_eq!(
            [1.004, 1.03, 2.24, 44.6].map(factor),
            ["0.4\u{202f}% more", "3\u{202f}% more", "2.2 times", "45 times"]
        );
        assert_eq!(list(&["sse", "chunked", "websocket"]), "sse, chunked and websocket");
        assert_eq!((count(1234), count(1_234_567)), ("1234".into(), "1\u{202f}234\u{202f}567".into()));
    }
}
