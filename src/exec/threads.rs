//! Work on several threads at once, and what is handed to one of them.

use std::sync::Mutex;

pub(super) fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(|e| e.into_inner()).take()
}

/// Runs `work` for each of `items` on a thread of its own and waits for all. A panic goes on in the caller.
pub(super) fn on_threads<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let work = &work;
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        let mut items = items.into_iter();
        let own = items.next();
        for item in items {
            threads.push(scope.spawn(move || work(item)));
        }
        let mut results: Vec<R> = own.map(work).into_iter().collect();
        for thread in threads {
            match thread.join() {
                Ok(result) => results.push(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}
