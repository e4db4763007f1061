//! A relay that cuts connections at random places in what the gateway sends.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A relay in front of a gateway, for as long as it is held.
pub(crate) struct Relay {
    pub(crate) addr: SocketAddr,
    cuts: Arc<AtomicUsize>,
    _connections: JoinSet<()>,
}

impl Relay {
    /// Cuts so many connections, every other one by a reset; then it cuts no more.
    pub(crate) async fn before(gateway: SocketAddr, cuts: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let cuts = Arc::new(AtomicUsize::new(cuts));
        let (left, mut accepting) = (cuts.clone(), JoinSet::new());
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let left = left.clone();
                connections.spawn(async move {
                    // Either side may go at any time.
                    let _ = relay(client, gateway, &left).await;
                });
            }
        });
        Self { addr, cuts, _connections: accepting }
    }

    /// How many cuts are still to come.
    pub(crate) fn cuts_left(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

async fn relay(client: TcpStream, gateway: SocketAddr, cuts: &AtomicUsize) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let upstream = TcpStream::connect(gateway).await?;
    let (mut from_gateway, mut to_gateway) = upstream.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    let down = async {
        let mut left = fastrand::usize(150..4000);
        let mut buffer = [0; 1500];
        loop {
            let count = from_gateway.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            let cut = count >= left && cuts.load(Ordering::Relaxed) > 0;
            to_client.write_all(&buffer[..if cut { left } else { count }]).await?;
            left = left.saturating_sub(count);
            if cut {
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
        }
    };
    let up = async {
        copy(&mut from_client, &mut to_gateway).await?;
        to_gateway.shutdown().await
    };
    let ended: std::io::Result<()> = tokio::select! { ended = down => ended, ended = up => ended };
    if ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionAborted)
        && cuts
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok_and(|n| n % 2 == 0)
        && let Ok(client) = from_client.reunite(to_client)
    {
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
    }
    Ok(())
}
