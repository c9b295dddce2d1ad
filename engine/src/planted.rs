//! Planted faults: one-line faults of the engine, so that a laboratory can show that it finds them.
//!
//! A rule that has such a fault is written `planted!(Name, rule, fault)`, and a statement that the
//! fault leaves out `planted!(Name, statement)`. Without the feature `planted` both are the rule
//! and nothing else: it costs nothing, and nothing of it is in a service. With it, which no service
//! turns on, one fault at a time can be planted in the whole process, before any engine runs.

#[cfg(feature = "planted")]
mod faults;

#[cfg(feature = "planted")]
pub use self::faults::{FaultKind, FaultSubject, Planted, is, plant};

/// A rule, and what stands in its place where this fault is planted.
#[cfg(feature = "planted")]
macro_rules! planted {
    ($fault:ident, $rule:expr, $wrong:expr) => {
        if $crate::planted::is($crate::planted::Planted::$fault) { $wrong } else { $rule }
    };
    ($fault:ident, $rule:expr) => {
        if !$crate::planted::is($crate::planted::Planted::$fault) {
            $rule
        }
    };
}

/// A rule.
#[cfg(not(feature = "planted"))]
macro_rules! planted {
    ($fault:ident, $rule:expr $(, $wrong:expr)?) => {
        $rule
    };
}
