//! The gateway as its users meet it: over sockets.
//!
//! What the tests stand on:
//! - `http`: a raw HTTP/1.1 client, bytes in and bytes out
//! - `frames`: WebSocket frames made by hand
//! - `harness`: a gateway in this process; `process`: one as a program of its own
//! - `kernel`: what the kernel knows of a socket; `relay`: one that cuts connections
//! - `subscriber`: the five transports behind one interface
//!
//! The tests:
//! - `contract`: every scenario on every transport
//! - `wire_poll`, `wire_longpoll`, `wire_chunked`, `wire_sse`, `wire_websocket`: what each transport puts on
//!   the wire, literally
//! - `wire_publish`: what a publisher sends and is answered; what was refused leaves nothing behind
//! - `wire_errors`: each refusal, its status and its problem document
//! - `wire_http`: the protocol beneath, at its edges
//! - `observe`: metrics, statistics and the log, against what was done
//! - `lab`: connections that are shaped, and the contract over them
//! - `ledger`: what every byte was for, against the bytes and against a capture of the packets
//! - `openapi`: the description of the endpoints, against what they answer
//! - `clients`: programs of other hands, which `docs/clients.md` shows
//! - `nginx`: all transports through the proxy, configured as `docs/nginx.md` says
//! - `packaging`: completions, the manual, the unit, the container
//! - `page_build`: the build of the page, where Node or the network is missing
//! - `serve`: the command as a process
//!
//! `FANLIGHT_TEST_CORES` sets how many cores a gateway uses (2).

mod clients;
mod command;
mod contract;
mod frames;
mod harness;
mod http;
mod kernel;
mod lab;
mod ledger;
mod nginx;
mod observe;
mod openapi;
mod packaging;
mod page_build;
mod paths;
mod process;
mod relay;
mod subscriber;
mod wire_http;
mod wire_publish;
mod wire_websocket;
