//! Every example of the Pods page, posted as it is printed, and what it is answered with.

mod support;

#[path = "../../core/tests/pods_page/corpus.rs"]
mod corpus;

use podium_core::admission::Rules;
use podium_core::model::ids::Role;
use reqwest::StatusCode;
use serde_json::Value;
use support::server::Server;

/// A daemon on which all examples work: some use secrets, some a network without a name.
async fn server() -> Server {
    let default_network_name = Some("dcos".to_owned());
    Server::with_rules(Rules { default_network_name, mesos_role: Role::new("*"), secrets: true }).await
}

/// Posts `text` as the page's `curl` does. What is answered.
async fn post(server: &Server, text: String) -> (StatusCode, Value) {
    let request = server.request("POST", "/v2/pods").header("content-type", "application/json");
    let response = request.body(text).send().await.unwrap();
    assert_eq!(response.headers().get("warning"), None, "every field of the page means something");
    (response.status(), response.json().await.unwrap())
}

/// Posts a pod that is accepted. The answer, without what differs from run to run.
async fn create(text: String) -> String {
    let server = server().await;
    let (status, created) = post(&server, text).await;
    assert_eq!(status, StatusCode::CREATED, "{created:#}");
    let id = created["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/v2/pods{id}")).await, created, "what is answered is what is kept");
    // What is answered is accepted, and changes nothing.
    let again = server.request("PUT", &format!("/v2/pods{id}?force=true")).json(&created);
    let again = again.send().await.unwrap();
    assert_eq!((again.status(), again.headers().get("warning")), (StatusCode::OK, None));
    assert_eq!(again.json::<Value>().await.unwrap(), created);
    server.redact(&serde_json::to_string_pretty(&created).unwrap())
}

#[tokio::test]
async fn pods() {
    for (name, text) in corpus::PODS {
        insta::assert_snapshot!(name, create(text.to_owned()).await);
    }
}

#[tokio::test]
async fn fragments() {
    for (name, json) in corpus::completed_fragments() {
        insta::assert_snapshot!(format!("fragment_{name}"), create(json.to_string()).await);
    }
}

/// The page writes an amount of disk as `10mb`, and mounts a volume `env` where it declares one named `etc`.
#[tokio::test]
async fn what_the_page_gets_wrong_is_refused_with_a_reason() {
    let server = server().await;
    for text in [corpus::executor_resources_as_printed(), corpus::volumes_as_printed().to_string()] {
        let (status, refused) = post(&server, text).await;
        insta::assert_snapshot!(format!("{status}\n{refused:#}"));
    }
    assert_eq!(server.get("/v2/pods").await, Value::Array(Vec::new()));
}
