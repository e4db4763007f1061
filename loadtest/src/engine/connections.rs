//! The publishers' connections.

use std::io;

use super::{Engine, Error, PUBLISHER, PUBLISHERS, publisher::Publisher};

impl Engine<'_> {
    /// Opens them.
    pub(super) fn open_publishers(&mut self) -> io::Result<()> {
        for n in 0..self.load.topics.min(PUBLISHERS) {
            let publisher = Publisher::open(&self.goal)?;
            self.sockets.add(&publisher.fd, PUBLISHER | n as u64, true)?;
            self.publishers.push(publisher);
        }
        Ok(())
    }

    /// Sends what a publisher has.
    pub(super) fn flush_publisher(&mut self, n: usize) -> Result<(), Error> {
        let publisher = &mut self.publishers[n];
        let done = publisher.flush().map_err(Error::Publishing)?;
        if publisher.writes == done {
            publisher.writes = !done;
            self.sockets.change(&publisher.fd, PUBLISHER | n as u64, !done)?;
        }
        Ok(())
    }

    /// A publisher's socket has something.
    pub(super) fn hear_publisher(&mut self, n: usize) -> Result<(), Error> {
        self.flush_publisher(n)?;
        let publisher = &mut self.publishers[n];
        if publisher.hear(&mut self.scratch).map_err(Error::Publishing)? {
            return Ok(());
        }
        // Servers close connections that had many requests. Whatever was sent behind that is lost.
        let lost = publisher.sent - publisher.answered;
        let out = std::mem::take(&mut publisher.out);
        let mut new = Publisher::open(&self.goal)?;
        (new.sent, new.answered) = (publisher.sent, publisher.sent);
        new.out = out;
        self.sockets.add(&new.fd, PUBLISHER | n as u64, true)?;
        self.publishers[n] = new;
        if lost > 0 {
            self.tally.error(format!("the server closed a publisher's connection with {lost} unanswered"));
        }
        Ok(())
    }
}
