//! A picture as a list of shapes, which becomes PNG or SVG.

use image::Rgb;

/// The form of a file with a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Pixels.
    #[default]
    Png,
    /// Lines and texts; cells of a plane are an image in it.
    Svg,
}

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

impl Frame {
    /// The place of a share of the width, and of the height.
    pub(super) fn at(self, across: f64, down: f64) -> (f64, f64) {
        let along = |start: i32, share: f64, length: i32| f64::from(start) + share * f64::from(length - 1);
        (along(self.left, across, self.width), along(self.top, down, self.height))
    }

    pub(super) fn bottom(self) -> i32 {
        self.top + self.height
    }

    pub(super) fn right(self) -> i32 {
        self.left + self.width
    }
}

/// Which part of a text is at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Left,
    Centre,
    Right,
}

/// How large a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letters {
    /// Of ticks and axes: 8 pixels wide.
    Small,
    /// Of the title: 10 pixels wide.
    Large,
}

/// Width of a small letter in pixels.
pub(super) const LETTER: i32 = 8;
/// Height of a small letter in pixels.
pub(super) const LINE: i32 = 13;

#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// Colours of cells from the upper left one on, row by row, stretched over a frame.
    Cells { frame: Frame, columns: usize, colours: Vec<Rgb<u8>> },
    /// A filled rectangle.
    Bar { frame: Frame, colour: Rgb<u8> },
    /// A thin line, horizontal or vertical, to the right or down.
    Rule { from: (i32, i32), to: (i32, i32) },
    /// A thick line through points.
    Path { points: Vec<(f64, f64)>, colour: Rgb<u8> },
    /// A text whose top is at a place.
    Text { text: String, at: (i32, i32), anchor: Anchor, letters: Letters },
}

/// Shapes on a white ground, each over those before.
#[derive(Debug, Clone)]
pub(super) struct Drawing {
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) shapes: Vec<Shape>,
}

impl Drawing {
    pub(super) fn new(width: i32, height: i32) -> Self {
        Self { width, height, shapes: Vec::new() }
    }

    pub(super) fn rule(&mut self, from: (i32, i32), to: (i32, i32)) {
        self.shapes.push(Shape::Rule { from, to });
    }

    /// A line around a rectangle.
    pub(super) fn outline(&mut self, frame: Frame) {
        let (left, top, right, bottom) = (frame.left - 1, frame.top - 1, frame.right(), frame.bottom());
        self.rule((left, top), (right, top));
        self.rule((left, bottom), (right, bottom));
        self.rule((left, top), (left, bottom));
        self.rule((right, top), (right, bottom));
    }

    pub(super) fn text(&mut self, text: &str, at: (i32, i32), anchor: Anchor) {
        self.put(text, at, (anchor, Letters::Small));
    }

    pub(super) fn title(&mut self, text: &str, at: (i32, i32)) {
        self.put(text, at, (Anchor::Left, Letters::Large));
    }

    fn put(&mut self, text: &str, at: (i32, i32), (anchor, letters): (Anchor, Letters)) {
        if !text.is_empty() {
            self.shapes.push(Shape::Text { text: text.to_owned(), at, anchor, letters });
        }
    }

    /// The file.
    pub(super) fn encode(&self, form: Form) -> crate::Result<Vec<u8>> {
        match form {
            Form::Png => super::png::encode(self),
            Form::Svg => super::svg::encode(self),
        }
    }
}

/// Width of a text in small letters.
pub(super) fn width_of(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX / LETTER).saturating_mul(LETTER)
}
