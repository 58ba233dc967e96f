//! Groups: what they say, what they are made of, and who waits for whom because of them.

#[path = "../harness/mod.rs"]
mod harness;

mod changes;
mod dependencies;
mod liveness;

use harness::Driver;
use podium_core::admission::{Rules, read_group};
use podium_core::model::ids::GroupId;
use podium_core::model::mesos::TaskState;
use podium_core::{Command, Refusal, Response};
use serde_json::{Value, json};

/// `PUT /v2/groups{id}` with this body.
fn put(driver: &mut Driver, id: &str, body: &Value) -> Result<Response, Refusal> {
    let group = read_group(body, &GroupId::from(id), &Rules::default())?.update;
    driver.command(Command::UpdateGroup { group })
}

fn delete(driver: &mut Driver, id: &str) -> Result<Response, Refusal> {
    driver.command(Command::DeleteGroup { id: GroupId::from(id), force: false })
}

/// Makes the pods of `group` depend on `dependency`.
fn depend(driver: &mut Driver, group: &str, dependency: &str) {
    put(driver, group, &json!({"dependencies": [dependency]})).unwrap();
}

/// Launches whatever waits, and has it run.
fn launch(driver: &mut Driver) {
    driver.wait(5.0);
    driver.offer("s1", 8.0, 8192.0);
    for (n, instance) in driver.instances().iter().enumerate() {
        let is_new =
            |container: &podium_core::view::ContainerStatus| container.status == TaskState::TaskStaging;
        if !instance.containers.is_empty() && instance.containers.iter().all(is_new) {
            driver.run(n);
        }
    }
}

/// The number of copies of a pod.
fn copies(driver: &Driver, pod: &str) -> usize {
    driver.status_of(pod).instances.len()
}

fn message(driver: &Driver, pod: &str) -> String {
    driver.status_of(pod).message.unwrap_or_default()
}
