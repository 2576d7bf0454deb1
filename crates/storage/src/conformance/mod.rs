//! The suite that every store passes.
//!
//! | module | holds |
//! |---|---|
//! | [`generate`] | histories of batches and requests, the same for the same seed |
//! | [`dice`] | the numbers behind them |

pub mod dice;
pub mod generate;

pub use dice::Dice;
