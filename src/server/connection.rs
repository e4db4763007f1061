//! One connection: hyper reads its requests, and most of what it answers; some connections leave it.

use std::{
    convert::Infallible,
    future::{Future as _, pending, poll_fn},
    pin::{Pin, pin},
    rc::{Rc, Weak},
    task::Poll,
};

use axum::body::Body;
use bytes::BytesMut;
use http::{HeaderName, HeaderValue, Method, Response, Uri, Version};
use hyper::{
    body::Incoming,
    server::conn::http1::{self, Parts as Apart},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{io::AsyncWriteExt as _, sync::watch, task::spawn_local};

use super::{
    IDLE,
    booking::Speaks,
    link::{Begun, Exit, Left, Link, Links},
    socket::{self, Socket},
};
use crate::{
    app::{Answers, Crowded, Gateway, OnLine, Phase},
    delivery::{
        connections::Permit,
        duplex,
        taken::{Arrival, Door},
        takeover::{self, Entry, Leave, Leaving, MayLeave, Waits},
    },
    ledger::{Bill, Direction, Ledger, Payer, Purpose, Via, is_id as is_client},
};

/// What the connections of a core share.
pub(super) struct Desk {
    pub(super) gateway: Gateway,
    pub(super) answers: [Answers; 3],
    pub(super) door: Door,
    pub(super) links: Rc<Links>,
    pub(super) phases: watch::Receiver<Phase>,
}

/// What a client or a proxy calls its request; the answer repeats it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whether a request may be called so.
fn is_id(id: &HeaderValue) -> bool {
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// Serves the requests of one connection, of which some bytes may have been read before.
pub(super) fn serve(desk: &Rc<Desk>, arrival: super::Arrival, read: Vec<u8>) {
    let super::Arrival { stream, permit, role, guest } = arrival;
    let config = desk.gateway.config();
    let crowded = permit.crowded();
    let on_line = guest.is_some();
    let may_take = crowded.is_none() && !on_line && !config.no_takeover;
    let socket = match Socket::new(stream, permit, read, guest, &desk.gateway) {
        Ok(socket) => socket,
        Err(error) => return tracing::debug!(%error, "a connection was gone before it began"),
    };
    let link = Rc::downgrade(socket.link());
    let waits = Waits::default();
    let (service_desk, service_link, service_waits) = (desk.clone(), link.clone(), waits.clone());
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let link = service_link.upgrade().expect("whoever hands on requests has the socket");
        if let Some(code) = crowded {
            request.extensions_mut().insert(Crowded(code));
        }
        if on_line {
            request.extensions_mut().insert(OnLine);
        }
        let request_id = request.headers().get(REQUEST_ID).filter(|id| is_id(id)).cloned();
        let id = request_id.as_ref().and_then(|id| id.to_str().ok());
        let payer = payer(&service_desk.gateway.metrics().ledger, request.uri());
        let Begun { answering, again, tally } = link.begin(&request, payer, id);
        service_desk.links.list(&link);
        request.extensions_mut().insert(tally);
        request.extensions_mut().insert(service_waits.clone());
        let may_leave = request.method() == Method::GET || request.uri().path() == "/v1/publish";
        if may_leave && request.version() == Version::HTTP_11 {
            let taken = may_take && takeover::is_persistent(request.headers());
            request.extensions_mut().insert(MayLeave { taken, again });
        }
        let answer = service_desk.answers[role as usize].answer(request.map(Body::new));
        let link = service_link.clone();
        // Boxed, so that a connection keeps nothing of it between requests.
        Box::pin(async move {
            let response = answer.await;
            drop(answering);
            match answered(&link, response, request_id) {
                Some(response) => Ok::<_, Infallible>(response),
                None => pending().await,
            }
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Who has asked and will ask no more is answered; whether one that waits has gone is looked at below.
        .half_close(true)
        .header_read_timeout(IDLE)
        .max_buf_size((config.max_head.as_u64() as usize * 2).max(8 << 10))
        .serve_connection(TokioIo::new(socket), service);
    let (desk, mut phases) = (desk.clone(), desk.phases.clone());
    let phase = phases.clone();
    spawn_local(async move {
        let own = Own(link);
        let mut drains = pin!(phases.changed());
        let (mut listens, mut drained) = (false, false);
        let ended = poll_fn(|cx| {
            // Polled once, it wakes this task; then a look is enough.
            let drains = match listens {
                true => phase.has_changed().unwrap_or(true),
                false => drains.as_mut().poll(cx).is_ready(),
            };
            listens = true;
            if !drained && drains {
                drained = true;
                // The request that is being answered is the last.
                Pin::new(&mut connection).graceful_shutdown();
            }
            let ended = Pin::new(&mut connection).poll(cx);
            let Some(link) = own.0.upgrade() else { return ended.map(Ended::There) };
            if let Some(exit) = link.take_exit() {
                return Poll::Ready(Ended::Left(exit));
            }
            let gone = match ended {
                Poll::Pending if link.speaks() == Speaks::Endless => link.poll_gone(cx).is_ready(),
                Poll::Pending if waits.is_waiting() => link.poll_left(cx).is_ready(),
                _ => false,
            };
            if gone {
                return Poll::Ready(Ended::There(Ok(())));
            }
            ended.map(Ended::There)
        });
        match ended.await {
            Ended::There(Ok(())) => {}
            Ended::There(Err(error)) => tracing::debug!(%error, "a connection ended early"),
            // Boxed, so that a connection that stays has no room for it.
            Ended::Left(exit) => Box::pin(leave(&desk, connection.into_parts(), *exit)).await,
        }
    });
}

/// The connection of a task. When that ends, however it does, nobody reads or writes any more.
struct Own(Weak<Link>);

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(link) = self.0.upgrade() {
            link.leave();
        }
    }
}

/// Notes the answer to the last request of a connection, which hyper is to write; none if it leaves hyper with that.
fn answered(
    link: &Weak<Link>,
    mut response: Response<Body>,
    request_id: Option<HeaderValue>,
) -> Option<Response<Body>> {
    let link = link.upgrade()?;
    if let Some(id) = request_id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let extensions = response.extensions_mut();
    let (asked, told) = (extensions.remove(), extensions.remove());
    link.answer(asked.unwrap_or_default(), told.unwrap_or_default());
    let Some(goes_to) = extensions.remove().and_then(|leaving: Leaving| leaving.take()) else {
        return Some(response);
    };
    link.leave_with(Exit { head: response.into_parts().0, goes_to });
    None
}

/// How hyper's part of a connection ended.
enum Ended {
    /// With the connection.
    There(hyper::Result<()>),
    /// It goes on elsewhere.
    Left(Box<Exit>),
}

/// Takes a connection out of hyper, which has nothing left to write.
async fn leave<S>(desk: &Desk, apart: Apart<TokioIo<Socket>, S>, Exit { head, goes_to }: Exit) {
    let Apart { io, read_buf, service, .. } = apart;
    drop(service);
    let mut socket = io.into_inner();
    match goes_to {
        Leave::Taken(entry) => match socket.into_parts(read_buf.len()) {
            Ok(socket::Apart { left: Left { stream, mut permit, asked }, request, behind }) => {
                book(&desk.gateway.metrics().ledger, &mut permit, asked, &entry);
                let early = [&*read_buf, &*behind].concat();
                desk.door.enter(Arrival { stream, permit, early, request, head, entry });
            }
            Err(error) => tracing::debug!(%error, "a connection was gone before it was taken"),
        },
        Leave::Duplex { peer, times, messages } => {
            let mut bytes = Vec::new();
            takeover::write_head(&mut bytes, &head);
            socket.end_http();
            // What was read is a slice of hyper's buffer, which is not to live as long as the connection.
            let early = BytesMut::from(&read_buf[..]);
            drop(read_buf);
            // The client may be gone before it got our answer.
            if socket.write_all(&bytes).await.is_ok() {
                drop((bytes, head));
                socket.link().end_http();
                duplex::serve(socket, early, peer, times, messages).await;
            }
        }
    }
}

/// Who pays for a request.
fn payer(ledger: &Ledger, target: &Uri) -> Payer {
    let via = Via::of_path(target.path());
    let mut fields = target.query().unwrap_or_default().split('&');
    // What is not spelled as it is allowed is refused where the fields are read.
    let client = fields.find_map(|field| field.strip_prefix("client=")).filter(|id| is_client(id));
    ledger.payer(via, client)
}

/// Books the request that a connection leaves with: its head and its body. One that polls is booked when it is
/// known whether it brought anything.
fn book(ledger: &Ledger, permit: &mut Permit, (head, body): (usize, usize), entry: &Entry) {
    let meter = &mut permit.figures.meter;
    if entry.wait.is_some() {
        meter.asked = (head + body) as u32;
        return;
    }
    let mut bill = Bill::of(Purpose::Heads, head);
    if entry.offer.is_some() {
        meter.payer().note_events(1);
        bill.add(Purpose::Payload, body);
    }
    ledger.book(meter.payer(), Direction::In, &bill);
}
