//! Subscriptions: how frameworks come, change hands, change, fall away, and are removed.

use std::sync::Arc;

use podium_core::model::ids::{FrameworkId, Role};
use podium_core::model::mesos::{Event, FrameworkCapability, FrameworkInfo};

use super::calls::{rejected, respond};
use super::validation::validate_id;
use super::{Framework, Master};
use crate::cluster::env::Env;
use crate::cluster::io::{Answer, Output, StreamId, Subscribe};
use crate::cluster::wire::{MasterTimer, ToAgent};

impl Master {
    /// `SUBSCRIBE`. What is wrong with the call is an HTTP error; what is wrong with the framework is an
    /// `ERROR` on the stream.
    pub(in crate::cluster) fn on_subscribe(&mut self, env: &mut Env, call: Subscribe) {
        let request = call.request;
        if let Err(answer) = self.admit_subscription(&call) {
            return respond(env, request, answer);
        }
        respond(env, request, Answer::Ok);
        if let Err(message) = self.subscribe(env, &call) {
            let stream = call.stream;
            env.outputs.push(Output::Event { stream: stream.clone(), event: Event::Error { message } });
            env.outputs.push(Output::CloseStream { stream, clean: true });
        }
    }

    fn admit_subscription(&self, call: &Subscribe) -> Result<(), Answer> {
        self.ready()?;
        let invalid =
            |text: String| Err(rejected(400, format!("Failed to validate scheduler::Call: {text}")));
        if call.framework_id != call.framework_info.id {
            return invalid("'framework_id' differs from 'subscribe.framework_info.id'".to_owned());
        }
        if let (Some(authenticated), Some(own)) = (&call.principal, &call.framework_info.principal)
            && authenticated != own
        {
            return invalid(format!(
                "Authenticated principal '{authenticated}' does not match principal '{own}' set in \
                 `FrameworkInfo`"
            ));
        }
        Ok(())
    }

    fn subscribe(&mut self, env: &mut Env, call: &Subscribe) -> Result<(), String> {
        let mut info = call.framework_info.clone();
        if info.principal.is_none() {
            info.principal.clone_from(&call.principal);
        }
        self.validate_framework(&info)?;
        validate_suppressed(&info, &call.suppressed_roles)?;
        self.authorize(env, &info)?;

        let id = info.id.clone().filter(|id| !id.as_str().is_empty());
        let Some(framework_id) = id else {
            let framework_id = FrameworkId::new(format!("{}-{:04}", self.info.id, self.next_framework));
            self.next_framework += 1;
            info.id = Some(framework_id.clone());
            self.add_framework(env, info, &call.suppressed_roles);
            self.connect(env, &framework_id, &call.stream);
            self.allocate_soon(env);
            return Ok(());
        };
        if let Some(framework) = self.frameworks.get(&framework_id) {
            preserve_immutable(&framework.info, &mut info);
            validate_update(&framework.info, &info)?;
            self.change_framework(env, &framework_id, info, &call.suppressed_roles);
        } else {
            self.add_framework(env, info, &call.suppressed_roles);
        }
        let was_connected = self.fail_over(env, &framework_id);
        self.connect(env, &framework_id, &call.stream);
        // The allocator sees no change in a framework that was there all the time.
        if was_connected {
            self.allocate_later(env);
        } else {
            self.allocate_soon(env);
        }
        self.broadcast_framework(env, &framework_id);
        Ok(())
    }

    fn add_framework(&mut self, env: &mut Env, info: FrameworkInfo, suppressed: &[Role]) {
        let Some(framework_id) = info.id.clone() else { return };
        self.allocator.add_framework(&framework_id, &info, suppressed);
        self.frameworks.insert(framework_id, Framework::new(env, info, false));
    }

    /// A framework that only its agents told of.
    pub(super) fn recover_framework(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        info: &FrameworkInfo,
    ) {
        if self.frameworks.contains_key(framework_id) {
            return;
        }
        self.allocator.add_framework(framework_id, info, &[]);
        self.frameworks.insert(framework_id.clone(), Framework::new(env, info.clone(), true));
    }

