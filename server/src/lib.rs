//! The daemon: everything around the scheduler that touches the world.

pub mod api;
mod clock;
pub mod driver;
pub mod store;
