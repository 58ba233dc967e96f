//! Everything that the core's types can hold and the wire can carry.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use podium_core::model::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role, TaskId};
use podium_core::model::mesos::*;
use podium_core::model::number::Scalar;
use podium_core::model::time::Timestamp;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

const TEXT: &str = "[a-z0-9/._-]{0,6}";

fn many<T: Debug>(strategy: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    vec(strategy, 0..3)
}

fn id<T: From<String> + Debug>() -> impl Strategy<Value = T> {
    TEXT.prop_map(T::from)
}

fn duration() -> impl Strategy<Value = Duration> {
    (0..31_536_000_000_u64).prop_map(Duration::from_millis)
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (-1_000_000_000_000..4_000_000_000_000_i64).prop_map(Timestamp::from_millis)
}

fn uuid() -> impl Strategy<Value = StatusUuid> {
    any::<[u8; 16]>().prop_map(StatusUuid::from_bytes)
}

fn label() -> impl Strategy<Value = Label> {
    (TEXT, of(TEXT)).prop_map(|(key, value)| Label { key, value })
}

fn scalar() -> impl Strategy<Value = Scalar> {
    (-1_000_000_000..1_000_000_000_i64).prop_map(Scalar::from_thousandths)
}

fn ranges() -> impl Strategy<Value = Vec<PortRange>> {
    many((any::<u64>(), any::<u64>()).prop_map(|(begin, end)| PortRange { begin, end }))
}

fn reservation() -> impl Strategy<Value = Reservation> {
    (select(vec![ReservationType::Dynamic, ReservationType::Static]), id(), of(TEXT), many(label()))
        .prop_map(|(kind, role, principal, labels)| Reservation { kind, role, principal, labels })
}

fn disk_source() -> impl Strategy<Value = DiskSource> {
    let kinds = vec![DiskSourceType::Block, DiskSourceType::Mount, DiskSourceType::Path, DiskSourceType::Raw];
    (select(kinds), of(TEXT), of(TEXT), of(TEXT)).prop_map(|(kind, root, profile, id)| DiskSource {
        kind,
        root: root.filter(|_| matches!(kind, DiskSourceType::Mount | DiskSourceType::Path)),
        profile,
        id,
    })
}

fn disk() -> impl Strategy<Value = DiskInfo> {
    let persistence = (TEXT, of(TEXT)).prop_map(|(id, principal)| Persistence { id, principal });
    (of(persistence), of(TEXT), of(disk_source()))
        .prop_map(|(persistence, container_path, source)| DiskInfo { persistence, container_path, source })
}

fn value() -> impl Strategy<Value = ResourceValue> {
    prop_oneof![
        scalar().prop_map(ResourceValue::Scalar),
        ranges().prop_map(ResourceValue::Ranges),
        many(TEXT).prop_map(ResourceValue::Set),
    ]
}

fn resource() -> impl Strategy<Value = Resource> {
    let kind = prop_oneof![
        select(vec!["cpus", "disk", "gpus", "mem", "ports"]).prop_map(ResourceKind::from),
        "[x-z]{1,3}".prop_map(ResourceKind::Other),
    ];
    (kind, value(), many(reservation()), of(id()), of(disk()), any::<(bool, bool)>(), of(TEXT)).prop_map(
        |(kind, value, reservations, allocation_role, disk, (revocable, shared), provider_id)| Resource {
            kind,
            value,
            reservations: reservations.into(),
            allocation_role,
            disk: disk.map(Box::new),
            revocable,
            shared,
            provider_id,
        },
    )
}

/// A resource that the format of frameworks without `RESERVATION_REFINEMENT` and `MULTI_ROLE` can express.
pub(super) fn old_resource() -> impl Strategy<Value = Resource> {
    let role = "[a-z]{1,4}".prop_map(Role::from);
    (resource(), role).prop_map(|(mut resource, role)| {
        resource.allocation_role = None;
        resource.reservations = resource.reservations.iter().take(1).cloned().collect();
        for reservation in Arc::make_mut(&mut resource.reservations) {
            reservation.role = role.clone();
            if reservation.kind == ReservationType::Static {
                reservation.principal = None;
                reservation.labels.clear();
            }
        }
        resource
    })
}

