//! The Mesos v1 scheduler API as values: what the scheduler says ([`Call`]) and hears ([`Event`]).
//!
//! Every type is named after its Mesos message and carries the parts of it that a scheduler of pods, or a
//! faithful model of the master, can use. Nothing here knows about protobuf or HTTP.

mod call;
mod event;
mod offer;
mod resource;
mod status;
mod task;

pub use call::{
    Call, FrameworkCapability, FrameworkInfo, Operation, OperationInfo, ReconcileOperation, ReconcileTask,
};
pub use event::{Event, ExecutorFailure, InverseOffer, MasterInfo, OperationState, OperationStatus};
pub use offer::{Attribute, AttributeValue, FaultDomain, Offer, Unavailability};
pub use resource::{
    DiskInfo, DiskSource, DiskSourceType, Persistence, PortRange, Reservation, ReservationType, Resource,
    ResourceKind, ResourceValue,
};
pub use status::{CheckStatus, NetworkStatus, StatusReason, StatusSource, StatusUuid, TaskState, TaskStatus};
pub use task::{
    Check, CommandInfo, ContainerInfo, DiscoveryInfo, DiscoveryPort, EnvironmentValue, EnvironmentVariable,
    ExecutorInfo, ExecutorKind, HealthCheck, HttpScheme, Image, ImageKind, IpcMode, Label, LaunchGroup,
    LinuxInfo, NetworkInfo, PortMapping, Probe, Seccomp, Secret, TaskInfo, Uri, Visibility, Volume,
    VolumeSource,
};