    /// The present subscription, if any, ends: another one takes over. Offers are taken back silently. Returns
    /// whether there was one.
    fn fail_over(&mut self, env: &mut Env, framework_id: &FrameworkId) -> bool {
        self.discard_offers_of(env, framework_id);
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return false };
        env.queue.cancel(framework.heartbeat.take());
        if let Some(stream) = framework.stream.take() {
            self.streams.remove(&stream);
            let message = "Framework failed over".to_owned();
            env.outputs.push(Output::Event { stream: stream.clone(), event: Event::Error { message } });
            env.outputs.push(Output::CloseStream { stream, clean: true });
            return true;
        }
        false
    }

    fn connect(&mut self, env: &mut Env, framework_id: &FrameworkId, stream: &StreamId) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        framework.stream = Some(stream.clone());
        framework.recovered = false;
        env.queue.cancel(framework.failover.take());
        self.streams.insert(stream.clone(), framework_id.clone());
        let subscribed = Event::Subscribed {
            framework_id: framework_id.clone(),
            heartbeat_interval: Some(env.config.master.heartbeat_interval),
            master: Some(self.info.clone()),
        };
        self.send(env, framework_id, subscribed);
        self.heartbeat(env, framework_id);
        self.allocator.set_framework_active(framework_id, true);
    }

    pub(super) fn heartbeat(&mut self, env: &mut Env, framework_id: &FrameworkId) {
        self.send(env, framework_id, Event::Heartbeat);
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            let timer = MasterTimer::Heartbeat(framework_id.clone());
            framework.heartbeat = Some(env.plan_master(env.config.master.heartbeat_interval, timer));
        }
    }

    /// Agents learn of the framework's new subscription or properties.
    fn broadcast_framework(&self, env: &mut Env, framework_id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        for agent in self.agents.iter().flatten() {
            let message = ToAgent::UpdateFramework {
                framework_id: framework_id.clone(),
                framework: framework.info.clone(),
            };
            env.send_to_agent(agent.index, message);
        }
    }

    /// The scheduler's connection broke.
    pub(in crate::cluster) fn stream_closed(&mut self, env: &mut Env, stream: &StreamId) {
        let Some(framework_id) = self.streams.remove(stream) else { return };
        let Some(framework) = self.frameworks.get_mut(&framework_id) else { return };
        framework.stream = None;
        env.queue.cancel(framework.heartbeat.take());
        let timeout = framework.info.failover_timeout;
        if timeout.is_zero() {
            return self.remove_framework(env, &framework_id);
        }
        framework.failover =
            Some(env.plan_master(timeout, MasterTimer::FailoverTimeout(framework_id.clone())));
        self.discard_offers_of(env, &framework_id);
        self.allocator.set_framework_active(&framework_id, false);
    }

    /// `UPDATE_FRAMEWORK`.
    pub(super) fn update_framework_call(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        info: FrameworkInfo,
        suppressed: &[Role],
    ) -> Answer {
        if let Err(text) = self.validate_framework(&info) {
            return rejected(400, format!("Supplied FrameworkInfo is not valid: {text}"));
        }
        let Some(framework) = self.frameworks.get(framework_id) else {
            return rejected(400, "Framework cannot be found");
        };
        if let Err(text) = validate_update(&framework.info, &info) {
            return rejected(400, format!("FrameworkInfo update is not valid: {text}"));
        }
        if let Err(text) = validate_suppressed(&info, suppressed) {
            return rejected(400, format!("'UpdateFramework' call is not valid: {text}"));
        }
        if let Err(text) = self.authorize(env, &info) {
            return rejected(403, text);
        }
        let changed = *framework.info != info;
        self.change_framework(env, framework_id, info, suppressed);
        self.allocate_soon(env);
        if changed {
            self.broadcast_framework(env, framework_id);
        }
        Answer::Ok
    }

    /// New properties apply. Offers to roles that it left are rescinded.
    fn change_framework(
        &mut self,
        env: &mut Env,
        framework_id: &FrameworkId,
        info: FrameworkInfo,
        suppressed: &[Role],
    ) {
        let roles = roles_of(&info);
        self.rescind_offers_where(env, framework_id, |role| !roles.contains(role));
        self.allocator.change_framework(framework_id, &info, suppressed);
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            framework.info = Arc::new(info);
        }
    }

    /// The framework is no more: by its own wish, an operator's, or because it stayed away.
    pub(super) fn remove_framework(&mut self, env: &mut Env, framework_id: &FrameworkId) {
        self.discard_offers_of(env, framework_id);
        let agents: Vec<_> = self.agents.iter().flatten().map(|agent| agent.index).collect();
        for agent in &agents {
            self.take_framework(env, *agent, framework_id);
        }
        let Some(mut framework) = self.frameworks.remove(framework_id) else { return };
        env.queue.cancel(framework.heartbeat.take());
        env.queue.cancel(framework.failover.take());
        if let Some(stream) = framework.stream.take() {
            self.streams.remove(&stream);
            env.outputs.push(Output::CloseStream { stream, clean: true });
        }
        for agent in &agents {
            let message = ToAgent::ShutdownFramework { framework_id: framework_id.clone() };
            env.send_to_agent(*agent, message);
        }
        self.inverse_offers.remove_framework(framework_id);
        self.allocator.remove_framework(framework_id);
        self.completed.push_back(framework_id.clone());
        if self.completed.len() > env.config.master.max_completed_frameworks {
            self.completed.pop_front();
        }
        self.allocate_later(env);
        for agent in agents {
            self.check_drained(env, agent);
        }
    }

    // -- validation ----------------------------------------------------------------------------------------

    fn validate_framework(&self, info: &FrameworkInfo) -> Result<(), String> {
        let multi_role = info.capabilities.contains(&FrameworkCapability::MultiRole);
        if multi_role {
            if info.role.is_some() {
                return Err(
                    "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable".into()
                );
            }
            let duplicate =
                info.roles.iter().enumerate().find(|(index, role)| info.roles[..*index].contains(role));
            if let Some((_, role)) = duplicate {
                return Err(format!("'FrameworkInfo.roles' contains duplicate items: {{ {role} }}"));
            }
            for role in &info.roles {
                validate_role(role.as_str())
                    .map_err(|text| format!("'FrameworkInfo.roles' contains invalid role: {text}"))?;
            }
        } else {
            if !info.roles.is_empty() {
                return Err(
                    "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"
                        .into(),
                );
            }
            if let Some(role) = &info.role {
                validate_role(role.as_str())
                    .map_err(|text| format!("'FrameworkInfo.role' is not a valid role: {text}"))?;
            }
        }
        if let Some(id) = info.id.as_ref().filter(|id| !id.as_str().is_empty()) {
            validate_id(id.as_str())?;
            if self.completed.contains(id) {
                return Err("Framework has been removed".into());
            }
        }
        Ok(())
    }

    fn authorize(&self, env: &Env, info: &FrameworkInfo) -> Result<(), String> {
        let Some(permitted) = &env.config.master.permitted_roles else { return Ok(()) };
        let roles = roles_of(info);
        if roles.iter().all(|role| permitted.contains(role)) {
            return Ok(());
        }
        let roles: Vec<_> = roles.iter().map(Role::as_str).collect();
        let id = info.id.as_ref().map_or("", |id| id.as_str());
        Err(format!("Not authorized to register framework {id} with roles {{ {} }}", roles.join(", ")))
    }
}

