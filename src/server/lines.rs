//! The lines of the lab: who accepts on their ports, and who feeds them.

use std::{future::pending, io, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use tokio::{
    net::TcpListener,
    sync::mpsc,
    time::{Instant, interval},
};

use super::Acceptor;
use crate::{
    app::Gateway,
    lab::{Lab, line::Line, source},
};

/// How often lines that nobody wants are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Serves the lines that are opened. When it is dropped nobody listens on them any more.
pub(super) async fn serve(
    gateway: Gateway,
    lab: Arc<Lab>,
    mut opened: mpsc::UnboundedReceiver<Arc<Line>>,
    acceptor: Acceptor,
) {
    let mut lines = FuturesUnordered::new();
    let mut look = interval(LOOK);
    loop {
        tokio::select! {
            Some(line) = opened.recv() => {
                let (acceptor, publisher) = (acceptor.clone(), gateway.publisher().clone());
                lines.push(async move {
                    tokio::join!(accept(&line, &acceptor), source::run(line.clone(), publisher));
                });
            }
            Some(()) = lines.next() => {}
            _ = look.tick() => lab.expire(Instant::now()),
        }
    }
}

/// Takes connections for as long as a line does.
async fn accept(line: &Arc<Line>, acceptor: &Acceptor) {
    let mut states = line.watch();
    loop {
        let (cut, ended) = {
            let state = states.borrow_and_update();
            (state.is_cut(), state.ended)
        };
        if ended {
            return;
        }
        let listeners = if cut { Vec::new() } else { listeners(line, acceptor) };
        if listeners.is_empty() && !cut {
            return line.end();
        }
        line.listens(!cut);
        let accepting = async {
            match listeners.is_empty() {
                true => pending().await,
                false => _ = join_all(listeners.into_iter().map(|it| acceptor.accept(it, Some(line)))).await,
            }
        };
        tokio::select! {
            // The sender is the line's own.
            _ = states.wait_for(|state| state.is_cut() != cut || state.ended) => {}
            () = accepting => {}
        }
    }
}

/// Sockets that listen on the line's port; none if they cannot be had.
fn listeners(line: &Line, acceptor: &Acceptor) -> Vec<TcpListener> {
    let listen = || -> io::Result<Vec<TcpListener>> {
        let listening = line.ports().listen()?;
        listening.into_iter().map(|listener| acceptor.prepare(listener)).collect()
    };
    listen().unwrap_or_else(|error| {
        tracing::warn!(port = line.ports().number(), %error, "a line has lost its port, and ends");
        Vec::new()
    })
}
