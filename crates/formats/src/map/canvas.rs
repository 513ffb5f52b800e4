//! A picture to draw on: pixels, lines and text.

use embedded_graphics::mono_font::iso_8859_1::{FONT_8X13, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::{DrawTarget, Drawable, OriginDimensions, Pixel, Point, Size};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};
use image::{Rgb, RgbImage};

pub(super) struct Canvas {
    image: RgbImage,
}

const INK: Rgb<u8> = Rgb([40, 40, 40]);

impl Canvas {
    pub(super) fn new(width: i32, height: i32) -> Self {
        let size = |n: i32| u32::try_from(n).unwrap_or(1);
        Self { image: RgbImage::from_pixel(size(width), size(height), Rgb([255, 255, 255])) }
    }

    pub(super) fn into_image(self) -> RgbImage {
        self.image
    }

    pub(super) fn pixel(&mut self, x: i32, y: i32, colour: Rgb<u8>) {
        if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
            && let Some(pixel) = self.image.get_pixel_mut_checked(x, y)
        {
            *pixel = colour;
        }
    }

    /// A horizontal or vertical line.
    pub(super) fn line(&mut self, x0: i32, y0: i32, x1: i32, y1: i32) {
        for x in x0..=x1 {
            for y in y0..=y1 {
                self.pixel(x, y, INK);
            }
        }
    }

    /// A line of two pixels from one place to another.
    pub(super) fn segment(&mut self, from: (i32, i32), to: (i32, i32), colour: Rgb<u8>) {
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

    pub(super) fn frame(&mut self, x: i32, y: i32, width: i32, height: i32) {
        let (right, bottom) = (x + width - 1, y + height - 1);
        self.line(x, y, right, y);
        self.line(x, bottom, right, bottom);
        self.line(x, y, x, bottom);
        self.line(right, y, right, bottom);
    }

    pub(super) fn text(&mut self, text: &str, x: i32, y: i32) {
        self.put(text, (x, y), Alignment::Left, &FONT_8X13);
    }

    pub(super) fn centred(&mut self, text: &str, x: i32, y: i32) {
        self.put(text, (x, y), Alignment::Center, &FONT_8X13);
    }

    pub(super) fn right(&mut self, text: &str, x: i32, y: i32) {
        self.put(text, (x, y), Alignment::Right, &FONT_8X13);
    }

    pub(super) fn title(&mut self, text: &str, x: i32, y: i32) {
        self.put(text, (x, y), Alignment::Left, &FONT_10X20);
    }

    fn put(&mut self, text: &str, (x, y): (i32, i32), alignment: Alignment, font: &MonoFont<'_>) {
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

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Self::Error> {
        for Pixel(at, colour) in pixels {
            self.pixel(at.x, at.y, Rgb([colour.r(), colour.g(), colour.b()]));
        }
        Ok(())
    }
}
