//! The Mesos v1 scheduler API: everything between the core's vocabulary and a master's socket.
//!
//! ```text
//!  core's Call, Event ─── translate ─── proto ─── codec ─── recordio ─── client ─── master
//!                         both ways     prost     protobuf   the event    one framework's
//!                                       types     or JSON    stream       connection
//! ```
//!
//! Everything but [`client`] is pure and works in both directions, so that a server of this API can be built
//! from the same parts.

pub mod client;
pub mod codec;
pub mod proto;
pub mod recordio;
pub mod translate;
