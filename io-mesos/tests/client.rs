//! The client against a master that misbehaves in every way a master, a network or a proxy can.

mod support;

use std::time::Duration;

use podium_core::model::ids::TaskId;
use podium_core::model::mesos::{Call, Event, FrameworkCapability, FrameworkInfo, StatusUuid};
use podium_mesos::client::{
    CallSender, Client, Config, Credential, Disconnect, Ended, Notice, StaticMasters, Subscription,
};
use podium_mesos::codec::MediaType;
use podium_mesos::proto::{self, scheduler};
use podium_mesos::recordio;
use tokio::sync::watch;

use support::capture::captures;
use support::master::{DEADLINE, EventStream, FRAMEWORK, Master, subscribed_event};

fn config() -> Config {
    Config {
        first_delay: Duration::from_millis(5),
        max_delay: Duration::from_millis(20),
        request_timeout: DEADLINE,
        ..Config::default()
    }
}

fn subscription(id: Option<&str>) -> watch::Receiver<Subscription> {
    let framework_info = FrameworkInfo {
        user: "root".into(),
        name: "podium".into(),
        id: id.map(Into::into),
        failover_timeout: Duration::from_secs(604_800),
        checkpoint: true,
        roles: vec!["pods".into()],
        role: None,
        capabilities: vec![FrameworkCapability::MultiRole, FrameworkCapability::ReservationRefinement],
        hostname: None,
        webui_url: None,
        principal: None,
    };
    watch::channel(Subscription { framework_info, suppressed_roles: Vec::new() }).1
}

fn start(masters: &[&Master], config: Config) -> Client {
    let list = masters.iter().map(|master| master.address.as_str()).collect::<Vec<_>>().join(",");
    let masters: StaticMasters = format!("http://{list}").parse().unwrap();
    Client::start(config, Box::new(masters), subscription(None))
}

async fn notice(client: &mut Client) -> Notice {
    let notice = tokio::time::timeout(DEADLINE, client.next()).await.expect("no notice came in time");
    notice.expect("the client is still there")
}

async fn event(client: &mut Client) -> Event {
    match notice(client).await {
        Notice::Event(event) => event,
        other => panic!("not an event: {other:?}"),
    }
}

/// Takes the two notices that begin a subscription, after those of failed attempts.
async fn subscribed(client: &mut Client) -> CallSender {
    loop {
        match notice(client).await {
            Notice::Subscribed(calls) => {
                assert!(matches!(event(client).await, Event::Subscribed { .. }));
                return calls;
            }
            Notice::AttemptFailed { .. } => {}
            other => panic!("not subscribed: {other:?}"),
        }
    }
}

async fn disconnected(client: &mut Client) -> Disconnect {
    match notice(client).await {
        Notice::Disconnected(reason) => reason,
        other => panic!("not disconnected: {other:?}"),
    }
}

async fn failed(client: &mut Client) -> Disconnect {
    match notice(client).await {
        Notice::AttemptFailed { reason, .. } => reason,
        other => panic!("the attempt did not fail: {other:?}"),
    }
}

async fn ended(client: &mut Client) -> Ended {
    match notice(client).await {
        Notice::Ended(ended) => {
            assert!(client.next().await.is_none(), "the last notice");
            ended
        }
        other => panic!("not ended: {other:?}"),
    }
}

/// A client with a subscription.
async fn connect(config: Config) -> (Master, Client, EventStream, CallSender) {
    let mut master = Master::start().await;
    let mut client = start(&[&master], config);
    let (_, stream) = master.subscribed().await;
    let calls = subscribed(&mut client).await;
    (master, client, stream, calls)
}

fn kill(task: &str) -> Call {
    Call::Kill { task_id: TaskId::new(task), agent_id: None, grace_period: None }
}

fn acknowledge(number: u128) -> Call {
    Call::Acknowledge {
        agent_id: "agent".into(),
        task_id: number.to_string().into(),
        uuid: StatusUuid::from_u128(number),
    }
}

