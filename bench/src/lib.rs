//! Shared helpers of the benchmarks: fonts for the reports, ready-made clusters.
