//! Caught: what a panic said, for whoever goes on without the run that it ended.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does something, or gives the message of the panic that ended it.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| message(&*panic).to_owned())
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
