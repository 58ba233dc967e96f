//! One instance: what its containers' states make of it, and what time makes of it.
//!
//! ```text
//!  Scheduled ──offer──► Provisioned ─► Staging ─► Starting ─► Running ──┐ health
//!      ▲                     │            │           │        │  ▲     │ changes
//!      │                     └────────────┴─────┬─────┘        │  └─────┘
//!      │                                        │              │
//!      │             agent out of reach         ▼              ▼
//!      │        ┌──────────────────────── Unreachable ◄────────┤      comes back in the
//!      │        │ inactiveAfter                 ▲ ▼ ───────────┼────► state it was in
//!      │        ▼                               │              │
//!      │   UnreachableInactive ─────────────────┘              │
//!      │        │ expungeAfter                                 ▼
//!      │        ▼                                  one container ends badly
//!      │    forgotten (killed on return)                       │
//!      │                                                       ▼
//!      └── next incarnation, after the back-off ◄── all containers have ended
//! ```
//!
//! Three rules hold throughout. A container never goes back: updates that are late, doubled or out of order
//! change nothing. A group is launched again only after all of it has ended beyond doubt; when Mesos merely
//! lost track of it, the instance is given up and a new one takes its place. And time works to the millisecond:
//! what is due is due by timers of our own, not at the next reconciliation.

mod condition;
mod due;
mod update;

pub(crate) use self::condition::is_broken;
pub(crate) use self::due::deadline;
use crate::model::instance::{Goal, Instance};

/// Whether the containers of `instance` shall end.
pub(crate) fn must_die(instance: &Instance) -> bool {
    !instance.has_ended() && (instance.goal != Goal::Running || instance.kill_requested.is_some())
}
