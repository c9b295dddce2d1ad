//! The surface that PNGs are drawn on: as many pixels wide as is wanted, with letters where a
//! typesetter would put them.
//!
//! Pictures are laid out at one size. What is drawn at another is scaled, letters too, instead of
//! pixels. plotters itself puts letters at whole pixels and leaves out the blank to the left of
//! each, so that words fall apart; here every letter has its place to a fraction of a pixel.

use std::convert::Infallible;
use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};
use plotters::backend::{BitMapBackend, RGBPixel};
use plotters::prelude::DrawingBackend;
use plotters_backend::text_anchor::{HPos, Pos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind,
};

use super::Width;

/// What plotters divides a size by to come to the em of a letter.
const SIZE_PER_EM: f32 = 1.24;

/// Height of an x in the font, in ems.
const EX: f32 = 0.547;

type DrawnText = Result<(), DrawingErrorKind<Infallible>>;

static FACE: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(dejavu::sans::regular()).expect("the embedded font is a font")
});

/// Pixels in memory.
pub(super) struct Canvas<'p> {
    pixels: BitMapBackend<'p, RGBPixel>,
    /// The size that the picture is laid out for.
    size: (u32, u32),
    scale: f64,
}

/// How large a picture is in pixels that is laid out for a size.
pub(super) fn scaled((width, height): (u32, u32), wanted: Width) -> (u32, u32) {
    let scale = f64::from(wanted.pixels()) / f64::from(width);
    (wanted.pixels(), (f64::from(height) * scale).round() as u32)
}

impl<'p> Canvas<'p> {
    /// Draws into `pixels`, of which there must be as many as [`scaled`] says, three bytes each.
    pub(super) fn new(pixels: &'p mut [u8], size: (u32, u32), width: Width) -> Self {
        let scale = f64::from(width.pixels()) / f64::from(size.0);
        Self { pixels: BitMapBackend::with_buffer(pixels, scaled(size, width)), size, scale }
    }

    fn at(&self, (x, y): BackendCoord) -> BackendCoord {
        let at = |place: i32| (f64::from(place) * self.scale).round() as i32;
        (at(x), at(y))
    }

    fn all(&self, places: impl IntoIterator<Item = BackendCoord>) -> Vec<BackendCoord> {
        places.into_iter().map(|place| self.at(place)).collect()
    }

    fn style(&self, style: &impl BackendStyle) -> Stroke {
        let width = f64::from(style.stroke_width()) * self.scale;
        // A hair is seen at any size.
        Stroke { color: style.color(), width: (width.round() as u32).max(1) }
    }
}

struct Stroke {
    color: BackendColor,
    width: u32,
}

impl BackendStyle for Stroke {
    fn color(&self) -> BackendColor {
        self.color
    }

    fn stroke_width(&self) -> u32 {
        self.width
    }
}