#[tokio::test]
async fn subscribes_and_calls_over_another_connection() {
    for media in [MediaType::Protobuf, MediaType::Json] {
        let mut master = Master::start().await;
        let credential = Some(Credential::new("podium", "secret").unwrap());
        let mut client = start(&[&master], Config { media, credential, ..config() });

        let subscribe = master.request().await;
        assert_eq!(subscribe.path, "/api/v1/scheduler");
        assert_eq!(subscribe.header("Content-Type"), Some(media.as_str()));
        assert_eq!(subscribe.header("Accept"), Some(media.as_str()));
        assert_eq!(subscribe.header("Authorization"), Some("Basic cG9kaXVtOnNlY3JldA=="));
        assert_eq!(subscribe.header("Mesos-Stream-Id"), None);
        assert!(subscribe.header("User-Agent").unwrap().starts_with("podium/"));
        assert_eq!(subscribe.call().framework_id, None);
        let mut stream = subscribe.open_stream().await;
        let first = subscribed_event(Duration::from_secs(15));
        stream.event(&first).await;
        stream.event(&Event::Heartbeat).await;

        let Notice::Subscribed(calls) = notice(&mut client).await else { panic!("not subscribed") };
        assert_eq!(event(&mut client).await, first);
        assert_eq!(event(&mut client).await, Event::Heartbeat);

        for call in [Call::Revive { roles: Vec::new() }, kill("a"), Call::Reconcile { tasks: Vec::new() }] {
            calls.send(call.clone()).unwrap();
            let request = master.request().await;
            assert_eq!(request.path, "/api/v1/scheduler");
            assert_eq!(request.header("Mesos-Stream-Id"), Some(stream.id().as_str()));
            assert_eq!(request.header("Authorization"), Some("Basic cG9kaXVtOnNlY3JldA=="));
            assert_eq!(request.call().framework_id.unwrap().value, FRAMEWORK);
            assert_eq!(request.core_call(), call);
            assert_ne!(request.connection, stream.connection);
            request.accept().await;
        }
    }
}

#[tokio::test]
async fn follows_redirects_with_everything() {
    let (mut follower, mut leader) = (Master::start().await, Master::start().await);
    let credential = Some(Credential::new("p", "s").unwrap());
    let mut client = start(&[&follower], Config { credential, ..config() });

    let first = follower.request().await;
    let location = format!("Location: //{}/master/api/v1/scheduler\r\n", leader.address);
    first.reply("307 Temporary Redirect", &location, "").await;
    let second = leader.request().await;
    assert_eq!(second.path, "/master/api/v1/scheduler");
    assert_eq!(second.call(), first.call());
    assert_eq!(second.header("Authorization"), first.header("Authorization"));
    let mut stream = second.open_stream().await;
    stream.event(&subscribed_event(Duration::from_secs(15))).await;

    let calls = subscribed(&mut client).await;
    calls.send(kill("a")).unwrap();
    let call = leader.request().await;
    assert_eq!(call.path, "/master/api/v1/scheduler");
    assert!(follower.is_quiet().await);

    // Another leader by now: start anew.
    call.reply("307 Temporary Redirect", &location, "").await;
    assert!(matches!(disconnected(&mut client).await, Disconnect::Call { status: 307, .. }));
    follower.request().await;
}

#[tokio::test]
async fn does_not_run_in_circles() {
    let mut master = Master::start().await;
    let mut client = start(&[&master], Config { max_redirects: 3, ..config() });
    let location = format!("Location: {}\r\n", master.address);
    for _ in 0..4 {
        master.request().await.reply("307 Temporary Redirect", &location, "").await;
    }
    assert_eq!(failed(&mut client).await, Disconnect::TooManyRedirects(3));

    master.request().await.reply("307 Temporary Redirect", "Location: https://x:1/\r\n", "").await;
    assert!(matches!(failed(&mut client).await, Disconnect::Redirect { .. }));
    master.request().await.reply("307 Temporary Redirect", "", "").await;
    assert!(matches!(failed(&mut client).await, Disconnect::Redirect { .. }));
}