fn secret() -> impl Strategy<Value = Secret> {
    prop_oneof![
        (TEXT, of(TEXT)).prop_map(|(name, key)| Secret::Reference { name, key }),
        many(any::<u8>()).prop_map(Secret::Value),
    ]
}

fn command() -> impl Strategy<Value = CommandInfo> {
    let value =
        prop_oneof![TEXT.prop_map(EnvironmentValue::Value), secret().prop_map(EnvironmentValue::Secret),];
    let variable = (TEXT, value).prop_map(|(name, value)| EnvironmentVariable { name, value });
    let uri = (TEXT, any::<[bool; 3]>(), of(TEXT)).prop_map(
        |(value, [executable, extract, cache], output_file)| Uri {
            value,
            executable,
            extract,
            cache,
            output_file,
        },
    );
    (any::<bool>(), of(TEXT), many(TEXT), many(variable), many(uri), of(TEXT)).prop_map(
        |(shell, value, arguments, environment, uris, user)| CommandInfo {
            shell,
            value,
            arguments,
            environment,
            uris,
            user,
        },
    )
}

fn image() -> impl Strategy<Value = Image> {
    (
        TEXT,
        of(any::<bool>()),
        prop_oneof![
            of(secret()).prop_map(|config| (ImageKind::Docker, config, Vec::new())),
            many(label()).prop_map(|labels| (ImageKind::Appc, None, labels)),
        ],
    )
        .prop_map(|(name, cached, (kind, pull_config, labels))| Image {
            kind,
            name,
            pull_config,
            cached,
            labels,
        })
}

fn volume() -> impl Strategy<Value = Volume> {
    let source = prop_oneof![
        TEXT.prop_map(VolumeSource::HostPath),
        TEXT.prop_map(VolumeSource::SandboxParent),
        TEXT.prop_map(VolumeSource::SandboxSelf),
        secret().prop_map(VolumeSource::Secret),
    ];
    (TEXT, any::<bool>(), source).prop_map(|(container_path, read_only, source)| Volume {
        container_path,
        read_only,
        source,
    })
}

fn network() -> impl Strategy<Value = NetworkInfo> {
    let mapping = (any::<u32>(), any::<u32>(), of(TEXT)).prop_map(|(host_port, container_port, protocol)| {
        PortMapping { host_port, container_port, protocol }
    });
    (of(TEXT), many(label()), many(mapping)).prop_map(|(name, labels, port_mappings)| NetworkInfo {
        name,
        labels,
        port_mappings,
    })
}

fn linux_info() -> impl Strategy<Value = LinuxInfo> {
    let seccomp = (of(TEXT), of(any::<bool>()))
        .prop_map(|(profile_name, unconfined)| Seccomp { profile_name, unconfined });
    let ipc_mode = select(vec![IpcMode::Private, IpcMode::ShareParent]);
    (of(any::<bool>()), of(seccomp), of(ipc_mode), of(any::<u32>())).prop_map(
        |(share_cgroups, seccomp, ipc_mode, shm_size)| LinuxInfo {
            // Mesos' JSON prints the default, which reads as said.
            share_cgroups: share_cgroups.or(Some(true)),
            seccomp,
            ipc_mode,
            shm_size,
        },
    )
}

fn container() -> impl Strategy<Value = ContainerInfo> {
    (any::<(bool, bool)>(), of(image()), many(volume()), many(network()), of(linux_info())).prop_map(
        |((docker, tty), image, volumes, network_infos, linux_info)| ContainerInfo {
            docker,
            // As above.
            image: image.map(|image| Image { cached: image.cached.or(Some(true)), ..image }),
            volumes,
            network_infos,
            linux_info,
            tty,
        },
    )
}

fn probe(schemes: Vec<Option<HttpScheme>>) -> impl Strategy<Value = Option<Probe>> {
    of(prop_oneof![
        command().prop_map(Probe::Command),
        (any::<u32>(), of(TEXT), select(schemes)).prop_map(|(port, path, scheme)| Probe::Http {
            port,
            path,
            scheme
        }),
        any::<u32>().prop_map(|port| Probe::Tcp { port }),
    ])
}

