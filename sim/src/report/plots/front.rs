//! The front of a tuning: how quick each setting is and what it costs, and those than which no
//! other is both quicker and cheaper.

use plotters::prelude::DrawingBackend;
use plotters::style::{RGBColor, WHITE};

use super::axis::PlotAxis;
use super::draw::{MARGIN, SMALL_SIZE, TITLE_HEIGHT, TITLE_SIZE, draw_panel, fitted, write};
use super::panel::{COLORS, Panel, PanelLine, PanelStroke};
use super::{Area, Drawn, Picture};
use crate::measures::{Measure, Unit};
use crate::report::tuning::{TunedSetting, Tuning};

const SIZE: (u32, u32) = (1800, 1100);
const SUBTITLE: i32 = 40;
const OTHERS: RGBColor = RGBColor(190, 190, 190);

/// The picture, laid out.
pub(super) struct Front {
    title: String,
    subtitle: String,
    panel: Panel,
}

/// Lays out the picture of a tuning.
pub(super) fn front(tuning: &Tuning) -> Front {
    let points: Vec<Option<(f64, f64)>> =
        tuning.settings.iter().map(|setting| point(tuning, setting)).collect();
    let each = |of: fn(&(f64, f64)) -> f64| points.iter().flatten().map(of);
    let x = PlotAxis::unsqueezed(&title(tuning.time), each(|point| point.0));
    let y = PlotAxis::unsqueezed(&title(tuning.cost), each(|point| point.1));
    let place = |(time, cost): (f64, f64)| (x.scale.place(time), y.scale.place(cost));
    let points: Vec<Option<(f64, f64)>> = points.iter().map(|point| point.map(place)).collect();
    let mut panel = Panel::empty(String::new(), x, y);
    let others = points.iter().enumerate().filter(|(place, _)| !tuning.front.contains(place));
    panel.dots.extend(others.filter_map(|(_, point)| Some(((*point)?, OTHERS))));
    let front: Vec<(f64, f64)> = tuning.front.iter().filter_map(|&place| points[place]).collect();
    panel.lines.push(PanelLine { points: front.clone(), stroke: PanelStroke::solid(COLORS[0]) });
    panel.dots.extend(front.iter().map(|&point| (point, COLORS[0])));
    let chosen = tuning.recommended.as_ref().map(|own| own.setting);
    // Who comes first has its label nearest to its point: that is the one that is recommended.
    let others = tuning.front.iter().copied().filter(|place| Some(*place) != chosen);
    for place in chosen.into_iter().chain(others) {
        let Some(point) = points[place] else { continue };
        if Some(place) == chosen {
            panel.dots.push((point, COLORS[1]));
        }
        let note = if Some(place) == chosen { " (recommended)" } else { "" };
        panel.labels.push((point, tuning.name(place) + note));
    }
    for target in tuning.targets.iter().filter(|target| target.measure == tuning.time) {
        let limit = target.limit / scale(tuning.time.unit);
        let limit = panel.x.scale.place(limit);
        if limit < panel.x.to {
            let points = vec![(limit, panel.y.from), (limit, panel.y.to)];
            panel.lines.push(PanelLine { points, stroke: PanelStroke::dashed(COLORS[1]) });
        }
    }
    Front {
        title: format!("{}: what speed costs", tuning.plan.scenario),
        subtitle: subtitle(tuning),
        panel,
    }
}

fn subtitle(tuning: &Tuning) -> String {
    let targets: Vec<&str> = tuning.targets.iter().map(|target| target.text.as_str()).collect();
    format!(
        "medians over seeds; blue: nothing is both quicker and cheaper; orange: {}",
        targets.join(", ")
    )
}

fn point(tuning: &Tuning, setting: &TunedSetting) -> Option<(f64, f64)> {
    let (time, cost) = (setting.time.median()?, setting.cost.median()?);
    Some((time / scale(tuning.time.unit), cost / scale(tuning.cost.unit)))
}

fn title(measure: &Measure) -> String {
    let unit = match measure.unit {
        Unit::Duration => ", ms",
        Unit::Bytes => ", MB",
        Unit::ByteRate => ", kB/s",
        _ => "",
    };
    format!("{}{unit}", measure.name)
}

fn scale(unit: Unit) -> f64 {
    match unit {
        Unit::Bytes => 1e6,
        Unit::ByteRate => 1e3,
        _ => 1.0,
    }
}

impl Picture for Front {
    fn size(&self) -> (u32, u32) {
        SIZE
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn<DB> {
        area.fill(&WHITE)?;
        let (width, height) = (SIZE.0 as i32, SIZE.1 as i32);
        write(area, &self.title, (MARGIN, MARGIN), TITLE_SIZE)?;
        let (subtitle, _) = fitted(area, &self.subtitle, width - 2 * MARGIN)?;
        write(area, &subtitle, (MARGIN, MARGIN + 56), SMALL_SIZE)?;
        let top = MARGIN + TITLE_HEIGHT + SUBTITLE - 30;
        let chart =
            area.clone().shrink((MARGIN, top), (width - 2 * MARGIN, height - top - MARGIN / 2));
        draw_panel(&chart, &self.panel)?;
        area.present()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tuning::tests::tuning;

    #[test]
    fn the_front_is_a_line_and_the_recommended_setting_is_marked() {
        let front = front(&tuning(true));
        assert_eq!(front.panel.lines[0].points.len(), 4);
        assert_eq!(front.panel.lines[0].points[0], (122.0, 4.000_002));
        assert_eq!(front.panel.lines[1].points[0].0, 250.0, "the target");
        let names: Vec<&str> = front.panel.labels.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names[0], "fan_out 2 (recommended)");
        let others = names[1..].iter().all(|name| !names[0].starts_with(name) && name != &names[0]);
        assert!(others, "each has one label: {names:?}");
        let folder = tempfile::tempdir().unwrap();
        super::super::write_front(folder.path(), &tuning(false), super::super::Width::NORMAL)
            .unwrap();
    }
}
