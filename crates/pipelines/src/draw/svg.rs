//! Shapes as SVG 1.1: <https://www.w3.org/TR/SVG11/>.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{Rgb, RgbImage};

use super::png::{INK, file};
use super::shapes::{Anchor, Drawing, Letters, Shape};
use crate::{Error, Result};

pub(super) fn encode(drawing: &Drawing) -> Result<Vec<u8>> {
    let (width, height) = (drawing.width, drawing.height);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"DejaVu Sans Mono,Menlo,Consolas,monospace\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for shape in &drawing.shapes {
        let text = match shape {
            Shape::Cells { frame, columns, colours } => {
                let (x, y, width, height) = (frame.left, frame.top, frame.width, frame.height);
                let png = STANDARD.encode(picture(*columns, colours)?);
                format!(
                    "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
                     style=\"image-rendering:pixelated\" xlink:href=\"data:image/png;base64,{png}\"/>"
                )
            }
            Shape::Bar { frame, colour } => {
                let (x, y, width, height) = (frame.left, frame.top, frame.width, frame.height);
                format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{}\"/>", hex(*colour))
            }
            // Through the middle of pixels, so that it is one pixel wide.
            Shape::Rule { from, to } => {
                format!("<path d=\"M{}.5 {}.5L{}.5 {}.5\" stroke=\"{}\"/>", from.0, from.1, to.0, to.1, hex(INK))
            }
            Shape::Path { points, colour } => path(points, *colour),
            Shape::Text { text, at, anchor, letters } => label(text, *at, (*anchor, *letters)),
        };
        svg.push_str(&text);
        svg.push('\n');
    }
    svg.push_str("</svg>\n");
    Ok(svg.into_bytes())
}

fn hex(colour: Rgb<u8>) -> String {
    let [r, g, b] = colour.0;
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn picture(columns: usize, colours: &[Rgb<u8>]) -> Result<Vec<u8>> {
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let bytes = colours.iter().flat_map(|colour| colour.0).collect();
    let image = RgbImage::from_raw(size(columns), size(colours.len() / columns.max(1)), bytes);
    file(&image.ok_or_else(|| Error::Plot { why: "its cells do not fill a rectangle".into() })?)
}

fn path(points: &[(f64, f64)], colour: Rgb<u8>) -> String {
    let mut places = String::new();
    for (at, (x, y)) in points.iter().enumerate() {
        // Writing to a text cannot fail.
        let _ = write!(places, "{}{x:.2} {y:.2}", if at == 0 { "M" } else { "L" });
    }
    if points.len() == 1 {
        places.push_str("h0");
    }
    let colour = hex(colour);
    format!(
        "<path d=\"{places}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linejoin=\"round\" stroke-linecap=\"round\"/>"
    )
}

fn label(text: &str, (x, y): (i32, i32), (anchor, letters): (Anchor, Letters)) -> String {
    let anchor = match anchor {
        Anchor::Left => "start",
        Anchor::Centre => "middle",
        Anchor::Right => "end",
    };
    // Size, and how far the baseline is below the top.
    let (size, down) = if letters == Letters::Large { (17, 15) } else { (13, 10) };
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let (y, ink) = (y + down, hex(INK));
    format!("<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{ink}\">{text}</text>")
}