fn health_check() -> impl Strategy<Value = HealthCheck> {
    let schemes = vec![None, Some(HttpScheme::Http), Some(HttpScheme::Https)];
    (probe(schemes), duration(), duration(), duration(), any::<u32>(), duration()).prop_map(
        |(probe, delay, interval, timeout, consecutive_failures, grace_period)| HealthCheck {
            probe,
            delay,
            interval,
            timeout,
            consecutive_failures,
            grace_period,
        },
    )
}

fn check() -> impl Strategy<Value = Check> {
    (probe(vec![None]), duration(), duration(), duration())
        .prop_map(|(probe, delay, interval, timeout)| Check { probe, delay, interval, timeout })
}

fn discovery() -> impl Strategy<Value = DiscoveryInfo> {
    let port = (any::<u32>(), of(TEXT), of(TEXT), many(label()))
        .prop_map(|(number, name, protocol, labels)| DiscoveryPort { number, name, protocol, labels });
    let visibilities = vec![Visibility::Cluster, Visibility::External, Visibility::Framework];
    (select(visibilities), of(TEXT), many(port)).prop_map(|(visibility, name, ports)| DiscoveryInfo {
        visibility,
        name,
        ports,
    })
}

fn limits() -> impl Strategy<Value = BTreeMap<String, f64>> {
    btree_map(TEXT, prop_oneof![Just(f64::INFINITY), (0..1_000_000_u32).prop_map(f64::from)], 0..3)
}

fn task() -> impl Strategy<Value = TaskInfo> {
    (
        (TEXT, id(), id(), many(resource()), limits()),
        (of(command()), of(container()), of(health_check()), of(check())),
        (of(duration()), of(duration()), many(label()), of(discovery())),
    )
        .prop_map(
            |(
                (name, task_id, agent_id, resources, limits),
                (command, container, health_check, check),
                (kill_grace_period, max_completion_time, labels, discovery),
            )| TaskInfo {
                name,
                task_id,
                agent_id,
                resources,
                limits,
                command,
                container,
                health_check,
                check,
                kill_grace_period,
                max_completion_time,
                labels,
                discovery,
            },
        )
}

fn executor() -> impl Strategy<Value = ExecutorInfo> {
    let kind = select(vec![ExecutorKind::Custom, ExecutorKind::Default]);
    (
        (id(), of(id()), of(kind), many(resource())),
        (of(command()), of(container()), of(duration()), many(label())),
    )
        .prop_map(
            |(
                (executor_id, framework_id, kind, resources),
                (command, container, shutdown_grace_period, labels),
            )| ExecutorInfo {
                executor_id,
                framework_id,
                kind,
                resources,
                command,
                container,
                shutdown_grace_period,
                labels,
            },
        )
}

fn operation() -> impl Strategy<Value = Operation> {
    let group = (executor(), many(task()))
        .prop_map(|(executor, tasks)| OperationInfo::LaunchGroup(Box::new(LaunchGroup { executor, tasks })));
    let info = prop_oneof![
        many(resource()).prop_map(OperationInfo::Create),
        many(resource()).prop_map(OperationInfo::Destroy),
        many(task()).prop_map(OperationInfo::Launch),
        group,
        many(resource()).prop_map(OperationInfo::Reserve),
        many(resource()).prop_map(OperationInfo::Unreserve),
    ];
    (of(TEXT), info).prop_map(|(id, info)| Operation { id, info })
}

