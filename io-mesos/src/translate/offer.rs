//! Offers, inverse offers and what agents say about themselves.

use podium_core::model::ids::Role;
use podium_core::model::mesos::{
    Attribute, AttributeValue, FaultDomain, InverseOffer, MasterInfo, Offer, Unavailability,
};

use super::resource::{is_expressible, read_ranges, read_scalar, read_set, write_ranges, write_scalar};
use super::{Format, Invalid, Translate, read, read_all, read_some, write_all, write_some};
use crate::proto::domain_info::{self, fault_domain};
use crate::proto::resource::AllocationInfo;
use crate::proto::{self, value};

impl Translate for Offer {
    type Proto = proto::Offer;

    /// Resources that the format cannot express are left out, as a master does.
    fn to_proto(&self, format: Format) -> proto::Offer {
        let expressible = self.resources.iter().filter(|resource| is_expressible(resource, format));
        proto::Offer {
            id: self.id.to_proto(format),
            framework_id: self.framework_id.to_proto(format),
            agent_id: self.agent_id.to_proto(format),
            hostname: self.hostname.clone(),
            url: None,
            domain: write_domain(self.domain.as_ref()),
            resources: expressible.map(|resource| resource.to_proto(format)).collect(),
            attributes: write_all(&self.attributes, format),
            executor_ids: write_all(&self.executor_ids, format),
            unavailability: write_some(self.unavailability.as_ref(), format),
            allocation_info: self
                .role
                .as_ref()
                .filter(|_| format.multi_role)
                .map(|role| AllocationInfo { role: Some(role.to_string()) }),
        }
    }

    fn from_proto(proto: proto::Offer) -> Result<Self, Invalid> {
        Ok(Self {
            id: read("id", proto.id)?,
            framework_id: read("framework_id", proto.framework_id)?,
            agent_id: read("agent_id", proto.agent_id)?,
            hostname: proto.hostname,
            role: proto.allocation_info.and_then(|info| info.role).map(Role::from),
            resources: read_all("resources", proto.resources)?,
            attributes: read_all("attributes", proto.attributes)?,
            executor_ids: read_all("executor_ids", proto.executor_ids)?,
            domain: read_domain(proto.domain),
            unavailability: read_some("unavailability", proto.unavailability)?,
        })
    }
}

impl Translate for Attribute {
    type Proto = proto::Attribute;

    fn to_proto(&self, _: Format) -> proto::Attribute {
        let mut proto = proto::Attribute { name: self.name.clone(), ..Default::default() };
        match &self.value {
            AttributeValue::Scalar(amount) => {
                proto.set_type(value::Type::Scalar);
                proto.scalar = Some(write_scalar(*amount));
            }
            AttributeValue::Ranges(ranges) => {
                proto.set_type(value::Type::Ranges);
                proto.ranges = Some(write_ranges(ranges));
            }
            AttributeValue::Set(items) => {
                proto.set_type(value::Type::Set);
                proto.set = Some(value::Set { item: items.clone() });
            }
            AttributeValue::Text(text) => {
                proto.set_type(value::Type::Text);
                proto.text = Some(value::Text { value: text.clone() });
            }
        }
        proto
    }

    fn from_proto(proto: proto::Attribute) -> Result<Self, Invalid> {
        let value = match proto.r#type() {
            value::Type::Scalar => AttributeValue::Scalar(read_scalar(proto.scalar)?),
            value::Type::Ranges => AttributeValue::Ranges(read_ranges(proto.ranges)?),
            value::Type::Set => AttributeValue::Set(read_set(proto.set)?),
            value::Type::Text => {
                AttributeValue::Text(proto.text.ok_or_else(|| Invalid::absent("text"))?.value)
            }
        };
        Ok(Self { name: proto.name, value })
    }
}

impl Translate for Unavailability {
    type Proto = proto::Unavailability;

    fn to_proto(&self, format: Format) -> proto::Unavailability {
        proto::Unavailability {
            start: self.start.to_proto(format),
            duration: write_some(self.duration.as_ref(), format),
        }
    }

    fn from_proto(proto: proto::Unavailability) -> Result<Self, Invalid> {
        Ok(Self { start: read("start", proto.start)?, duration: read_some("duration", proto.duration)? })
    }
}

/// The framework that an inverse offer is made to is the one that hears it; the core does not repeat it.
impl Translate for InverseOffer {
    type Proto = proto::InverseOffer;

    fn to_proto(&self, format: Format) -> proto::InverseOffer {
        proto::InverseOffer {
            id: self.id.to_proto(format),
            agent_id: write_some(self.agent_id.as_ref(), format),
            unavailability: self.unavailability.to_proto(format),
            ..Default::default()
        }
    }

    fn from_proto(proto: proto::InverseOffer) -> Result<Self, Invalid> {
        Ok(Self {
            id: read("id", proto.id)?,
            agent_id: read_some("agent_id", proto.agent_id)?,
            unavailability: read("unavailability", proto.unavailability)?,
        })
    }
}

impl Translate for MasterInfo {
    type Proto = proto::MasterInfo;

    fn to_proto(&self, _: Format) -> proto::MasterInfo {
        proto::MasterInfo {
            id: self.id.clone(),
            // In network byte order, which makes the first octet the lowest byte.
            ip: self
                .hostname
                .as_ref()
                .and_then(|host| host.parse::<std::net::Ipv4Addr>().ok())
                .map_or(0, |address| u32::from_le_bytes(address.octets())),
            port: self.port,
            hostname: self.hostname.clone(),
            version: self.version.clone(),
            domain: write_domain(self.domain.as_ref()),
            ..Default::default()
        }
    }

    fn from_proto(proto: proto::MasterInfo) -> Result<Self, Invalid> {
        Ok(Self {
            id: proto.id,
            hostname: proto.hostname.or_else(|| proto.address.and_then(|address| address.hostname)),
            port: proto.port,
            version: proto.version,
            domain: read_domain(proto.domain),
        })
    }
}

fn read_domain(domain: Option<proto::DomainInfo>) -> Option<FaultDomain> {
    let domain = domain?.fault_domain?;
    Some(FaultDomain { region: domain.region.name, zone: domain.zone.name })
}

fn write_domain(domain: Option<&FaultDomain>) -> Option<proto::DomainInfo> {
    domain.map(|domain| proto::DomainInfo {
        fault_domain: Some(domain_info::FaultDomain {
            region: fault_domain::RegionInfo { name: domain.region.clone() },
            zone: fault_domain::ZoneInfo { name: domain.zone.clone() },
        }),
    })
}
