//! Plots as SVG.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::Plot;

type Drawn = Result<(), Box<dyn std::error::Error>>;

const FONT: (&str, u32) = ("sans-serif", 14);

/// Draws a plot into a file.
pub fn save(plot: &Plot, path: &Path) -> Drawn {
    match plot {
        Plot::Bars(groups) => bars(groups, path),
        Plot::Lines { across, up, lines } => curves(across, up, lines, path),
    }
}

/// Horizontal bars, each with its name and figure beside it; a group has a scale of its own.
fn bars(groups: &[(String, Vec<(&'static str, f64)>)], path: &Path) -> Drawn {
    const LINE: i32 = 22;
    const LEFT: i32 = 150;
    const LONGEST: f64 = 420.0;
    let lines: usize = groups.iter().map(|(_, bars)| bars.len() + 2).sum();
    let area = SVGBackend::new(path, (720, lines as u32 * LINE as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let write = |text: &str, at: (i32, i32)| {
        area.draw(&Text::new(text.to_owned(), at, FONT.into_font().color(&BLACK)))
    };
    let mut top = 4;
    for (title, bars) in groups {
        write(&format!("{title}, µs/request (median)"), (4, top + 3))?;
        top += LINE;
        let longest = bars.iter().map(|(_, figure)| *figure).fold(f64::MIN_POSITIVE, f64::max);
        for (name, figure) in bars {
            let length = (LONGEST * figure / longest) as i32;
            let corners = [(LEFT, top), (LEFT + length.max(1), top + LINE - 4)];
            area.draw(&Rectangle::new(corners, color(name).filled()))?;
            write(name, (16, top + 3))?;
            write(&format!("{figure:.1}"), (LEFT + length + 6, top + 3))?;
            top += LINE;
        }
        top += LINE;
    }
    Ok(area.present()?)
}

/// Who has which color, in every plot.
fn color(name: &str) -> RGBColor {
    match name {
        "session-kit" => RGBColor(0, 114, 178),
        "tower-sessions" => RGBColor(230, 159, 0),
        "axum_session" => RGBColor(204, 121, 167),
        "actix-session" => RGBColor(0, 158, 115),
        "axum" => RGBColor(200, 200, 200),
        _ => RGBColor(110, 110, 110),
    }
}

fn curves(across: &str, up: &str, lines: &[(&'static str, Vec<(f64, f64)>)], path: &Path) -> Drawn {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let (left, right) =
        points().fold((f64::MAX, f64::MIN), |(low, high), (x, _)| (low.min(*x), high.max(*x)));
    let (low, high) = points().fold((f64::MAX, f64::MIN), |(low, high), (_, y)| (low.min(*y), high.max(*y)));
    let area: DrawingArea<_, Shift> = SVGBackend::new(path, (720, 360)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d((left..right * 1.01).log_scale(), (low * 0.7..high * 1.4).log_scale())?;
    let mut mesh = chart.configure_mesh();
    let plain = |x: &f64| x.to_string();
    mesh.x_desc(across).y_desc(up).x_label_formatter(&plain).y_label_formatter(&plain);
    mesh.label_style(FONT).light_line_style(TRANSPARENT).draw()?;
    for (at, (name, points)) in lines.iter().enumerate() {
        let style = Palette99::pick(at).stroke_width(2);
        let dots = points.iter().map(|point| Circle::new(*point, 3, style.filled()));
        chart.draw_series(dots)?;
        let line = chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
        line.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .label_font(FONT)
        .draw()?;
    Ok(area.present()?)
}
