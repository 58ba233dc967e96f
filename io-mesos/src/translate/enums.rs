//! Enums, value by value. On the wire an enum is a number, and numbers that nobody knows can come.

use podium_core::model::mesos::{
    DiskSourceType, ExecutorKind, FrameworkCapability, ImageKind, IpcMode, OperationState, ReservationType,
    StatusReason, StatusSource, TaskState, Visibility,
};

use super::Invalid;
use crate::proto;

/// An enum of the core with its Mesos enum.
pub(super) trait WireEnum: Sized + Copy {
    fn to_wire(self) -> i32;

    /// Nothing for `UNKNOWN` and for numbers that have no meaning yet.
    fn from_wire(number: i32) -> Option<Self>;

    fn required(field: &str, number: Option<i32>) -> Result<Self, Invalid> {
        let number = number.ok_or_else(|| Invalid::absent(field))?;
        Self::from_wire(number)
            .ok_or_else(|| Invalid::unusable(field, number, "that value has no meaning here"))
    }
}

macro_rules! wire_enum {
    ($core:ident = $proto:path { $($value:ident),* $(,)? } $(except $none:ident)?) => {
        impl WireEnum for $core {
            fn to_wire(self) -> i32 {
                use $proto as Proto;
                match self { $(Self::$value => Proto::$value.into()),* }
            }

            fn from_wire(number: i32) -> Option<Self> {
                use $proto as Proto;
                match Proto::try_from(number).ok()? {
                    $(Proto::$value => Some(Self::$value),)*
                    $(Proto::$none => None,)?
                }
            }
        }
    };
}

wire_enum!(DiskSourceType = proto::resource::disk_info::source::Type {
    Block,
    Mount,
    Path,
    Raw,
} except Unknown);

wire_enum!(ExecutorKind = proto::executor_info::Type {
    Custom,
    Default,
} except Unknown);

wire_enum!(FrameworkCapability = proto::framework_info::capability::Type {
    RevocableResources,
    TaskKillingState,
    GpuResources,
    SharedResources,
    PartitionAware,
    MultiRole,
    ReservationRefinement,
    RegionAware,
} except Unknown);

wire_enum!(ImageKind = proto::image::Type { Appc, Docker });

wire_enum!(IpcMode = proto::linux_info::IpcMode {
    Private,
    ShareParent,
} except Unknown);

wire_enum!(
    OperationState = proto::OperationState {
        OperationUnsupported,
        OperationPending,
        OperationFinished,
        OperationFailed,
        OperationError,
        OperationDropped,
        OperationUnreachable,
        OperationGoneByOperator,
        OperationRecovering,
        OperationUnknown,
    }
);

wire_enum!(ReservationType = proto::resource::reservation_info::Type {
    Dynamic,
    Static,
} except Unknown);

wire_enum!(
    StatusReason = proto::task_status::Reason {
        ReasonCommandExecutorFailed,
        ReasonContainerLaunchFailed,
        ReasonContainerLimitation,
        ReasonContainerLimitationDisk,
        ReasonContainerLimitationMemory,
        ReasonContainerPreempted,
        ReasonContainerUpdateFailed,
        ReasonMaxCompletionTimeReached,
        ReasonExecutorRegistrationTimeout,
        ReasonExecutorReregistrationTimeout,
        ReasonExecutorTerminated,
        ReasonExecutorUnregistered,
        ReasonFrameworkRemoved,
        ReasonGcError,
        ReasonInvalidFrameworkid,
        ReasonInvalidOffers,
        ReasonIoSwitchboardExited,
        ReasonMasterDisconnected,
        ReasonReconciliation,
        ReasonResourcesUnknown,
        ReasonAgentDisconnected,
        ReasonAgentDraining,
        ReasonAgentRemoved,
        ReasonAgentRemovedByOperator,
        ReasonAgentReregistered,
        ReasonAgentRestarted,
        ReasonAgentUnknown,
        ReasonTaskKilledDuringLaunch,
        ReasonTaskCheckStatusUpdated,
        ReasonTaskHealthCheckStatusUpdated,
        ReasonTaskGroupInvalid,
        ReasonTaskGroupUnauthorized,
        ReasonTaskInvalid,
        ReasonTaskUnauthorized,
        ReasonTaskUnknown,
    }
);

wire_enum!(StatusSource = proto::task_status::Source { SourceAgent, SourceExecutor, SourceMaster });

wire_enum!(
    TaskState = proto::TaskState {
        TaskStaging,
        TaskStarting,
        TaskRunning,
        TaskKilling,
        TaskFinished,
        TaskFailed,
        TaskKilled,
        TaskError,
        TaskLost,
        TaskDropped,
        TaskUnreachable,
        TaskGone,
        TaskGoneByOperator,
        TaskUnknown,
    }
);

wire_enum!(Visibility = proto::discovery_info::Visibility { Cluster, External, Framework });
