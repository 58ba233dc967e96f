//! Compiles `proto/` without `protoc`: Rust types through prost, and the descriptors that `codec` walks.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use protox::prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["mesos/v1/scheduler/scheduler.proto"], ["proto"])?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("mesos.bin"), descriptors.encode_to_vec())?;
    prost_build::Config::new()
        .btree_map(["."])
        .enable_type_names()
        .retain_enum_prefix()
        .include_file("mesos.rs")
        .compile_fds(descriptors)?;
    Ok(())
}
