//! The daemon: everything around the scheduler that touches the world.

pub mod store;
