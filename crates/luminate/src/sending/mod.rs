//! Sending samples to a server: what `write` and `import` share.
//!
//! | module | holds |
//! |---|---|
//! | [`batch`] | [`Batch`]: samples of one write request, each with its line in the input |
//! | [`sender`] | [`Sender`]: sends batches, repeats what failed, adds up the answers |
//! | [`args`] | the flags of sending |
//! | [`progress`] | how far it is, for people |

pub(crate) mod args;
pub(crate) mod batch;
pub(crate) mod progress;
pub(crate) mod sender;

pub(crate) use args::SendingArgs;
pub(crate) use batch::Batch;
pub(crate) use progress::Progress;
pub(crate) use sender::Sender;