fn framework() -> impl Strategy<Value = FrameworkInfo> {
    let capability = select(vec![
        FrameworkCapability::RevocableResources,
        FrameworkCapability::TaskKillingState,
        FrameworkCapability::GpuResources,
        FrameworkCapability::SharedResources,
        FrameworkCapability::PartitionAware,
        FrameworkCapability::MultiRole,
        FrameworkCapability::ReservationRefinement,
        FrameworkCapability::RegionAware,
    ]);
    (
        (TEXT, TEXT, of(id()), duration(), any::<bool>()),
        (many(id()), of(id()), many(capability)),
        (of(TEXT), of(TEXT), of(TEXT)),
    )
        .prop_map(
            |(
                (user, name, id, failover_timeout, checkpoint),
                (roles, role, capabilities),
                (hostname, webui_url, principal),
            )| FrameworkInfo {
                user,
                name,
                id,
                failover_timeout,
                checkpoint,
                roles,
                role,
                capabilities,
                hostname,
                webui_url,
                principal,
            },
        )
}

pub(super) fn call() -> impl Strategy<Value = Call> {
    let offers = || many(id::<OfferId>());
    let roles = || many(id::<Role>());
    let reconcile = (id(), of(id())).prop_map(|(task_id, agent_id)| ReconcileTask { task_id, agent_id });
    let operation_asked =
        (TEXT, of(id())).prop_map(|(operation_id, agent_id)| ReconcileOperation { operation_id, agent_id });
    prop_oneof![
        8 => (offers(), many(operation()), of(duration()))
            .prop_map(|(offer_ids, operations, refuse)| Call::Accept { offer_ids, operations, refuse }),
        1 => (offers(), of(duration())).prop_map(|(inverse_offer_ids, refuse)| Call::AcceptInverseOffers { inverse_offer_ids, refuse }),
        1 => (id(), id(), uuid())
            .prop_map(|(agent_id, task_id, uuid)| Call::Acknowledge { agent_id, task_id, uuid }),
        1 => (of(id()), TEXT, uuid()).prop_map(|(agent_id, operation_id, uuid)| {
            Call::AcknowledgeOperation { agent_id, operation_id, uuid }
        }),
        1 => (offers(), of(duration())).prop_map(|(offer_ids, refuse)| Call::Decline { offer_ids, refuse }),
        1 => (offers(), of(duration())).prop_map(|(inverse_offer_ids, refuse)| Call::DeclineInverseOffers { inverse_offer_ids, refuse }),
        1 => (id(), of(id()), of(duration())).prop_map(|(task_id, agent_id, grace_period)| {
            Call::Kill { task_id, agent_id, grace_period }
        }),
        1 => (id(), id(), many(any::<u8>()))
            .prop_map(|(agent_id, executor_id, data)| Call::Message { agent_id, executor_id, data }),
        1 => many(reconcile).prop_map(|tasks| Call::Reconcile { tasks }),
        1 => many(operation_asked).prop_map(|operations| Call::ReconcileOperations { operations }),
        1 => roles().prop_map(|roles| Call::Revive { roles }),
        1 => (id(), id()).prop_map(|(executor_id, agent_id)| Call::Shutdown { executor_id, agent_id }),
        1 => (framework(), roles()).prop_map(|(framework_info, suppressed_roles)| {
            Call::Subscribe { framework_info, suppressed_roles }
        }),
        1 => roles().prop_map(|roles| Call::Suppress { roles }),
        1 => Just(Call::Teardown),
        1 => (framework(), roles()).prop_map(|(framework_info, suppressed_roles)| {
            Call::UpdateFramework { framework_info, suppressed_roles }
        }),
    ]
}

fn domain() -> impl Strategy<Value = FaultDomain> {
    (TEXT, TEXT).prop_map(|(region, zone)| FaultDomain { region, zone })
}

fn unavailability() -> impl Strategy<Value = Unavailability> {
    (timestamp(), of(duration())).prop_map(|(start, duration)| Unavailability { start, duration })
}

fn offer() -> impl Strategy<Value = Offer> {
    let value = prop_oneof![
        scalar().prop_map(AttributeValue::Scalar),
        ranges().prop_map(AttributeValue::Ranges),
        many(TEXT).prop_map(AttributeValue::Set),
        TEXT.prop_map(AttributeValue::Text),
    ];
    let attribute = (TEXT, value).prop_map(|(name, value)| Attribute { name, value });
    (
        (id::<OfferId>(), id::<FrameworkId>(), id::<AgentId>(), TEXT, of(id::<Role>())),
        (many(resource()), many(attribute), many(id::<ExecutorId>())),
        (of(domain()), of(unavailability())),
    )
        .prop_map(
            |(
                (id, framework_id, agent_id, hostname, role),
                (resources, attributes, executor_ids),
                (domain, unavailability),
            )| Offer {
                id,
                framework_id,
                agent_id,
                hostname,
                role,
                resources,
                attributes,
                executor_ids,
                domain,
                unavailability,
            },
        )
}

