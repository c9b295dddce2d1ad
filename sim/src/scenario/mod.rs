//! Scenarios: from TOML as typed to a plan.

pub mod plan;
