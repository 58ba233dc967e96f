//! The scheduler as one pure, synchronous state machine.

pub mod model;
