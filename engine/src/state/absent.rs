//! Nothing is kept by a build without the feature: settings that ask for it are refused.

use std::path::Path;

use super::{OpenedState, StateError, StateOwner};
use crate::core::Moment;
use crate::node::Generation;
use crate::time::Now;

/// There is none.
#[derive(Debug)]
pub(crate) enum NoFolder {}

impl NoFolder {
    pub(crate) fn open(
        _: &Path,
        _: StateOwner,
        _: Option<Generation>,
        _: Now,
    ) -> Result<OpenedState, StateError> {
        Err(StateError::NotBuiltIn)
    }

    pub(crate) fn is_held(&mut self) {
        match *self {}
    }

    pub(crate) fn write(&mut self, _: &Moment, _: &Moment) -> Result<(), StateError> {
        match *self {}
    }
}
