//! What things are: pods, instances, deployments, and the Mesos messages the scheduler speaks.
//!
//! Plain values without behaviour that needs a clock or the outside world. The names are those of Marathon
//! and Mesos; `mesos/` holds the types that cross the wire, free of any encoding.

pub mod deployment;
pub mod event;
pub mod group;
pub mod identity;
pub mod ids;
pub mod instance;
pub mod mesos;
pub mod number;
pub mod path;
pub mod pod;
pub mod regex;
pub mod residence;
pub mod time;
