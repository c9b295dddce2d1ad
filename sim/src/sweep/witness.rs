//! How this build behaves, in a digest: two builds that agree in it may share results.
//!
//! A version number says too little while the engine is being worked on, and a digest of the
//! program too much, because it differs between machines that run alike. So a small scenario that
//! has a bit of everything is run, which takes milliseconds, and its summary is the witness.

use sha2::{Digest, Sha256};

use crate::results::json;
use crate::scenario;
use crate::world::{self, Options};

const SCENARIO: &str = r#"
name = "witness"
nodes = 16
duration = "20s"

[engine]
cycle = "500ms"
timeout = "2s"

[network]
latency = "1ms..10ms"
loss = "10%"
duplicate = "1%"

[[at]]
time = "2s"
publish = { node = 3, data = "one" }

[[at]]
time = "3s"
partition = ["0..8", "8..16"]
for = "4s"

[[at]]
time = "4s"
publish = { node = 9, size = "4KiB" }

[[at]]
time = "9s"
crash = { random = 1, except = "0" }
for = "6s"

[[at]]
time = "10s"
join = { count = 2, via = { random = 2 } }
"#;

/// The digest, in hex.
pub(super) fn of_this_build() -> String {
    let scenario = scenario::parse("witness", SCENARIO, &[]).expect("the scenario is fixed");
    let plan = scenario.plan(1).expect("the scenario is fixed");
    let run = world::run(&plan, &Options::default(), &mut |_| {});
    super::plan::hex(&Sha256::digest(json::document(&run.summary).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_always_behaves_as_it_does() {
        let witness = of_this_build();
        assert_eq!(witness.len(), 64);
        assert_eq!(witness, of_this_build());
    }
}
