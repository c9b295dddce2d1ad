//! What a picture shows, before anybody draws it: panels with lines, bands, shades and a legend.
//!
//! Everything is in places of the axes (see [`super::axis::Scale`]), so that drawing needs no
//! arithmetic and a test can look at the numbers.

use plotters::style::RGBColor;

use super::axis::PlotAxis;

/// Colours that people with any colour vision can tell apart, after Okabe and Ito.
pub(super) const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(30, 30, 30),
    RGBColor(140, 140, 140),
];

/// A picture: two panels below a title.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) title: String,
    pub(super) panels: [Panel; 2],
}

/// One chart with its legend.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) x: PlotAxis,
    pub(super) y: PlotAxis,
    /// Stretches of the x axis with a grey ground, apart from each other.
    pub(super) shades: Vec<(f64, f64)>,
    /// Names of shades: where each begins and ends, and its text.
    pub(super) shade_names: Vec<(f64, f64, String)>,
    pub(super) bars: Vec<Bar>,
    pub(super) bands: Vec<Band>,
    pub(super) dots: Vec<((f64, f64), RGBColor)>,
    pub(super) lines: Vec<PanelLine>,
    /// Texts beside points; one that would lie upon another is left out.
    pub(super) labels: Vec<((f64, f64), String)>,
    pub(super) legend: Vec<LegendEntry>,
    /// What to say instead of an empty chart.
    pub(super) note: Option<String>,
}

/// A filled box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bar {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) color: RGBColor,
}

/// A line through points.
#[derive(Clone, Debug)]
pub(super) struct PanelLine {
    pub(super) points: Vec<(f64, f64)>,
    pub(super) stroke: PanelStroke,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PanelStroke {
    pub(super) color: RGBColor,
    pub(super) opacity: f64,
    pub(super) width: u32,
    pub(super) dash: Dash,
}

/// Whether a line is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dash {
    Solid,
    Dashed,
}

/// A translucent area between two lines.
#[derive(Clone, Debug)]
pub(super) struct Band {
    pub(super) outline: Vec<(f64, f64)>,
    pub(super) color: RGBColor,
}

/// One line of a legend.
#[derive(Clone, Debug)]
pub(super) struct LegendEntry {
    pub(super) mark: Mark,
    pub(super) text: String,
}

/// The sample beside the text of a legend.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    /// A piece of line.
    PanelLine(PanelStroke),
    /// A filled box, for bands and shades.
    Box(RGBColor, f64),
    /// None: a remark.
    Blank,
}

impl Panel {
    /// A frame with nothing in it.
    pub(super) fn empty(title: String, x: PlotAxis, y: PlotAxis) -> Self {
        Self {
            title,
            x,
            y,
            shades: Vec::new(),
            shade_names: Vec::new(),
            bars: Vec::new(),
            bands: Vec::new(),
            dots: Vec::new(),
            lines: Vec::new(),
            labels: Vec::new(),
            legend: Vec::new(),
            note: None,
        }
    }
}

impl PanelStroke {
    pub(super) fn solid(color: RGBColor) -> Self {
        Self { color, opacity: 1.0, width: 4, dash: Dash::Solid }
    }

    pub(super) fn faint(color: RGBColor) -> Self {
        Self { opacity: 0.25, width: 2, ..Self::solid(color) }
    }

    pub(super) fn dashed(color: RGBColor) -> Self {
        Self { width: 3, dash: Dash::Dashed, ..Self::solid(color) }
    }
}

impl LegendEntry {
    pub(super) fn line(stroke: PanelStroke, text: impl Into<String>) -> Self {
        Self { mark: Mark::PanelLine(stroke), text: text.into() }
    }

    pub(super) fn area(color: RGBColor, opacity: f64, text: impl Into<String>) -> Self {
        Self { mark: Mark::Box(color, opacity), text: text.into() }
    }

    pub(super) fn remark(text: impl Into<String>) -> Self {
        Self { mark: Mark::Blank, text: text.into() }
    }
}

/// A staircase through points: each value holds until the next, the last until `end`.
pub(super) fn staircase(points: &[(f64, f64)], end: f64) -> Vec<(f64, f64)> {
    let mut stairs = Vec::with_capacity(points.len() * 2 + 1);
    for &(x, y) in points {
        if let Some(&(_, before)) = stairs.last()
            && before != y
        {
            stairs.push((x, before));
        }
        stairs.push((x, y));
    }
    if let Some(&(x, y)) = stairs.last()
        && x < end
    {
        stairs.push((end, y));
    }
    stairs
}

/// Stretches joined where they touch, in order.
pub(super) fn union(mut stretches: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    stretches.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut joined: Vec<(f64, f64)> = Vec::new();
    for (from, to) in stretches {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staircase_holds_each_value_until_the_next() {
        let stairs = staircase(&[(0.0, 1.0), (2.0, 3.0), (4.0, 3.0)], 5.0);
        assert_eq!(stairs, [(0.0, 1.0), (2.0, 1.0), (2.0, 3.0), (4.0, 3.0), (5.0, 3.0)]);
        assert_eq!(staircase(&[], 5.0), []);
    }

    #[test]
    fn overlapping_shades_are_one() {
        let shades = union(vec![(5.0, 6.0), (0.0, 2.0), (1.0, 3.0)]);
        assert_eq!(shades, [(0.0, 3.0), (5.0, 6.0)]);
    }
}
