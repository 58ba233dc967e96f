//! Independent work on several threads, whose results arrive in order.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

/// How often [`in_order`] gives a sign of life.
const PULSE: Duration = Duration::from_millis(100);

/// As much as the first thread of a process usually has.
const STACK: usize = 8 << 20;

/// What happens while the work goes on.
pub(super) enum News<T> {
    /// The next result, in the order of the items.
    Done(T),
    /// Some time has passed.
    Pulse,
}

/// Does `work` with each of `items` on `jobs` threads and gives what comes of it to `take`, in the order of the
/// items whichever is done first. Ends early when `take` breaks, or when `stop` is set: then no more items are
/// begun, and those that were are finished and taken.
pub(super) fn in_order<I, T>(
    items: impl IntoIterator<Item = I, IntoIter: Send>,
    jobs: NonZeroUsize,
    stop: &AtomicBool,
    work: impl Fn(I) -> T + Sync,
    mut take: impl FnMut(News<T>) -> ControlFlow<()>,
) where
    I: Send,
    T: Send,
{
    let items = Mutex::new(items.into_iter().enumerate());
    // A poisoned lock means that the iterator panicked: the scope passes that on.
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..jobs.get() {
            let (sender, next, work) = (sender.clone(), &next, &work);
            let worker = move || {
                while !stop.load(Ordering::Relaxed)
                    && let Some((index, item)) = next()
                {
                    if sender.send((index, work(item))).is_err() {
                        break;
                    }
                }
            };
            std::thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, worker)
                .expect("the system has room for a thread per core");
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut due = 0;
        loop {
            match results.recv_timeout(PULSE) {
                Ok((index, result)) => _ = early.insert(index, result),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            while let Some(result) = early.remove(&due) {
                due += 1;
                if take(News::Done(result)).is_break() {
                    stop.store(true, Ordering::Relaxed);
                    return;
                }
            }
            if take(News::Pulse).is_break() {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(jobs: usize, limit: usize) -> Vec<usize> {
        let mut taken = Vec::new();
        let jobs = NonZeroUsize::new(jobs).unwrap();
        // The first of each ten takes longest.
        let work = |n: usize| {
            (0..if n.is_multiple_of(10) { 1000 } else { 0 }).for_each(|_| std::thread::yield_now());
            n
        };
        in_order(0..100, jobs, &AtomicBool::new(false), work, |news| {
            let News::Done(n) = news else { return ControlFlow::Continue(()) };
            taken.push(n);
            if taken.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        taken
    }

    #[test]
    fn results_come_in_order_for_any_number_of_threads() {
        for jobs in [1, 2, 7] {
            assert_eq!(collect(jobs, usize::MAX), (0..100).collect::<Vec<_>>(), "{jobs}");
        }
    }

    #[test]
    fn it_ends_when_enough_has_been_taken() {
        for jobs in [1, 3] {
            assert_eq!(collect(jobs, 12), (0..12).collect::<Vec<_>>(), "{jobs}");
        }
    }

    #[test]
    fn what_was_begun_is_finished_when_it_is_told_to_stop() {
        let stop = AtomicBool::new(false);
        let mut taken = Vec::new();
        let work = |n: u64| {
            if n == 20 {
                stop.store(true, Ordering::Relaxed);
            }
            n
        };
        in_order(0.., NonZeroUsize::new(2).unwrap(), &stop, work, |news| {
            if let News::Done(n) = news {
                taken.push(n);
            }
            ControlFlow::Continue(())
        });
        assert!(taken.len() >= 21 && taken.iter().copied().eq(0..taken.len() as u64), "{taken:?}");
    }
}
