//! The server: listeners, a runtime per core, and the way down.

mod booking;
mod connection;
mod lines;
mod link;
mod refusal;
mod shaped;
mod socket;
mod wire;

use std::{future::Future, io, net::TcpListener as StdListener, rc::Rc, sync::Arc, thread, time::Duration};

use prometheus_client::metrics::gauge::Gauge;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    runtime::{Builder, LocalOptions},
    sync::{mpsc, watch},
    task::{JoinSet, spawn_local, yield_now},
    time::{Instant, sleep, timeout},
};

use self::{connection::Desk, link::Links};
use crate::{
    app::{Gateway, Phase, Role},
    config::Config,
    delivery::{
        connections::{Connections, Permit},
        taken::{Back, Taken},
    },
    lab::line::{Guest, Line},
};

/// How long a connection may be idle between two requests. Longer than proxies keep theirs (nginx: 60 s),
/// so that it is they who close.
const IDLE: Duration = Duration::from_secs(75);
/// Connections that a core begins with before those that it has get a turn.
const ARRIVALS: usize = 32;
/// How long to pause when the process has no descriptor left for a new connection.
const NO_DESCRIPTOR: Duration = Duration::from_millis(50);
/// How often it is said that there is none.
const COMPLAINT: Duration = Duration::from_secs(60);

/// Sockets that were bound by the caller, who so knows their ports.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Where subscribers come, and publishers too if they have no listener of their own.
    pub gateway: Vec<StdListener>,
    /// Where publishers come.
    pub publish: Option<StdListener>,
}

/// What keeps a server from starting.
#[derive(Debug, Error)]
pub enum StartError {
    /// A listener that cannot be used.
    #[error("cannot use the listener: {0}")]
    Listener(#[source] io::Error),
    /// A thread or a runtime that cannot be had.
    #[error("cannot start a core's runtime: {0}")]
    Runtime(#[source] io::Error),
}

/// Serves until `shutdown`, then until everything that was begun has ended, or its time is up.
///
/// # Errors
/// A [`StartError`]; once it serves it ends without one.
pub async fn run(
    gateway: Gateway,
    listeners: Listeners,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let config = gateway.config().clone();
    let connections = Arc::new(Connections::new(&config, gateway.metrics().clone()));
    // However many subscribers there are, publishers and operators get through.
    let publishers = Arc::new(Connections::new(&config, gateway.metrics().clone()));
    let (phase, phases) = watch::channel(Phase::Serving);
    let separate = listeners.publish.is_some();
    let cores = start_cores(&gateway, &phases)?;
    let mut acceptors = JoinSet::new();
    let role = if separate { Role::Subscribe } else { Role::Both };
    let acceptor = |role| Acceptor {
        role,
        inboxes: cores.inboxes.clone(),
        connections: if role == Role::Publish { publishers.clone() } else { connections.clone() },
        send_buffer: config.send_buffer.as_u64() as usize,
    };
    if let Some(lab) = gateway.lab() {
        // Before anybody is there to open a line.
        let pages = listeners.gateway.iter().filter_map(|listener| Some(listener.local_addr().ok()?.port()));
        let opened = lab.attach(pages.collect());
        acceptors.spawn(lines::serve(gateway.clone(), lab.clone(), opened, acceptor(role)));
    }
    let all = listeners.gateway.into_iter().map(|listener| (listener, role));
    for (listener, role) in all.chain(listeners.publish.map(|listener| (listener, Role::Publish))) {
        let acceptor = acceptor(role);
        let listener = acceptor.prepare(listener).map_err(StartError::Listener)?;
        acceptors.spawn(async move { acceptor.accept(listener, None).await });
    }
    let expiring = tokio::spawn(gateway.clone().expire_for_ever());
    let telling = tokio::spawn(gateway.clone().tell_accounts_for_ever());
    shutdown.await;
    tracing::info!("shutting down");
    gateway.enter(Phase::Leaving);
    sleep(config.drain_delay).await;
    acceptors.shutdown().await;
    drain(&gateway, &phase, [&connections, &publishers], &config).await;
    expiring.abort();
    telling.abort();
    drop(phase);
    drop(cores);
    Ok(())
}

/// Ends what was begun, in an order that loses nothing: the publishes, then the subscribers, who get what was
/// published and are told to come back, then the connections.
async fn drain(
    gateway: &Gateway,
    phase: &watch::Sender<Phase>,
    connections: [&Connections; 2],
    config: &Config,
) {
    gateway.enter(Phase::Draining);
    let publishes_end = async {
        while gateway.publishing() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let drained = async {
        // A publisher that stalls does not take the subscribers' time.
        if timeout(config.drain_timeout / 2, publishes_end).await.is_err() {
            tracing::warn!(publishes = gateway.publishing(), "publishes did not end in time");
        }
        // Before anyone is told that this was all: no core takes an event that another's subscribers miss.
        gateway.bus().close();
        phase.send_replace(Phase::Draining);
        for connections in connections {
            connections.ended().await;
        }
    };
    match timeout(config.drain_timeout, drained).await {
        Ok(()) => tracing::info!("every connection has ended"),
        Err(_) => {
            let left: usize = connections.iter().map(|connections| connections.len()).sum();
            tracing::warn!(connections = left, "connections did not end in time and were cut");
        }
    }
}

/// A connection on its way to a core.
struct Arrival {
    stream: std::net::TcpStream,
    permit: Permit,
    role: Role,
    /// Of a line, if it came over one.
    guest: Option<Guest>,
}

/// A core's inbox, and how many connections it has.
#[derive(Clone)]
struct Inbox {
    arrivals: mpsc::UnboundedSender<Arrival>,
    load: Gauge,
}

/// The threads of the cores. When it goes, they end.
struct Cores {
    inboxes: Vec<Inbox>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Drop for Cores {
    fn drop(&mut self) {
        self.inboxes.clear();
        for thread in self.threads.drain(..) {
            _ = thread.join();
        }
    }
}

/// Takes connections for all cores: each goes to the one that has the fewest.
#[derive(Clone)]
struct Acceptor {
    role: Role,
    inboxes: Vec<Inbox>,
    connections: Arc<Connections>,
    /// The kernel's, in bytes.
    send_buffer: usize,
}

impl Acceptor {
    /// A listener that can be accepted on.
    fn prepare(&self, listener: StdListener) -> io::Result<TcpListener> {
        listener.set_nonblocking(true)?;
        // Set before a connection is there: its receive side inherits it at once.
        _ = socket2::SockRef::from(&listener).set_send_buffer_size(self.send_buffer);
        TcpListener::from_std(listener)
    }

    /// Takes what comes, for a line if it is one's, until there is no core left.
    async fn accept(&self, listener: TcpListener, line: Option<&Arc<Line>>) {
        let mut said: Option<Instant> = None;
        loop {
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                // The peer was gone already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    // There is no descriptor left, most likely: it ends nothing, but clients wait until there is.
                    if said.is_none_or(|said| said.elapsed() >= COMPLAINT) {
                        said = Some(Instant::now());
                        tracing::warn!(%error, "connections cannot be accepted");
                    }
                    sleep(NO_DESCRIPTOR).await;
                    continue;
                }
            };
            let Some(mut permit) = self.connections.admit(address) else { continue };
            let Some(inbox) = self.inboxes.iter().min_by_key(|inbox| inbox.load.get()) else {
                return;
            };
            permit.load_on(inbox.load.clone());
            if let Ok(stream) = stream.into_std() {
                let (role, guest) = (self.role, line.map(Line::join));
                _ = inbox.arrivals.send(Arrival { stream, permit, role, guest });
            }
        }
    }
}

fn start_cores(gateway: &Gateway, phases: &watch::Receiver<Phase>) -> Result<Cores, StartError> {
    let count = match gateway.config().cores {
        0 => thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    let mut cores = Cores { inboxes: Vec::new(), threads: Vec::new() };
    let (starts, started) = std::sync::mpsc::channel();
    for n in 0..count {
        let (arrivals, inbox) = mpsc::unbounded_channel();
        let load = gateway.metrics().core(n);
        let (gateway, phases, starts) = (gateway.clone(), phases.clone(), starts.clone());
        let thread = thread::Builder::new().name(format!("core-{n}")).spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(core(gateway, inbox, phases, starts)),
                Err(error) => _ = starts.send(Err(error)),
            }
        });
        cores.threads.push(thread.map_err(StartError::Runtime)?);
        cores.inboxes.push(Inbox { arrivals, load });
    }
    drop(starts);
    // Before anyone is let in: clients may take the last descriptors, and a core that has none serves nobody.
    started.iter().collect::<io::Result<()>>().map_err(StartError::Runtime)?;
    Ok(cores)
}

