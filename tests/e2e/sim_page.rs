//! The page about a simulated run, in a real browser.

use podium_tests::{Browser, Folder, eventually, run};
use serde_json::json;

/// Writes the page of what `podium sim` is told with `args`, which violates nothing, and opens it.
fn open(folder: &Folder, args: &[&str]) -> (Browser, String) {
    open_judged(folder, args, true)
}

/// Writes the page of what `podium sim` is told with `args`, and opens it.
fn open_judged(folder: &Folder, args: &[&str], is_content: bool) -> (Browser, String) {
    let file = folder.path().join("page.html");
    let file = file.to_str().expect("the folder's name is plain");
    let outcome = run(&[&["sim"], args, &["--html", file]].concat());
    assert_eq!(outcome.status.success(), is_content, "{outcome:?}");
    let url = format!("file://{file}");
    let page = Browser::open(&url, [1500, 900]);
    // It unpacks what it shows first.
    eventually("the page is drawn", || match page.text("#verdict") {
        verdict if verdict.is_empty() => Err(verdict),
        _ => Ok(()),
    });
    (page, url)
}

const SCENARIO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../sim-scenarios/scenarios/an-agent-out-of-reach-is-replaced-and-its-copy-leaves.json"
);

#[test]
fn a_click_on_a_bar_shows_what_happened() {
    let folder = Folder::new();
    let (page, url) = open(&folder, &["run", SCENARIO]);
    assert_eq!(page.text("#verdict"), "all oracles are content");
    assert!(page.text("#about").contains("unreachableStrategy"));
    let lanes =
        page.evaluate("[...document.querySelectorAll('#chart text:not(.faint)')].map((t) => t.textContent)");
    assert_eq!(lanes, json!(["deployments", "scheduler", "waiting", "agent-0", "agent-1", "agent-2"]));

    page.click(".part.UnreachableInactive");
    let shown = page.text("#moment");
    for words in ["at 195.", "tick", "UnreachableInactive", "no rule was violated", "p#4"] {
        assert!(shown.contains(words), "no '{words}' in {shown}");
    }
    assert_eq!(page.evaluate("document.querySelectorAll('.cursor').length"), 1);
    // The durable state, before and after.
    let changes = page.evaluate("[...document.querySelectorAll('#moment tr')].map((row) => row.textContent)");
    let changes = changes.to_string();
    assert!(changes.contains("Unreachable UnreachableInactive"), "{changes}");
    // The actions can be unfolded.
    page.click("#moment h3:nth-of-type(4) + details summary");
    assert!(page.text("#moment h3:nth-of-type(4) + details pre").contains('{'));

    assert_eq!(page.console(), [] as [serde_json::Value; 0]);
    assert_eq!(page.requests(), [url]);
}

#[test]
fn a_search_finds_moments_and_steps_lead_on() {
    let folder = Folder::new();
    let (page, _) = open(&folder, &["run", SCENARIO]);
    page.write("#search", "agent_partitioned");
    assert_eq!(page.text("#count"), "2 moments");
    page.click(".hit");
    assert!(page.text("#moment").contains("at 60.000 s"), "{}", page.text("#moment"));
    page.click("#moment button[title^='The next']");
    let next = page.text("#moment .steps span");
    assert!(next.contains(" of ") && !next.contains("at 60.000 s"), "{next}");

    // Bars of others step back.
    page.evaluate("(document.getElementById('search').value = '', 0)");
    page.write("#search", "p#4");
    let dimmed = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(
        [...document.querySelectorAll('.part.dim')].map((part) => part.dataset.name))))) ";
    let names = page.evaluate(dimmed).to_string();
    assert!(names.contains("p#1") && !names.contains("p#4"), "{names}");

    page.click("#in");
    page.click("#theme");
    assert!(page.evaluate("document.documentElement.dataset.theme") != json!(null));
    assert_eq!(page.console(), [] as [serde_json::Value; 0]);
}

#[test]
fn what_was_violated_is_shown_at_its_moment() {
    let folder = Folder::new();
    let plan = folder.path().join("plan.json");
    let pod = json!({
        "id": "/p",
        "scaling": { "kind": "fixed", "instances": 2 },
        "containers": [{ "name": "a", "resources": { "cpus": 0.1, "mem": 32 } }],
    });
    let wrong = json!({
        "cluster": { "agents": [{ "cpus": 1, "mem": 1024 }] },
        "workload": [{ "at": "1s", "do": { "create": { "pod": pod } } }],
        "expect": [
            { "at": "1m", "that": { "pod": { "id": "/p", "stable": 2 } } },
            { "at": "2m7s", "that": { "pod": { "id": "/p", "stable": 3 } } },
        ],
    });
    std::fs::write(&plan, wrong.to_string()).expect("the folder can be written to");
    let plan = plan.to_str().expect("the folder's name is plain");
    let (page, url) = open_judged(&folder, &["run", plan], false);
    let sentence = "expectation: expect[1], at 2m7s: of pod /p, 2 instances are stable instead of 3";
    assert_eq!(page.text("#verdict"), sentence);

    let shows_it = || {
        assert_eq!(page.text("#oracle"), sentence);
        let shown = page.text("#moment");
        assert!(shown.contains("at 127.") && shown.contains("ORACLE"), "{shown}");
    };
    page.click("#verdict");
    shows_it();
    // What came before was in order.
    page.click("#moment button[title^='The moment before']");
    assert_eq!(page.text("#oracle"), "no rule was violated");
    // The chart ends with it.
    page.evaluate(
        "(() => { const box = document.getElementById('chart').getBoundingClientRect();
            document.getElementById('chart').dispatchEvent(new MouseEvent('click',
                { clientX: box.right, clientY: box.bottom - 1, bubbles: true })); return 0; })()",
    );
    shows_it();
    assert_eq!((page.console(), page.requests()), (Vec::new(), vec![url]));
}

#[test]
fn a_run_full_of_faults_can_be_looked_at() {
    let folder = Folder::new();
    let (page, url) = open(&folder, &["--seeds", "3..4"]);
    assert!(page.evaluate("document.querySelectorAll('.part').length").as_u64() > Some(200));
    assert!(page.evaluate("document.querySelectorAll('.shade').length").as_u64() > Some(3));
    let size = std::fs::metadata(url.trim_start_matches("file://")).expect("it is there").len();
    assert!(size < 1 << 20, "{size} bytes");
    page.click(".stretch.down");
    assert!(page.text("#moment").contains("scheduler down"), "{}", page.text("#moment"));
    assert_eq!((page.console(), page.requests()), (Vec::new(), vec![url]));
}

/// Hundreds of pods that fail again and again: no page of any of the first forty seeds is larger.
#[test]
fn a_run_of_hundreds_of_pods_can_be_looked_at() {
    let folder = Folder::new();
    let (page, url) = open(&folder, &["--seeds", "6..7"]);
    assert!(page.evaluate("document.querySelectorAll('.part').length").as_u64() > Some(1000));
    let size = std::fs::metadata(url.trim_start_matches("file://")).expect("it is there").len();
    assert!(size < 8 << 20, "{size} bytes");
    assert_eq!((page.console(), page.requests()), (Vec::new(), vec![url]));
}
