//! The `podium` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // In a process that supervises a container this does not return. Must come before any thread.
    podium_local::run_if_asked();
    podium::cli::run(std::env::args_os())
}
