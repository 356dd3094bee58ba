//! The same work on many things, on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Calls `work` once for each number below `count`, in that order but on `workers` threads at once.
/// Each thread has a state of its own, made by `start`. After a failure no further number is begun.
///
/// # Errors
/// The failure that was first.
pub fn each<S, E: Send>(
    workers: usize,
    count: usize,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..workers.min(count) {
            scope.spawn(|| {
                let mut state = start();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    if let Err(error) = work(&mut state, number) {
                        next.store(count, Ordering::Relaxed);
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            });
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once() {
        let done: Vec<AtomicUsize> = (0..1000).map(|_| AtomicUsize::new(0)).collect();
        let result: Result<(), ()> = each(
            4,
            done.len(),
            || (),
            |(), number| {
                done[number].fetch_add(1, Ordering::Relaxed);
                Ok(())
            },
        );
        assert_eq!(result, Ok(()));
        assert!(done.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        assert_eq!(each(4, 0, || (), |(), _| Err("called")), Ok(()));
    }

    #[test]
    fn the_first_failure_ends_it() {
        let begun = AtomicUsize::new(0);
        let result = each(
            1,
            1000,
            || (),
            |(), number| {
                begun.fetch_add(1, Ordering::Relaxed);
                if number == 10 { Err(number) } else { Ok(()) }
            },
        );
        assert_eq!((result, begun.into_inner()), (Err(10), 11));
    }
}
