//! Ctrl-C: whatever goes on ends with what there is so far.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Is set when the user presses Ctrl-C. A second time ends the process at once.
pub(super) fn stop_on_interrupt() -> Result<Arc<AtomicBool>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    // Registered before anything runs, so that no signal meets its default, which is to end the process.
    let interrupt = {
        let _entered = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
    };
    let mut interrupt = interrupt.map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    let stopping = stop.clone();
    std::thread::spawn(move || {
        runtime.block_on(async {
            interrupt.recv().await;
            stopping.store(true, Ordering::Relaxed);
            interrupt.recv().await;
            std::process::exit(130);
        });
    });
    Ok(stop)
}

/// Goes on until `stop` is set.
pub(super) fn unless(stop: &AtomicBool) -> ControlFlow<()> {
    if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
