//! Work on several threads at once, and what is handed to one of them.

use std::sync::Mutex;

pub(super) fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(|e| e.into_inner()).take()
}

/// Runs `work` for each of `items` on a thread of its own and waits for all: the first on this one, the others on those of `pool`,
/// of which there must be enough, or on new ones. A panic goes on in the caller.
pub(super) fn on_threads<T: Send, R: Send>(
    pool: Option<&rayon::ThreadPool>,
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let work = &work;
    let mut items = items.into_iter();
    let Some(own) = items.next() else { return Vec::new() };
    if let Some(pool) = pool {
        let mut others: Vec<(Option<T>, Option<R>)> = items.map(|item| (Some(item), None)).collect();
        let own = pool.in_place_scope(|scope| {
            for (item, result) in &mut others {
                scope.spawn(move |_| *result = item.take().map(work));
            }
            work(own)
        });
        return std::iter::once(own).chain(others.into_iter().filter_map(|(_, result)| result)).collect();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = items.map(|item| scope.spawn(move || work(item))).collect();
        let mut results = vec![work(own)];
        for thread in threads {
            match thread.join() {
                Ok(result) => results.push(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}