#[tokio::test]
async fn asks_the_masters_in_turn_until_one_is_ready() {
    let (mut one, mut two) = (Master::start().await, Master::start().await);
    let mut client = start(&[&one, &two], config());
    for (status, reason) in [
        ("503 Service Unavailable", "No leader elected"),
        ("404 Not Found", ""),
        ("503 Service Unavailable", "Master has not finished recovery"),
    ] {
        for master in [&mut one, &mut two] {
            master.request().await.reply(status, "", reason).await;
            let Disconnect::Unavailable { status: code, reason: said, .. } = failed(&mut client).await else {
                panic!("{status}")
            };
            assert_eq!((code.to_string(), said.as_str()), (status[..3].to_owned(), reason));
        }
    }
    one.subscribed().await;
    subscribed(&mut client).await;
}

#[tokio::test]
async fn a_broken_connection_is_tried_again() {
    let mut master = Master::start().await;
    let free_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let masters: StaticMasters = format!("{free_port},{}", master.address).parse().unwrap();
    let mut client = Client::start(config(), Box::new(masters), subscription(None));
    for _ in 0..2 {
        assert!(matches!(failed(&mut client).await, Disconnect::Io { .. }), "nobody listens");
        master.request().await.close().await;
        assert!(matches!(failed(&mut client).await, Disconnect::Io { .. }), "hung up");
    }
}

#[tokio::test]
async fn what_is_no_stream_is_no_subscription() {
    let mut master = Master::start().await;
    let mut client = start(&[&master], config());
    for headers in
        ["Content-Type: text/html\r\nMesos-Stream-Id: s\r\n", "Content-Type: application/x-protobuf\r\n"]
    {
        master.request().await.reply("200 OK", headers, "<html>").await;
        assert!(matches!(failed(&mut client).await, Disconnect::Protocol { .. }), "{headers}");
    }
    let mut stream = master.request().await.open_stream().await;
    stream.event(&Event::Heartbeat).await;
    assert_eq!(failed(&mut client).await, Disconnect::NotSubscribed);
    let mut stream = master.request().await.open_stream().await;
    stream.chunk(b"3\n\xff\xff\xff").await;
    assert!(matches!(failed(&mut client).await, Disconnect::Undecodable(_)));
    master.request().await.open_stream().await.end().await;
    assert_eq!(failed(&mut client).await, Disconnect::EndOfStream);
}

#[tokio::test]
async fn a_master_that_hangs_is_left() {
    let timeout = Duration::from_millis(500);
    let mut master = Master::start().await;
    let mut client = start(&[&master], Config { request_timeout: timeout, ..config() });
    let _accepted = master.request().await;
    assert!(matches!(failed(&mut client).await, Disconnect::Timeout { .. }));
    let _silent = master.request().await.open_stream().await;
    assert_eq!(failed(&mut client).await, Disconnect::Silence(timeout));
    let (_, _stream) = master.subscribed().await;
    let calls = subscribed(&mut client).await;
    calls.send(kill("a")).unwrap();
    let _unanswered = master.request().await;
    assert!(matches!(disconnected(&mut client).await, Disconnect::CallUnanswered { call: "KILL", .. }));
    let (call, _stream) = master.subscribed().await;
    assert_eq!(
        call.framework_id.unwrap().value,
        FRAMEWORK,
        "the call is not repeated, the framework is the same"
    );
}