/// One core: a hub, and the connections that came to it.
async fn core(
    gateway: Gateway,
    mut inbox: mpsc::UnboundedReceiver<Arrival>,
    mut phases: watch::Receiver<Phase>,
    starts: std::sync::mpsc::Sender<io::Result<()>>,
) {
    let hub = gateway.hub();
    let answers = [Role::Both, Role::Subscribe, Role::Publish].map(|role| gateway.answers(hub.clone(), role));
    let links = Rc::new(Links::default());
    let (taken, door, mut backs) = match Taken::new(gateway.taken_settings(IDLE), links.clone()) {
        Ok(taken) => taken,
        Err(error) => {
            _ = starts.send(Err(error));
            return;
        }
    };
    _ = starts.send(Ok(()));
    drop(starts);
    gateway.watch(hub.clone(), Some(door.clone()));
    spawn_local(taken.run());
    let running = hub.clone();
    spawn_local(async move { running.run().await });
    let mut begun = 0;
    let desk = Rc::new(Desk { answers, door: door.clone(), links, gateway, phases: phases.clone() });
    loop {
        tokio::select! {
            Some(arrival) = inbox.recv() => {
                connection::serve(&desk, arrival, Vec::new());
                begun += 1;
                if begun % ARRIVALS == 0 {
                    yield_now().await;
                }
            }
            Some(Back { stream, permit, read, publishes, subscribes }) = backs.recv() => {
                let role = match (publishes, subscribes) {
                    (true, true) => Role::Both,
                    (true, false) => Role::Publish,
                    (false, _) => Role::Subscribe,
                };
                connection::serve(&desk, Arrival { stream, permit, role, guest: None }, read);
            }
            _ = phases.changed() => break,
        }
    }
    hub.drain().await;
    door.drain();
    // The runtime goes on until every connection has ended, or their time is up.
    loop {
        tokio::select! {
            arrival = inbox.recv() => if arrival.is_none() { break },
            Some(back) = backs.recv() => drop(back),
        }
    }
}