/// Drawing into memory can't fail, and pixels outside are passed over.
fn told<E: std::error::Error + Send + Sync>(drawn: Result<(), DrawingErrorKind<E>>) -> DrawnText {
    drawn.map_err(|error| DrawingErrorKind::FontError(error.to_string().into()))
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> DrawnText {
        told(self.pixels.ensure_prepared())
    }

    fn present(&mut self) -> DrawnText {
        told(self.pixels.present())
    }

    fn draw_pixel(&mut self, place: BackendCoord, color: BackendColor) -> DrawnText {
        let place = self.at(place);
        told(self.pixels.draw_pixel(place, color))
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> DrawnText {
        let (from, to, style) = (self.at(from), self.at(to), self.style(style));
        told(self.pixels.draw_line(from, to, &style))
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> DrawnText {
        let (from, to, style) = (self.at(upper_left), self.at(bottom_right), self.style(style));
        told(self.pixels.draw_rect(from, to, &style, fill))
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> DrawnText {
        let (path, style) = (self.all(path), self.style(style));
        told(self.pixels.draw_path(path, &style))
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> DrawnText {
        let radius = (f64::from(radius) * self.scale).round() as u32;
        let (center, style) = (self.at(center), self.style(style));
        told(self.pixels.draw_circle(center, radius, &style, fill))
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> DrawnText {
        let (corners, style) = (self.all(corners), self.style(style));
        told(self.pixels.fill_polygon(corners, &style))
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        place: BackendCoord,
    ) -> DrawnText {
        let size = (style.size() * self.scale) as f32;
        let (color, turn, (left, top)) = (style.color(), style.transform(), self.at(place));
        let mut drawn = Ok(());
        for letter in letters(text, size, style.anchor()) {
            letter.draw(|x, y, share| {
                let (x, y) = turn.transform(x, y);
                let pixel = self.pixels.draw_pixel((left + x, top + y), color.mix(share.into()));
                drawn = std::mem::replace(&mut drawn, Ok(())).and_then(|()| told(pixel));
            });
        }
        drawn
    }
}

/// A letter in its place.
struct Letter(ab_glyph::OutlinedGlyph);

impl Letter {
    /// Hands out its pixels, each with the share of it that is covered.
    fn draw(&self, mut pixel: impl FnMut(i32, i32, f32)) {
        let corner = self.0.px_bounds().min;
        let (left, top) = (corner.x as i32, corner.y as i32);
        self.0.draw(|x, y, share| pixel(left + x as i32, top + y as i32, share));
    }
}

/// The letters of a text that is anchored at the origin.
fn letters(text: &str, size: f32, anchor: Pos) -> Vec<Letter> {
    let face = FACE.as_scaled(PxScale::from(size));
    let (places, width) = carets(text, size);
    let em = size / SIZE_PER_EM;
    let left = match anchor.h_pos {
        HPos::Left => 0.0,
        HPos::Center => -width / 2.0,
        HPos::Right => -width,
    };
    // As in the SVG, so that both look the same.
    let baseline = em
        * match anchor.v_pos {
            VPos::Top => 0.76,
            VPos::Center => EX / 2.0,
            VPos::Bottom => -EX / 2.0,
        };
    let glyphs = places.into_iter().map(|(glyph, caret)| {
        // On whole lines of pixels, or the feet of letters blur.
        glyph.with_scale_and_position(face.scale(), point(left + caret, baseline.round()))
    });
    glyphs.filter_map(|glyph| FACE.outline_glyph(glyph)).map(Letter).collect()
}

/// Where each letter begins, and where the text ends.
fn carets(text: &str, size: f32) -> (Vec<(GlyphId, f32)>, f32) {
    let face = FACE.as_scaled(PxScale::from(size));
    let (mut caret, mut before) = (0.0, None);
    let mut places = Vec::new();
    for glyph in text.chars().map(|letter| face.glyph_id(letter)) {
        caret += before.map_or(0.0, |before| face.kern(before, glyph));
        places.push((glyph, caret));
        caret += face.h_advance(glyph);
        before = Some(glyph);
    }
    (places, caret)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns of pixels that a text covers, from the first to the last.
    fn inked(text: &str, size: f32) -> Vec<bool> {
        let mut columns = vec![false; 2_000];
        for letter in letters(text, size, Pos::new(HPos::Left, VPos::Top)) {
            letter.draw(|x, _, share| columns[x as usize] |= share > 0.25);
        }
        let last = columns.iter().rposition(|&ink| ink).unwrap();
        columns.truncate(last + 1);
        columns.into_iter().skip_while(|ink| !ink).collect()
    }

    #[test]
    fn equal_letters_are_equally_far_apart() {
        for size in [17.0, 21.0, 23.0, 38.0] {
            let columns = inked("llllllllllllllllllll", size);
            let strokes: Vec<usize> =
                (1..columns.len()).filter(|&x| columns[x] && !columns[x - 1]).collect();
            assert_eq!(strokes.len(), 19, "no two touch at {size}");
            let gaps: Vec<usize> = strokes.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
            assert!(most - least <= 1, "{gaps:?} at {size}");
        }
    }

    #[test]
    fn a_letter_keeps_the_blank_to_its_left() {
        // The stem of an l stands further from the caret than the belly of an o.
        let begin = |text: &str| {
            let places = letters(text, 80.0, Pos::new(HPos::Left, VPos::Top));
            places[0].0.px_bounds().min.x
        };
        assert!(begin("l") > begin("o") && begin("o") > 0.0);
    }

    #[test]
    fn anchors_put_the_same_text_left_of_right_of_and_around_a_place() {
        let ends = |h_pos| {
            let letters = letters("hello", 40.0, Pos::new(h_pos, VPos::Top));
            let (first, last) = (letters[0].0.px_bounds(), letters[4].0.px_bounds());
            (first.min.x, last.max.x)
        };
        let (left, right, centre) = (ends(HPos::Left), ends(HPos::Right), ends(HPos::Center));
        assert!(left.0 >= 0.0 && right.1 <= 0.0);
        assert!((centre.0 + centre.1).abs() < 6.0, "{centre:?}");
    }
}
