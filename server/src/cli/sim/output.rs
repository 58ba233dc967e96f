//! What is said: results on standard output, everything else on standard error.

use std::io::{self, Write as _};
use std::process::ExitCode;

/// Why it ends before it is done.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody reads its results any more, as after `| head`.
    Unheard,
    /// In a sentence.
    Because(String),
}

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self::Because(sentence)
    }
}

/// Prints on standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Unheard,
        _ => Failure::Because(format!("cannot write to standard output: {error}")),
    })
}

/// Prints a line on standard error. Nothing can be done if even that is not possible.
pub(super) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The verdict when everything has been printed, or nobody reads on.
pub(super) fn verdict(printed: Result<(), Failure>, is_violated: bool) -> Result<ExitCode, Failure> {
    match printed {
        Ok(()) | Err(Failure::Unheard) => Ok(if is_violated { ExitCode::FAILURE } else { ExitCode::SUCCESS }),
        Err(failure) => Err(failure),
    }
}
