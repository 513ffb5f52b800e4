//! Shapes as pixels.

use std::io::Cursor;

use embedded_graphics::mono_font::iso_8859_1::{FONT_8X13, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::{DrawTarget, Drawable, OriginDimensions, Pixel, Point, Size};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};
use image::{Rgb, RgbImage};

use super::shapes::{Anchor, Drawing, Frame, Letters, Shape};
use crate::{Error, Result};

/// Colour of lines and texts.
pub(super) const INK: Rgb<u8> = Rgb([40, 40, 40]);

struct Canvas {
    image: RgbImage,
}

pub(super) fn encode(drawing: &Drawing) -> Result<Vec<u8>> {
    let size = |n: i32| u32::try_from(n).unwrap_or(1);
    let image = RgbImage::from_pixel(size(drawing.width), size(drawing.height), Rgb([255, 255, 255]));
    let mut canvas = Canvas { image };
    for shape in &drawing.shapes {
        canvas.draw(shape);
    }
    file(&canvas.image)
}

/// An image as PNG.
pub(super) fn file(image: &RgbImage) -> Result<Vec<u8>> {
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png).map_err(|e| Error::Plot { why: e.to_string() })?;
    Ok(png.into_inner())
}

/// The nearest whole number.
#[expect(clippy::cast_possible_truncation, reason = "places in a picture")]
pub(super) fn pixel(place: f64) -> i32 {
    place.round() as i32
}

impl Canvas {
    fn draw(&mut self, shape: &Shape) {
        match shape {
            Shape::Cells { frame, columns, colours } => self.cells(*frame, *columns, colours),
            Shape::Bar { frame, colour } => self.fill(*frame, *colour),
            Shape::Rule { from, to } => {
                let (width, height) = (to.0 - from.0 + 1, to.1 - from.1 + 1);
                self.fill(Frame { left: from.0, top: from.1, width, height }, INK);
            }
            Shape::Path { points, colour } => {
                let first = points.first().map(|point| (*point, *point));
                for (from, to) in first.into_iter().chain(points.iter().copied().zip(points.iter().copied().skip(1))) {
                    self.segment((pixel(from.0), pixel(from.1)), (pixel(to.0), pixel(to.1)), *colour);
                }
            }
            Shape::Text { text, at, anchor, letters } => self.text(text, *at, (*anchor, *letters)),
        }
    }

    fn pixel(&mut self, x: i32, y: i32, colour: Rgb<u8>) {
        if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
            && let Some(pixel) = self.image.get_pixel_mut_checked(x, y)
        {
            *pixel = colour;
        }
    }

    fn fill(&mut self, frame: Frame, colour: Rgb<u8>) {
        for x in frame.left..frame.right() {
            for y in frame.top..frame.bottom() {
                self.pixel(x, y, colour);
            }
        }
    }

    fn cells(&mut self, frame: Frame, columns: usize, colours: &[Rgb<u8>]) {
        let rows = colours.len() / columns.max(1);
        let at = |pixel: i32, size: i32, cells: usize| {
            usize::try_from(pixel).unwrap_or(0) * cells / usize::try_from(size).unwrap_or(1)
        };
        for py in 0..frame.height {
            let row = at(py, frame.height, rows);
            for px in 0..frame.width {
                let colour = colours[row * columns + at(px, frame.width, columns)];
                self.pixel(frame.left + px, frame.top + py, colour);
            }
        }
    }

    /// A line of two pixels from one place to another.
    fn segment(&mut self, from: (i32, i32), to: (i32, i32), colour: Rgb<u8>) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let steps = dx.abs().max(dy.abs()).max(1);
        for step in 0..=steps {
            // Rounded to the nearest pixel.
            let along = |start: i32, far: i32| start + (2 * far * step + far.signum() * steps) / (2 * steps);
            let (x, y) = (along(from.0, dx), along(from.1, dy));
            for (x, y) in [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)] {
                self.pixel(x, y, colour);
            }
        }
    }

    fn text(&mut self, text: &str, (x, y): (i32, i32), (anchor, letters): (Anchor, Letters)) {
        let alignment = match anchor {
            Anchor::Left => Alignment::Left,
            Anchor::Centre => Alignment::Center,
            Anchor::Right => Alignment::Right,
        };
        let font: &MonoFont<'_> = match letters {
            Letters::Small => &FONT_8X13,
            Letters::Large => &FONT_10X20,
        };
        let ink = Rgb888::new(INK.0[0], INK.0[1], INK.0[2]);
        let style = TextStyleBuilder::new().alignment(alignment).baseline(Baseline::Top).build();
        // Drawing on an image cannot fail.
        let _ = Text::with_text_style(text, Point::new(x, y), MonoTextStyle::new(font, ink), style).draw(self);
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.image.width(), self.image.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> std::result::Result<(), Self::Error> {
        for Pixel(at, colour) in pixels {
            self.pixel(at.x, at.y, Rgb([colour.r(), colour.g(), colour.b()]));
        }
        Ok(())
    }
}
