//! Mesos' messages as prost types, generated from `proto/`, with their descriptors.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MessageDescriptor};

#[expect(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/mesos.rs"));
}

pub use generated::mesos::v1::*;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(include_bytes!(concat!(env!("OUT_DIR"), "/mesos.bin")).as_slice())
        .expect("the build script wrote these descriptors")
});

/// What `M` consists of.
pub fn descriptor<M: prost::Name>() -> MessageDescriptor {
    POOL.get_message_by_name(&M::full_name())
        .expect("types and descriptors are generated from the same files")
}
