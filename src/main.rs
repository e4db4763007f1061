//! The command `fanlight`: a gateway, and the two ends of its wire.

mod cli;
mod host;

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
