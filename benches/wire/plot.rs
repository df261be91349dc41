use std::fmt::Write as _;

use crate::figure::{Figure, Spread};

const ROW: f64 = 26.0;
const TOP: f64 = 46.0;
const NAMES: f64 = 150.0;
const WIDTH: f64 = 820.0;
const RIGHT: f64 = 90.0;
/// The axis, in powers of two: from an eighth of the target to 32 times better.
const FROM: f64 = -3.0;
const TO: f64 = 5.0;

/// Draws how much better than its target each figure is, on a logarithmic scale; 1 just meets the target.
pub(crate) fn svg(figures: &[Figure], caption: &str) -> String {
    let measured: Vec<(&Figure, Spread)> =
        figures.iter().filter_map(|figure| Some((figure, figure.spread()?))).collect();
    let bottom = measured.iter().fold(TOP, |y, _| y + ROW);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"18\" font-size=\"14\">Times better than the target: median, and minimum to maximum of the rounds</text>\n\
         <text x=\"10\" y=\"{:.0}\" fill=\"#666\" font-size=\"11\">{}</text>\n",
        bottom + 44.0,
        bottom + 34.0,
        escaped(caption),
    );
    for (power, label) in [(-2, "¼"), (-1, "½"), (0, "1"), (1, "2"), (2, "4"), (3, "8"), (4, "16"), (5, "32")]
    {
        let x = x_of(f64::from(power));
        let (color, width) = if power == 0 { ("#c33", 2) } else { ("#ddd", 1) };
        _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{:.0}\" x2=\"{x:.1}\" y2=\"{bottom:.0}\" stroke=\"{color}\" stroke-width=\"{width}\"/>\
             <text x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#666\">{label}</text>",
            TOP - 6.0,
            bottom + 16.0,
        );
    }
    let mut y = TOP;
    for (figure, Spread { least, median, greatest }) in measured {
        let margin = |value: f64| x_of(figure.target.margin(value).log2());
        let (middle, zero) = (margin(median), x_of(0.0));
        let color = if figure.is_met() == Some(true) { "#3a7" } else { "#c33" };
        _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"14\" fill=\"{color}\" fill-opacity=\"0.7\"/>\
             <line x1=\"{:.1}\" y1=\"{:.0}\" x2=\"{:.1}\" y2=\"{:.0}\" stroke=\"#333\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\">{}</text>",
            NAMES - 8.0,
            y + 13.0,
            escaped(figure.name),
            middle.min(zero),
            y + 2.0,
            (middle - zero).abs().max(1.0),
            margin(least),
            y + 9.0,
            margin(greatest),
            y + 9.0,
            WIDTH - RIGHT + 8.0,
            y + 13.0,
            figure.unit.format(median),
        );
        y += ROW;
    }
    svg + "</svg>\n"
}

/// Returns the x coordinate of a power of two.
fn x_of(power: f64) -> f64 {
    let part = (power.clamp(FROM, TO) - FROM) / (TO - FROM);
    NAMES + part * (WIDTH - NAMES - RIGHT)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
