//! Health checks and checks. They mean the same and are written differently.

use podium_core::model::mesos::{Check, HealthCheck, HttpScheme, Probe};

use super::{Format, Invalid, Translate, read, read_seconds};
use crate::proto::health_check::{self, HttpCheckInfo, TcpCheckInfo};
use crate::proto::{self, check_info};

impl Translate for HealthCheck {
    type Proto = proto::HealthCheck;

    fn to_proto(&self, format: Format) -> proto::HealthCheck {
        let mut proto = proto::HealthCheck {
            delay_seconds: Some(self.delay.as_secs_f64()),
            interval_seconds: Some(self.interval.as_secs_f64()),
            timeout_seconds: Some(self.timeout.as_secs_f64()),
            consecutive_failures: Some(self.consecutive_failures),
            grace_period_seconds: Some(self.grace_period.as_secs_f64()),
            ..Default::default()
        };
        match &self.probe {
            None => {}
            Some(Probe::Command(command)) => {
                proto.set_type(health_check::Type::Command);
                proto.command = Some(command.to_proto(format));
            }
            Some(Probe::Http { port, path, scheme }) => {
                proto.set_type(health_check::Type::Http);
                proto.http = Some(HttpCheckInfo {
                    port: *port,
                    path: path.clone(),
                    scheme: scheme.map(|scheme| scheme_name(scheme).to_owned()),
                    ..Default::default()
                });
            }
            Some(Probe::Tcp { port }) => {
                proto.set_type(health_check::Type::Tcp);
                proto.tcp = Some(TcpCheckInfo { port: *port, ..Default::default() });
            }
        }
        proto
    }

    fn from_proto(proto: proto::HealthCheck) -> Result<Self, Invalid> {
        Ok(Self {
            delay: read_seconds("delay_seconds", proto.delay_seconds())?,
            interval: read_seconds("interval_seconds", proto.interval_seconds())?,
            timeout: read_seconds("timeout_seconds", proto.timeout_seconds())?,
            consecutive_failures: proto.consecutive_failures(),
            grace_period: read_seconds("grace_period_seconds", proto.grace_period_seconds())?,
            probe: match proto.r#type() {
                health_check::Type::Unknown => None,
                health_check::Type::Command => {
                    proto.command.map(|command| read("command", command).map(Probe::Command)).transpose()?
                }
                health_check::Type::Http => proto
                    .http
                    .map(|http| {
                        let scheme = http.scheme.as_deref().map(read_scheme).transpose()?;
                        Ok(Probe::Http { port: http.port, path: http.path, scheme })
                    })
                    .transpose()?,
                health_check::Type::Tcp => proto.tcp.map(|tcp| Probe::Tcp { port: tcp.port }),
            },
        })
    }
}

/// An HTTP check has no scheme: a check that was made with one loses it.
impl Translate for Check {
    type Proto = proto::CheckInfo;

    fn to_proto(&self, format: Format) -> proto::CheckInfo {
        let mut proto = proto::CheckInfo {
            delay_seconds: Some(self.delay.as_secs_f64()),
            interval_seconds: Some(self.interval.as_secs_f64()),
            timeout_seconds: Some(self.timeout.as_secs_f64()),
            ..Default::default()
        };
        match &self.probe {
            None => {}
            Some(Probe::Command(command)) => {
                proto.set_type(check_info::Type::Command);
                proto.command = Some(check_info::Command { command: command.to_proto(format) });
            }
            Some(Probe::Http { port, path, scheme: _ }) => {
                proto.set_type(check_info::Type::Http);
                proto.http = Some(check_info::Http { port: *port, path: path.clone() });
            }
            Some(Probe::Tcp { port }) => {
                proto.set_type(check_info::Type::Tcp);
                proto.tcp = Some(check_info::Tcp { port: *port });
            }
        }
        proto
    }

    fn from_proto(proto: proto::CheckInfo) -> Result<Self, Invalid> {
        Ok(Self {
            delay: read_seconds("delay_seconds", proto.delay_seconds())?,
            interval: read_seconds("interval_seconds", proto.interval_seconds())?,
            timeout: read_seconds("timeout_seconds", proto.timeout_seconds())?,
            probe: match proto.r#type() {
                check_info::Type::Unknown => None,
                check_info::Type::Command => proto
                    .command
                    .map(|command| read("command.command", command.command).map(Probe::Command))
                    .transpose()?,
                check_info::Type::Http => {
                    proto.http.map(|http| Probe::Http { port: http.port, path: http.path, scheme: None })
                }
                check_info::Type::Tcp => proto.tcp.map(|tcp| Probe::Tcp { port: tcp.port }),
            },
        })
    }
}

const fn scheme_name(scheme: HttpScheme) -> &'static str {
    match scheme {
        HttpScheme::Http => "http",
        HttpScheme::Https => "https",
    }
}

fn read_scheme(name: &str) -> Result<HttpScheme, Invalid> {
    [HttpScheme::Http, HttpScheme::Https]
        .into_iter()
        .find(|scheme| scheme_name(*scheme) == name)
        .ok_or_else(|| Invalid::unusable("http.scheme", name, "a scheme is http or https"))
}