#[tokio::test]
async fn the_end_of_a_stream_is_followed_by_a_new_one() {
    let (mut master, mut client, stream, calls) = connect(config()).await;
    let first = stream.connection;
    stream.end().await;
    assert_eq!(disconnected(&mut client).await, Disconnect::EndOfStream);
    assert!(calls.send(kill("a")).is_err(), "a sender ends with its subscription");

    let (call, stream) = master.subscribed().await;
    assert_ne!(stream.connection, first, "a stream has its connection for itself");
    let info = call.subscribe.unwrap().framework_info;
    assert_eq!(call.framework_id.unwrap().value, FRAMEWORK, "although the driver did not say so");
    assert_eq!(info.id.unwrap().value, FRAMEWORK);
    subscribed(&mut client).await;
    stream.abort().await;
    assert!(matches!(disconnected(&mut client).await, Disconnect::Stream(_)));

    let (_, mut stream) = master.subscribed().await;
    subscribed(&mut client).await;
    stream.chunk(b"12\nonly a part").await;
    stream.chunk(b"HTTP/1.1 500 Internal Server Error\r\n").await;
    assert!(matches!(event(&mut client).await, Event::Unknown), "twelve bytes that are no event");
    assert!(matches!(disconnected(&mut client).await, Disconnect::Record(_)));

    let (_, mut stream) = master.subscribed().await;
    subscribed(&mut client).await;
    stream.event(&Event::Error { message: "Something broke".into() }).await;
    assert!(matches!(event(&mut client).await, Event::Error { .. }));
    assert_eq!(disconnected(&mut client).await, Disconnect::Error("Something broke".into()));
    master.subscribed().await;
}

#[tokio::test]
async fn a_stream_without_heartbeats_is_dead_and_one_with_any_bytes_is_not() {
    let interval = Duration::from_millis(200);
    let mut master = Master::start().await;
    let mut client = start(&[&master], config());
    let mut stream = master.request().await.open_stream().await;
    stream.event(&subscribed_event(interval)).await;
    subscribed(&mut client).await;

    // One event that takes longer than five intervals, byte by byte.
    let record = recordio::encode(&prost::Message::encode_to_vec(&scheduler::Event {
        r#type: Some(scheduler::event::Type::Error.into()),
        error: Some(scheduler::event::Error { message: "slow".into() }),
        ..Default::default()
    }));
    let began = tokio::time::Instant::now();
    for byte in &record {
        tokio::time::sleep(interval / 2).await;
        stream.chunk(&[*byte]).await;
    }
    assert!(began.elapsed() > 5 * interval);
    assert_eq!(event(&mut client).await, Event::Error { message: "slow".into() });
    disconnected(&mut client).await;

    let mut stream = master.request().await.open_stream().await;
    stream.event(&subscribed_event(interval)).await;
    subscribed(&mut client).await;
    assert_eq!(disconnected(&mut client).await, Disconnect::Silence(5 * interval));
    stream.closed_by_client().await;
}

#[tokio::test]
async fn a_stale_subscription_is_given_up() {
    for (status, reason) in [
        ("400 Bad Request", "Framework cannot be found"),
        (
            "400 Bad Request",
            "The stream ID 'x' included in this request didn't match the stream ID currently …",
        ),
        ("403 Forbidden", "Framework is not subscribed"),
        ("503 Service Unavailable", "No leader elected"),
    ] {
        let (mut master, mut client, _stream, calls) = connect(config()).await;
        calls.send(kill("a")).unwrap();
        master.request().await.reply(status, "", reason).await;
        match disconnected(&mut client).await {
            Disconnect::Call { call: "KILL", reason: said, .. } => assert_eq!(said, reason),
            other => panic!("{reason}: {other}"),
        }
        assert_eq!(master.subscribed().await.0.framework_id.unwrap().value, FRAMEWORK);
    }
}

#[tokio::test]
async fn a_refused_call_does_not_end_the_subscription() {
    let (mut master, mut client, _stream, calls) = connect(config()).await;
    let reason = "Failed to validate scheduler::Call: Expecting 'kill' to be present";
    calls.send(kill("a")).unwrap();
    calls.send(kill("b")).unwrap();
    master.request().await.reply("400 Bad Request", "", reason).await;
    match notice(&mut client).await {
        Notice::Refused { call, status: 400, reason: said } => {
            assert_eq!((*call, said.as_str()), (kill("a"), reason));
        }
        other => panic!("{other:?}"),
    }
    let next = master.request().await;
    assert_eq!(next.core_call(), kill("b"));
    next.accept().await;
}

