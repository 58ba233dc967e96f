//! End-to-end tests: each is a sentence about what a person sees.

mod artifacts;
mod bad_input;
mod command_line;
mod containers;
mod crashes;
mod failures;
mod health;
mod partitions;
mod pod;
mod pods_page;
mod readme;
mod secrets;
mod sim_page;
mod volumes;
