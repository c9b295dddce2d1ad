//! How long a publish takes to reach every node, in virtual time: the same figures in every run.

use criterion::{BenchmarkId, Criterion, SamplingMode};

use crate::{VirtualTime, publish_plan, run};

/// The name of the group.
pub const GROUP: &str = "convergence/virtual";

/// Measures by size and fan-out. The number of the call is the seed, and criterion makes as many
/// calls in every run, so that two runs of one version agree to the last digit.
pub fn virtual_time(criterion: &mut Criterion<VirtualTime>, sizes: &[u32], fan_outs: &[u32]) {
    let mut group = criterion.benchmark_group(GROUP);
    group.sampling_mode(SamplingMode::Flat);
    for &nodes in sizes {
        for &fan_out in fan_outs {
            let id = BenchmarkId::new(format!("{nodes} nodes"), format!("fan-out {fan_out}"));
            let mut seed = 0;
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|iterations| {
                    seed += 1;
                    reach_all_ms(nodes, fan_out, seed) * iterations as f64
                });
            });
        }
    }
    group.finish();
}

/// When a publish had reached every node, in virtual milliseconds.
pub fn reach_all_ms(nodes: u32, fan_out: u32, seed: u64) -> f64 {
    let figures = run(&publish_plan(nodes, fan_out, seed)).summary.metadata;
    figures.t100_ms.expect("without loss every node is reached")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::register_fonts;

    const NODES: u32 = 10;
    const FAN_OUT: u32 = 3;

    /// Runs the benchmark as `cargo bench` does, and reads the mean that it wrote.
    fn mean(folder: &Path) -> f64 {
        // How sure the mean is costs most of the time, and changes nothing in it.
        let mut criterion = VirtualTime::criterion().nresamples(1_000).output_directory(folder);
        virtual_time(&mut criterion, &[NODES], &[FAN_OUT]);
        let group = folder.join(GROUP.replace('/', "_"));
        let file = group.join(format!("{NODES} nodes/fan-out {FAN_OUT}/new/estimates.json"));
        let text = fs::read_to_string(&file).unwrap_or_else(|why| panic!("{file:?}: {why}"));
        let estimates: serde_json::Value = serde_json::from_str(&text).unwrap();
        estimates["mean"]["point_estimate"].as_f64().unwrap()
    }

    #[test]
    fn run_twice_it_gives_the_same_mean_and_that_of_its_seeds() {
        register_fonts();
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (mean(folder.path()), mean(folder.path()));
        assert_eq!(first, second);
        // The first call warms up, fifty are samples.
        let all = (2..=51).map(|seed| reach_all_ms(NODES, FAN_OUT, seed));
        let by_hand = all.sum::<f64>() / 50.0;
        assert!((first - by_hand).abs() < 1e-9, "{first} against {by_hand}");
    }

    #[test]
    fn reports_are_drawn_without_a_font_of_the_system() {
        register_fonts();
        let folder = tempfile::tempdir().unwrap();
        mean(folder.path());
        let mut pictures = Vec::new();
        collect(folder.path(), &mut pictures);
        assert!(pictures.len() >= 2, "{pictures:?}");
        for picture in pictures {
            assert!(fs::read_to_string(&picture).unwrap().contains("<text"), "{picture:?}");
        }
    }

    fn collect(folder: &Path, pictures: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, pictures);
            } else if path.extension().is_some_and(|extension| extension == "svg") {
                pictures.push(path);
            }
        }
    }
}