#[tokio::test]
async fn gives_up_when_trying_again_would_not_help() {
    for (message, expected) in [
        ("Framework has been removed", Ended::FrameworkRemoved),
        (
            "Not authorized to register framework  with roles { x }",
            Ended::Refused("Not authorized to register framework  with roles { x }".into()),
        ),
    ] {
        let mut master = Master::start().await;
        let mut client = start(&[&master], config());
        let mut stream = master.request().await.open_stream().await;
        stream.event(&Event::Error { message: message.into() }).await;
        stream.end().await;
        assert_eq!(ended(&mut client).await, expected);
        assert!(master.is_quiet().await);
    }

    let (mut master, mut client, mut stream, _calls) = connect(config()).await;
    stream.event(&Event::Error { message: "Framework failed over".into() }).await;
    stream.end().await;
    assert!(matches!(event(&mut client).await, Event::Error { .. }));
    assert_eq!(ended(&mut client).await, Ended::FailedOver);
    assert!(master.is_quiet().await);

    let mut master = Master::start().await;
    let mut client = start(&[&master], config());
    master.request().await.reply("401 Unauthorized", "", "401 Unauthorized.").await;
    assert_eq!(ended(&mut client).await, Ended::Unauthorized("401 Unauthorized.".into()));

    let mut master = Master::start().await;
    let masters: StaticMasters = master.address.parse().unwrap();
    let mut client = Client::start(config(), Box::new(masters), subscription(Some("another")));
    assert_eq!(master.subscribed().await.0.framework_id.unwrap().value, "another");
    let expected = Ended::WrongFramework { asked: "another".into(), given: FRAMEWORK.into() };
    assert_eq!(ended(&mut client).await, expected);
}

#[tokio::test]
async fn a_teardown_is_the_end_whichever_word_comes_first() {
    let (mut master, mut client, stream, calls) = connect(config()).await;
    calls.send(Call::Teardown).unwrap();
    let request = master.request().await;
    assert_eq!(request.core_call(), Call::Teardown);
    request.accept().await;
    assert_eq!(ended(&mut client).await, Ended::TornDown);
    stream.closed_by_client().await;

    let (mut master, mut client, stream, calls) = connect(config()).await;
    calls.send(Call::Teardown).unwrap();
    let _unanswered = master.request().await;
    stream.end().await;
    assert_eq!(ended(&mut client).await, Ended::TornDown);

    let (mut master, mut client, stream, calls) = connect(config()).await;
    calls.send(Call::Teardown).unwrap();
    master.request().await.reply("403 Forbidden", "", "Not authorized").await;
    assert!(matches!(notice(&mut client).await, Notice::Refused { status: 403, .. }));
    stream.end().await;
    assert_eq!(disconnected(&mut client).await, Disconnect::EndOfStream);
}

#[tokio::test]
async fn calls_keep_their_order_and_acknowledgements_do_not_wait_for_each_other() {
    let (mut master, _client, _stream, calls) = connect(Config { concurrent_calls: 3, ..config() }).await;
    calls.send(kill("before")).unwrap();
    for number in 0..5 {
        calls.send(acknowledge(number)).unwrap();
    }
    calls.send(kill("after")).unwrap();

    let before = master.request().await;
    assert_eq!(before.core_call(), kill("before"));
    assert!(master.is_quiet().await, "acknowledgements wait for the call before them");
    before.accept().await;

    let mut on_the_way = vec![master.request().await, master.request().await, master.request().await];
    assert!(master.is_quiet().await, "no more than three at once");
    let mut seen = Vec::new();
    for _ in 0..2 {
        let answered = on_the_way.remove(1);
        seen.push(answered.core_call());
        answered.accept().await;
        on_the_way.push(master.request().await);
    }
    seen.extend(on_the_way.iter().map(support::master::Exchange::core_call));
    seen.sort_by_key(|call| match call {
        Call::Acknowledge { uuid, .. } => uuid.as_u128(),
        other => panic!("{other:?} came before the acknowledgements were answered"),
    });
    assert_eq!(seen, (0..5).map(acknowledge).collect::<Vec<_>>());
    for answered in on_the_way {
        assert!(master.is_quiet().await);
        answered.accept().await;
    }
    assert_eq!(master.request().await.core_call(), kill("after"));
}

