//! What a node costs in memory for each other that it lists.

use std::process::Command;

use serde_json::Value;

const SIM: &str = env!("CARGO_BIN_EXE_sim");

/// The most memory that a cold start of so many nodes held at once, in bytes.
fn peak(nodes: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cold.toml");
    let text = format!("name = \"cold\"\nnodes = {nodes}\nduration = \"1s\"\n");
    std::fs::write(&file, text).unwrap();
    let mut sim = Command::new(SIM);
    sim.arg("run").arg(&file).args(["--no-plots", "-q", "--out"]).arg(folder.path());
    assert!(sim.status().unwrap().success());
    let run = folder.path().join("cold/seed-1");
    let json = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(run.join(name)).unwrap()).unwrap()
    };
    let missing = &json("summary.json")["view_error"]["missing_end"];
    assert_eq!(missing, 0, "{nodes} nodes do not list each other yet");
    json("timing.json")["peak_memory_bytes"].as_u64().expect("Linux tells the peak")
}

#[cfg(target_os = "linux")]
#[test]
fn a_pair_of_nodes_takes_some_forty_bytes_with_all_that_observes_it() {
    // 40.8 to 41.1 are measured, by how the allocator's pages fall.
    const BYTES_PER_PAIR_MAX: u64 = 41;
    let (few, many) = (1_000_u64, 3_000_u64);
    // What does not grow with the square of the number of nodes cancels out, or counts against us.
    let per_pair = peak(many).saturating_sub(peak(few)) / (many * many - few * few);
    assert!(per_pair <= BYTES_PER_PAIR_MAX, "{per_pair} bytes for each pair of nodes");
    assert!(per_pair >= 16, "{per_pair} bytes are less than the row of a node list");
}
