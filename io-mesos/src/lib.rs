//! The Mesos v1 scheduler API.

pub mod codec;
pub mod proto;
pub mod recordio;
pub mod translate;
