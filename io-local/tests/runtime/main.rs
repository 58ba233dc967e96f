//! Containers, for real: every test here starts processes and looks at them through `/proc`.

mod artifacts;
mod fixture;
mod isolation;
mod leftovers;
mod lifecycle;
mod probes;
