//! Where the texts beside points go, so that none lies upon a point, a line or another text.

/// A place in pixels.
pub(super) type Pixel = (i32, i32);

/// How far from its point a text may stand, the nearest first.
const DISTANCES: [i32; 6] = [16, 40, 70, 105, 150, 210];
/// Around each point so much is kept clear.
const DOT: i32 = 11;
/// Between texts, and between a text and a line.
const CLEAR: i32 = 5;
/// From this distance on a thin line leads from the text to its point.
pub(super) const LEADER_FROM: i32 = 40;

/// A box of pixels, both corners part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) right: i32,
    pub(super) bottom: i32,
}

/// Where a text was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) room: Room,
    /// How far from its point.
    pub(super) distance: i32,
}

impl Room {
    fn grown(self, by: i32) -> Self {
        Self {
            left: self.left - by,
            top: self.top - by,
            right: self.right + by,
            bottom: self.bottom + by,
        }
    }

    fn holds(self, (x, y): Pixel) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }

    fn meets(self, other: Self) -> bool {
        self.left <= other.right
            && other.left <= self.right
            && self.top <= other.bottom
            && other.top <= self.bottom
    }

    /// The place on its edge that is nearest to a point outside.
    pub(super) fn nearest(self, (x, y): Pixel) -> Pixel {
        (x.clamp(self.left, self.right), y.clamp(self.top, self.bottom))
    }
}

/// Finds a place for each text, the first first; one that fits nowhere has none.
pub(super) fn place(
    texts: &[(Pixel, Pixel)],
    dots: &[Pixel],
    lines: &[Vec<Pixel>],
    frame: Room,
) -> Vec<Option<Placed>> {
    let mut taken: Vec<Room> = dots
        .iter()
        .map(|&(x, y)| Room { left: x, top: y, right: x, bottom: y }.grown(DOT))
        .collect();
    let inked: Vec<Pixel> = lines.iter().flat_map(|line| line.windows(2)).flat_map(inked).collect();
    let mut find = |&(point, size): &(Pixel, Pixel)| {
        let free = |placed: &Placed| {
            let (room, grown) = (placed.room, placed.room.grown(CLEAR));
            frame.holds((room.left, room.top))
                && frame.holds((room.right, room.bottom))
                && !taken.iter().any(|&other| room.meets(other))
                && !inked.iter().any(|&pixel| grown.holds(pixel))
        };
        let found = DISTANCES.iter().flat_map(|&far| around(point, size, far)).find(free)?;
        taken.push(found.room.grown(CLEAR));
        Some(found)
    };
    texts.iter().map(&mut find).collect()
}

/// The eight places around a point at a distance, those that readers expect first.
fn around((x, y): Pixel, (width, height): Pixel, far: i32) -> impl Iterator<Item = Placed> {
    let near = (far * 7 / 10).max(DOT + 1);
    let corners = [
        (x + near, y - near - height),
        (x + near, y + near),
        (x + far, y - height / 2),
        (x - near - width, y - near - height),
        (x - near - width, y + near),
        (x - far - width, y - height / 2),
        (x - width / 2, y - far - height),
        (x - width / 2, y + far),
    ];
    corners.into_iter().map(move |(left, top)| {
        let room = Room { left, top, right: left + width, bottom: top + height };
        Placed { room, distance: far }
    })
}

/// Pixels of a piece of line, near enough to each other that no text slips through.
fn inked(piece: &[Pixel]) -> Vec<Pixel> {
    let [(ax, ay), (bx, by)] = [piece[0], piece[1]];
    let steps = ((bx - ax).abs().max((by - ay).abs()) / (2 * CLEAR)).max(1);
    (0..=steps).map(|step| (ax + (bx - ax) * step / steps, ay + (by - ay) * step / steps)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Room = Room { left: 0, top: 0, right: 1600, bottom: 900 };

    #[test]
    fn a_text_alone_stands_beside_its_point() {
        let placed = place(&[((400, 400), (200, 20))], &[(400, 400)], &[], FRAME)[0].unwrap();
        assert_eq!((placed.room.left, placed.room.bottom, placed.distance), (412, 388, 16));
    }

    #[test]
    fn no_text_lies_upon_a_point_a_line_or_another_text() {
        // A crowded corner, as fronts have: points near each other on a falling line.
        let dots: Vec<Pixel> = (0..12).map(|n| (200 + 34 * n, 200 + n * n * 4)).collect();
        let texts: Vec<(Pixel, Pixel)> = dots.iter().map(|&dot| (dot, (230, 20))).collect();
        let lines = [dots.clone(), vec![(450, 0), (450, 900)]];
        let placed = place(&texts, &dots, &lines, FRAME);
        let rooms: Vec<Room> = placed.iter().flatten().map(|placed| placed.room).collect();
        assert!(rooms.len() >= 9, "only {} of 12 found room", rooms.len());
        for (number, room) in rooms.iter().enumerate() {
            assert!(rooms[..number].iter().all(|other| !room.meets(*other)), "{room:?}");
            assert!(dots.iter().all(|&dot| !room.holds(dot)), "{room:?}");
            for piece in lines.iter().flat_map(|line| line.windows(2)) {
                for share in 0..=400 {
                    let at = |a: i32, b: i32| a + (b - a) * share / 400;
                    let pixel = (at(piece[0].0, piece[1].0), at(piece[0].1, piece[1].1));
                    assert!(!room.holds(pixel), "{room:?} lies upon a line at {pixel:?}");
                }
            }
        }
    }

    #[test]
    fn a_text_that_fits_nowhere_is_left_out() {
        let small = Room { left: 0, top: 0, right: 100, bottom: 100 };
        assert_eq!(place(&[((50, 50), (200, 20))], &[], &[], small), [None]);
    }
}