fn status() -> impl Strategy<Value = TaskStatus> {
    let check_status = prop_oneof![
        of(any::<i32>()).prop_map(CheckStatus::Command),
        of(any::<u32>()).prop_map(CheckStatus::Http),
        of(any::<bool>()).prop_map(CheckStatus::Tcp),
    ];
    let address = prop_oneof!["[0-9.]{7,9}", "[0-9a-f]{4}::[0-9a-f]{1,4}"];
    let network =
        (of(TEXT), many(address)).prop_map(|(name, ip_addresses)| NetworkStatus { name, ip_addresses });
    let sources = vec![StatusSource::SourceAgent, StatusSource::SourceExecutor, StatusSource::SourceMaster];
    let reasons = StatusReason::ALL.to_vec();
    (
        (id::<TaskId>(), select(TaskState::ALL.to_vec()), of(TEXT)),
        (of(select(sources)), of(select(reasons)), of(id()), of(id()), of(timestamp()), of(uuid())),
        (of(any::<bool>()), of(check_status), many(network), of("[a-z-]{1,3}(\\.[a-z-]{1,3}){0,2}")),
        (of(timestamp()), many(resource())),
    )
        .prop_map(
            |(
                (task_id, state, message),
                (source, reason, agent_id, executor_id, timestamp, uuid),
                (healthy, check_status, networks, container_id),
                (unreachable_time, limitation),
            )| TaskStatus {
                task_id,
                state,
                message,
                source,
                reason,
                agent_id,
                executor_id,
                timestamp,
                uuid,
                healthy,
                check_status,
                networks,
                container_id,
                unreachable_time,
                limitation,
            },
        )
}

fn operation_status() -> impl Strategy<Value = OperationStatus> {
    let states = vec![
        OperationState::OperationUnsupported,
        OperationState::OperationFinished,
        OperationState::OperationUnknown,
    ];
    (of(TEXT), select(states), of(TEXT), many(resource()), of(uuid()), of(id())).prop_map(
        |(operation_id, state, message, converted_resources, uuid, agent_id)| OperationStatus {
            operation_id,
            state,
            message,
            converted_resources,
            uuid,
            agent_id,
        },
    )
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let failure = (of(id()), of(id()), of(any::<i32>()))
        .prop_map(|(agent_id, executor_id, status)| ExecutorFailure { agent_id, executor_id, status });
    let inverse_offer = (id(), of(id()), unavailability())
        .prop_map(|(id, agent_id, unavailability)| InverseOffer { id, agent_id, unavailability });
    let master = (TEXT, of(TEXT), any::<u32>(), of(TEXT), of(domain()))
        .prop_map(|(id, hostname, port, version, domain)| MasterInfo { id, hostname, port, version, domain });
    prop_oneof![
        1 => TEXT.prop_map(|message| Event::Error { message }),
        1 => failure.prop_map(Event::Failure),
        1 => Just(Event::Heartbeat),
        1 => many(inverse_offer).prop_map(Event::InverseOffers),
        1 => (id(), id(), many(any::<u8>()))
            .prop_map(|(agent_id, executor_id, data)| Event::Message { agent_id, executor_id, data }),
        4 => many(offer()).prop_map(Event::Offers),
        1 => id().prop_map(Event::Rescind),
        1 => id().prop_map(Event::RescindInverseOffer),
        1 => (id(), of(duration()), of(master)).prop_map(|(framework_id, heartbeat_interval, master)| {
            Event::Subscribed { framework_id, heartbeat_interval, master }
        }),
        1 => Just(Event::Unknown),
        4 => status().prop_map(Event::Update),
        2 => operation_status().prop_map(Event::UpdateOperationStatus),
    ]
}