impl Framework {
    fn new(env: &Env, info: FrameworkInfo, recovered: bool) -> Self {
        Self {
            info: Arc::new(info),
            stream: None,
            recovered,
            registered_at: env.now,
            tasks: Default::default(),
            unreachable: Default::default(),
            unreachable_order: Default::default(),
            heartbeat: None,
            failover: None,
        }
    }
}

/// The roles of a framework: one or many, depending on `MULTI_ROLE`.
pub(super) fn roles_of(info: &FrameworkInfo) -> Vec<Role> {
    if info.capabilities.contains(&FrameworkCapability::MultiRole) {
        info.roles.clone()
    } else {
        vec![info.role.clone().unwrap_or_else(|| Role::new("*"))]
    }
}

fn validate_suppressed(info: &FrameworkInfo, suppressed: &[Role]) -> Result<(), String> {
    let roles = roles_of(info);
    let foreign: Vec<_> = suppressed.iter().filter(|role| !roles.contains(role)).map(Role::as_str).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    Err(format!("Suppressed roles {{ {} }} are not contained in the set of roles", foreign.join(", ")))
}

/// A subscription cannot change these; it is told nothing.
fn preserve_immutable(old: &FrameworkInfo, new: &mut FrameworkInfo) {
    new.user.clone_from(&old.user);
    new.checkpoint = old.checkpoint;
}

fn validate_update(old: &FrameworkInfo, new: &FrameworkInfo) -> Result<(), String> {
    if old.principal != new.principal {
        return Err("Changing framework's principal is not allowed.".into());
    }
    if old.user != new.user {
        return Err(format!(
            "Updating 'FrameworkInfo.user' is unsupported; attempted to update from '{}' to '{}'",
            old.user, new.user
        ));
    }
    if old.checkpoint != new.checkpoint {
        return Err(format!(
            "Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from '{}' to '{}'",
            old.checkpoint, new.checkpoint
        ));
    }
    Ok(())
}

/// The rules for role names.
pub(super) fn validate_role(role: &str) -> Result<(), String> {
    if role == "*" {
        return Ok(());
    }
    if role.starts_with('/') {
        return Err(format!("Role '{role}' cannot start with a slash"));
    }
    if role.ends_with('/') {
        return Err(format!("Role '{role}' cannot end with a slash"));
    }
    if role.contains("//") {
        return Err(format!("Role '{role}' cannot contain two adjacent slashes"));
    }
    if role.is_empty() {
        return Err("Role names cannot be the empty string".into());
    }
    for component in role.split('/') {
        if matches!(component, "." | ".." | "*") {
            return Err(format!("Role '{role}' cannot include '{component}' as a component"));
        }
        if component.starts_with('-') {
            return Err(format!("Role component '{component}' is invalid because it starts with a dash"));
        }
        if component.contains(['\t', '\n', '\x0b', '\x0c', '\r', ' ', '\x7f']) {
            return Err(format!(
                "Role component '{component}' is invalid because it contains backspace or whitespace"
            ));
        }
    }
    Ok(())
}
