//! The embedded cluster as a scheduler sees it: over real HTTP, with real processes behind it.

mod captures;
mod faults;
mod fixture;
mod groups;
mod leftovers;
mod scheduler;
