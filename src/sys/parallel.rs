//! The same work on many things, on several threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

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

/// Calls `work` for each thing that `give` hands out, in that order but on `workers` threads at once, while `give` goes
/// on with the next on this one. Each thread has a state of its own, made by `start`. What `give` gets says whether
/// more is wanted: after a failure it is not, and what was not begun is dropped.
///
/// # Errors
/// The failure of `give`, else that of `work` which was first.
pub fn feed<T: Send, S, E: Send>(
    workers: usize,
    give: impl FnOnce(&dyn Fn(T) -> bool) -> Result<(), E>,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let failed = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let (sender, receiver) = mpsc::sync_channel(workers);
    let receiver = Arc::new(Mutex::new(receiver));
    let each = |things: &Mutex<mpsc::Receiver<T>>| {
        let mut state = start();
        let next = || things.lock().unwrap_or_else(PoisonError::into_inner).recv();
        while let Ok(thing) = next() {
            if failed.load(Ordering::Relaxed) {
                continue;
            }
            if let Err(error) = work(&mut state, thing) {
                failed.store(true, Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    let given = std::thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            let (each, receiver) = (&each, Arc::clone(&receiver));
            scope.spawn(move || each(&receiver));
        }
        drop(receiver);
        let given = give(&|thing| !failed.load(Ordering::Relaxed) && sender.send(thing).is_ok());
        drop(sender);
        given
    });
    given.and(failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err))
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

    #[test]
    fn everything_that_is_given_is_done_once() {
        let done: Vec<AtomicUsize> = (0..1000).map(|_| AtomicUsize::new(0)).collect();
        let give = |hand_out: &dyn Fn(usize) -> bool| {
            (0..done.len()).all(hand_out).then_some(()).ok_or("not wanted")
        };
        let work = |(): &mut (), number: usize| {
            done[number].fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        assert_eq!(feed(4, give, || (), work), Ok(()));
        assert!(done.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn giving_ends_when_work_fails() {
        for workers in [1, 4] {
            let given = AtomicUsize::new(0);
            let endless = |hand_out: &dyn Fn(usize) -> bool| {
                while hand_out(given.fetch_add(1, Ordering::Relaxed)) {}
                Ok(())
            };
            let work = |(): &mut (), number| if number == 10 { Err("the eleventh") } else { Ok(()) };
            assert_eq!(feed(workers, endless, || (), work), Err("the eleventh"));
        }
        let work = |(): &mut (), _: usize| Err("one");
        assert_eq!(feed(2, |hand_out| Err(if hand_out(1) { "all" } else { "" }), || (), work), Err("all"));
    }
}
