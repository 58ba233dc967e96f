//! The daemon: everything around the scheduler that touches the world.

mod clock;
pub mod driver;
pub mod store;
