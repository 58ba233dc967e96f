//! What waits to be launched: how long it must wait after failures, and how the master learns that we want
//! offers, or none.

pub(crate) mod backoff;
mod demand;
mod failing_agents;
mod waiting;

pub(crate) use self::demand::Demand;
pub(crate) use self::waiting::{Epoch, Roles, Seat, WaitingPods};