#[tokio::test]
async fn a_subscription_is_not_a_call() {
    let (mut master, mut client, _stream, calls) = connect(config()).await;
    let Subscription { framework_info, suppressed_roles } = subscription(None).borrow().clone();
    calls.send(Call::Subscribe { framework_info, suppressed_roles }).unwrap();
    assert!(matches!(notice(&mut client).await, Notice::Refused { status: 0, .. }));
    assert!(master.is_quiet().await);
}

#[tokio::test]
async fn an_update_from_the_future_is_acknowledged_and_does_no_harm() {
    let (mut master, mut client, mut stream, _calls) = connect(config()).await;
    let mut status = proto::TaskStatus { state: 99, uuid: Some(vec![7; 16]), ..Default::default() };
    status.task_id.value = "task".into();
    status.agent_id = Some(proto::AgentId { value: "agent".into() });
    let update = scheduler::Event {
        r#type: Some(scheduler::event::Type::Update.into()),
        update: Some(scheduler::event::Update { status }),
        ..Default::default()
    };
    stream.proto(&update).await;
    assert_eq!(event(&mut client).await, Event::Unknown);
    let request = master.request().await;
    let expected = Call::Acknowledge {
        agent_id: "agent".into(),
        task_id: "task".into(),
        uuid: StatusUuid::from_bytes([7; 16]),
    };
    assert_eq!(request.core_call(), expected);
    request.accept().await;
    stream.proto(&scheduler::Event { r#type: Some(42), ..Default::default() }).await;
    assert_eq!(event(&mut client).await, Event::Unknown);
}

#[tokio::test]
async fn dropping_the_client_closes_the_stream() {
    let (_master, client, stream, calls) = connect(config()).await;
    drop(client);
    stream.closed_by_client().await;
    assert!(calls.send(kill("a")).is_err());
}

/// The raw bytes of recorded sockets, head and all, in small pieces.
#[tokio::test]
async fn recorded_sockets_are_understood() {
    for capture in captures() {
        for (file, raw) in &capture.sockets {
            let mut master = Master::start().await;
            let mut client = start(&[&master], Config { media: capture.media, ..config() });
            let request = master.request().await;
            for piece in raw.chunks(61) {
                request.raw(piece).await;
            }
            request.close().await;
            let stream = capture.streams.iter().find(|stream| stream.file == file.replace(".http", ".bin"));
            let mut recorded = capture.events_of(stream.unwrap().number).map(|event| &event.at);
            loop {
                match notice(&mut client).await {
                    Notice::Subscribed(_) => {}
                    Notice::Event(event) => {
                        let at =
                            recorded.next().unwrap_or_else(|| panic!("{}: {file}: {event:?}", capture.name));
                        assert_ne!(event, Event::Unknown, "{at}");
                    }
                    Notice::Disconnected(_) => break,
                    // Recordings of refused subscriptions consist of one ERROR.
                    Notice::Ended(_) | Notice::AttemptFailed { .. } => {
                        recorded.next();
                        break;
                    }
                    other @ Notice::Refused { .. } => panic!("{}: {file}: {other:?}", capture.name),
                }
            }
            assert_eq!(recorded.count(), 0, "{}: {file}: events are missing", capture.name);
        }
    }
}
