//! Standard input, read on a thread of its own into a bounded queue.
//!
//! The reader puts a line into the queue first and waits for room afterwards, so that whoever stops
//! reading in the middle finds every line that was read in the queue.

use std::{
    collections::VecDeque,
    io::Read,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
};

use tokio::sync::Notify;

use super::lines::{Line, Lines};

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;
/// Bytes in the queue beyond which no more is read: a batch or two ahead.
const AHEAD: usize = 1024 * 1024;

/// The lines that were read and not yet taken.
#[derive(Clone)]
pub(crate) struct Input(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// Something came, or the end.
    arrived: Notify,
    /// Something was taken.
    room: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Bytes of a line that has no end yet.
    begun: u64,
    ended: Option<std::io::Result<()>>,
    stopped: bool,
}

impl Input {
    /// Begins to read lines of at most `most` bytes.
    pub(crate) fn read(source: impl Read + Send + 'static, most: usize) -> Self {
        let shared = Shared { queue: Mutex::default(), arrived: Notify::new(), room: Condvar::new() };
        let input = Self(Arc::new(shared));
        let reader = input.clone();
        // Not the runtime's: it would wait for a read that may never return.
        thread::spawn(move || reader.fill(source, Lines::new(most)));
        input
    }

    /// Waits for lines; false when none will come any more.
    ///
    /// # Cancel safety
    /// Nothing is taken by waiting.
    pub(crate) async fn wait(&self) -> bool {
        loop {
            let arrived = self.0.arrived.notified();
            {
                let queue = self.queue();
                if !queue.lines.is_empty() {
                    return true;
                }
                if queue.ended.is_some() || queue.stopped {
                    return false;
                }
            }
            arrived.await;
        }
    }

    /// Takes lines for as long as `wanted` says so.
    pub(crate) fn take(&self, mut wanted: impl FnMut(&Line) -> bool) -> Vec<Line> {
        let mut queue = self.queue();
        let count = queue.lines.iter().take_while(|line| wanted(line)).count();
        let taken: Vec<Line> = queue.lines.drain(..count).collect();
        queue.bytes -= taken.iter().map(size).sum::<usize>();
        drop(queue);
        self.0.room.notify_one();
        taken
    }

    /// Reads no more. What was read can still be taken.
    pub(crate) fn stop(&self) {
        self.queue().stopped = true;
        self.0.arrived.notify_one();
        self.0.room.notify_one();
    }

    /// Lines that were read and not taken, and the bytes of one that was begun.
    pub(crate) fn left(&self) -> (usize, u64) {
        let queue = self.queue();
        (queue.lines.len(), if queue.ended.is_some() { 0 } else { queue.begun })
    }

    /// Why reading ended, if it was not the end of the input.
    pub(crate) fn error(&self) -> Option<String> {
        self.queue().ended.as_ref()?.as_ref().err().map(ToString::to_string)
    }

    fn fill(&self, mut source: impl Read, mut lines: Lines) {
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match source.read(&mut chunk) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read,
            };
            let mut queue = self.queue();
            let push = |line: Line| {
                queue.bytes += size(&line);
                queue.lines.push_back(line);
            };
            match &read {
                Ok(1..) => lines.feed(&chunk[..*read.as_ref().unwrap_or(&0)], push),
                _ => lines.finish().into_iter().for_each(push),
            }
            queue.begun = lines.begun();
            if !matches!(read, Ok(1..)) {
                queue.ended = Some(read.map(drop));
            }
            self.0.arrived.notify_one();
            while queue.bytes > AHEAD && !queue.stopped {
                queue = self.0.room.wait(queue).unwrap_or_else(|poisoned| poisoned.into_inner());
            }
            if queue.stopped || queue.ended.is_some() {
                return;
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// What a line takes in the queue, be it empty.
fn size(line: &Line) -> usize {
    size_of::<Line>() + line.text.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use super::*;

    /// Hands out one piece a read, then waits for ever or ends.
    struct Pieces(VecDeque<Vec<u8>>, bool);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.pop_front() {
                Some(piece) => {
                    buffer[..piece.len()].copy_from_slice(&piece);
                    Ok(piece.len())
                }
                None if self.1 => Ok(0),
                None => {
                    thread::sleep(Duration::from_secs(3600));
                    Ok(0)
                }
            }
        }
    }

    fn numbers(lines: &[Line]) -> Vec<u64> {
        lines.iter().map(|line| line.number).collect()
    }

    #[tokio::test]
    async fn lines_come_in_order_up_to_the_end() {
        let pieces = Pieces([b"a\nb\nc".to_vec(), b"\nd".to_vec()].into(), true);
        let input = Input::read(pieces, 80);
        let mut read = Vec::new();
        while input.wait().await {
            read.extend(numbers(&input.take(|_| true)));
        }
        assert_eq!(read, [1, 2, 3, 4]);
        assert_eq!(input.left(), (0, 0));
        assert_eq!(input.error(), None);
    }

    #[tokio::test]
    async fn what_is_read_ahead_is_bounded_and_stays_there_when_reading_stops() {
        let line = [b"x".repeat(1000), b"\n".to_vec()].concat();
        let pieces = Pieces(vec![line.repeat(60); 1000].into(), true);
        let input = Input::read(pieces, 64 * 1024);
        assert!(input.wait().await);
        let mut before = 0;
        while before < input.left().0 {
            before = input.left().0;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(before * 1000 <= AHEAD + CHUNK, "{before} lines are read ahead");
        input.stop();
        let taken = numbers(&input.take(|_| true));
        assert_eq!(taken, (1..=before as u64).collect::<Vec<_>>());
        assert!(!input.wait().await);
    }

    #[tokio::test]
    async fn an_unfinished_line_is_told_when_reading_stops() {
        let input = Input::read(Pieces([b"a\nbcd".to_vec()].into(), false), 80);
        assert!(input.wait().await);
        input.stop();
        assert_eq!(input.left(), (1, 3));
    }

    #[tokio::test]
    async fn an_error_is_told() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let input = Input::read(Broken, 80);
        assert!(!input.wait().await);
        assert_eq!(input.error().as_deref(), Some("broken"));
    }
}
