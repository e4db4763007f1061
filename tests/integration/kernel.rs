//! What the kernel knows of a gateway's end of a connection, so that a test can wait for it.

use std::net::SocketAddr;

use crate::http::{Conn, until};

/// Whether the gateway's end still stands: neither closed nor closing.
pub(crate) fn established(gateway: SocketAddr, client: u16) -> bool {
    line(gateway, client).is_some_and(|fields| fields[3] == "01")
}

/// Waits until the gateway has taken up the connection and read all that was sent over it.
pub(crate) async fn read_by_peer(gateway: SocketAddr, conn: &Conn) {
    let client = conn.port();
    until(|| {
        let unread = line(gateway, client).map(|fields| fields[4].clone());
        unread.is_some_and(|queues| queues.ends_with(":00000000"))
    })
    .await;
}

/// The line of `/proc/net/tcp` that describes it: `sl local remote state tx:rx …`.
fn line(gateway: SocketAddr, client: u16) -> Option<Vec<String>> {
    let [local, remote] = [gateway.port(), client].map(|port| format!("0100007F:{port:04X}"));
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    table.lines().map(fields).find(|fields| fields.len() > 4 && fields[1] == local && fields[2] == remote)
}
