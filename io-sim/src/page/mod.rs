//! A run as one HTML page that needs nothing else: no network, no server.
//!
//! ```text
//!   deployments   ▭▭▭▭▭ ▭▭▭        when a change was on its way
//!   scheduler     ▬▬▬▬▬▬▬▬  ▬▬▬    when it ran, and was subscribed
//!   waiting       ▭  ▭▭            instances without an agent
//!   agent-0       ▬▬▬▬▬▬▬▬▬▬▬      instances as bars, coloured by condition;
//!   agent-1       ░░░▬▬▬▬░░░░      faults as shaded spans
//! ```
//!
//! A click shows the moment: what the scheduler was told, the records and actions it answered with, what became
//! different in the durable state, and what the oracles had to say. [`Recorder`] watches the run and keeps what the page
//! needs; the page's script draws it. What is kept repeats itself much, so the page carries it compressed (zlib, base64),
//! which browsers undo by themselves.

mod compact;
mod recorder;

use base64::prelude::BASE64_STANDARD as STANDARD;
use base64::write::EncoderStringWriter;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;

pub use self::recorder::Recorder;
use crate::oracle::Violation;
use crate::plan::Plan;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// All that the script draws.
#[derive(Serialize)]
struct Data<'a> {
    about: &'a str,
    agents: Vec<String>,
    /// In milliseconds.
    end: u64,
    violation: Option<String>,
    #[serde(flatten)]
    recorded: &'a Recorder,
}

impl Recorder {
    /// The page about the run of `plan` that it has watched.
    pub fn page(&mut self, plan: &Plan, violation: Option<&Violation>) -> String {
        self.finish();
        let agents = plan.cluster.agents.iter().enumerate();
        let data = Data {
            about: if plan.about.is_empty() { "A simulated run" } else { &plan.about },
            agents: agents.map(|(index, agent)| agent.hostname(index)).collect(),
            end: self.end(),
            violation: violation.map(ToString::to_string),
            recorded: self,
        };
        let mut packed = ZlibEncoder::new(EncoderStringWriter::new(&STANDARD), Compression::default());
        // Nothing fails that writes to memory.
        let _ = serde_json::to_writer(&mut packed, &data);
        let data = packed.finish().map(EncoderStringWriter::into_inner).unwrap_or_default();
        // Each piece is put in once, the data last: nothing of it is taken for a placeholder.
        PAGE.replacen("/*STYLE*/", STYLE, 1).replacen("/*SCRIPT*/", SCRIPT, 1).replacen("/*DATA*/", &data, 1)
    }
}
