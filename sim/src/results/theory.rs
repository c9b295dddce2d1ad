//! What the textbook says of a rumor, to be shown beside what a run did.

/// What the textbook's epidemic would do, to be drawn beside.
#[derive(Clone, Debug, PartialEq)]
pub struct Theory {
    /// One line for a legend.
    pub title: String,
    /// How long a round is taken to be, in milliseconds.
    pub round_ms: f64,
    /// The mean coverage after each round, the first before the first.
    pub coverage: Vec<f64>,
}

impl Theory {
    /// `(milliseconds since the rumor's start, share)`, both rising.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let at = |(round, &share): (u32, &f64)| (f64::from(round) * self.round_ms, share);
        (0..).zip(&self.coverage).map(at)
    }

    /// When the coverage reaches a share, between two rounds in proportion.
    pub fn reached(&self, share: f64) -> Option<f64> {
        let later = self.coverage.iter().position(|&coverage| coverage >= share)?;
        let Some(earlier) = later.checked_sub(1) else { return Some(0.0) };
        let (low, high) = (self.coverage[earlier], self.coverage[later]);
        Some((earlier as f64 + (share - low) / (high - low)) * self.round_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn theory_reaches_a_share_between_two_rounds() {
        let coverage = vec![0.1, 0.3, 0.9];
        let theory = Theory { title: String::new(), round_ms: 5.0, coverage };
        let reached = [0.05, 0.2, 0.6, 0.9, 0.95].map(|share| theory.reached(share));
        let expected = [Some(0.0), Some(2.5), Some(7.5), Some(10.0), None];
        for (got, expected) in reached.iter().zip(expected) {
            let close = |(got, expected): (&f64, f64)| (got - expected).abs() < 1e-9;
            assert!(got.as_ref().zip(expected).is_none_or(close), "{reached:?}");
            assert_eq!(got.is_some(), expected.is_some());
        }
        let last = theory.points().last().unwrap();
        assert_eq!(last, (10.0, 0.9));
    }
}
