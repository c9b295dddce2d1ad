//! The store: what the cluster holds in common, how it is published here and fetched from others.

mod exchanges;
mod fetch;
mod named;
mod page_window;
mod unreached;
mod value;

use self::exchanges::Exchanges;
use self::fetch::Fetcher;
use self::named::Gathered;
use self::unreached::Unreached;
use self::value::Fresh;
use super::context::Context;

/// What is on its way to us, or from us, and what was published here lately.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    fetcher: Fetcher,
    unreached: Unreached,
    fresh: Option<Fresh>,
    gathered: Gathered,
    exchanges: Exchanges,
}

impl Store {
    /// True while a value is on its way to us or from us.
    pub(crate) fn is_busy(&self, cx: &Context<'_>) -> bool {
        self.fetcher.is_busy(cx.now.mono)
    }

    #[cfg(test)]
    pub(crate) fn forget_what_is_wanted(&mut self) {
        self.fetcher.forget_what_is_wanted();
    }
}
