//! A server of a plan: started for each run, or somewhere already.

use std::path::Path;

use crate::{
    clock,
    cores::Cores,
    http::{self, Place},
    ledger, plan,
    results::{Clock, Server},
    server::{self, Running, Start, rival::Rival},
    watch::Watch,
    wire::adapter::Adapter,
};

/// A server of a plan.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// How to talk to it.
    pub adapter: Adapter,
    whereabouts: Whereabouts,
    version: Option<String>,
    clock: Option<Clock>,
    has_ledger: bool,
    watch: Watch,
    command: String,
}

#[derive(Debug)]
enum Whereabouts {
    Own(Start),
    There(Place),
}

/// A server that can be talked to now.
pub(super) struct Here {
    pub(super) place: Place,
    pub(super) watch: Watch,
    pub(super) has_ledger: bool,
    _running: Option<Running>,
}

impl Target {
    /// Prepares a server: finds or installs what is started, and asks what it can do.
    ///
    /// # Errors
    /// If it cannot be started, or does not answer.
    pub fn prepare(
        name: &str,
        server: &plan::Server,
        gateway: impl FnOnce() -> Result<std::path::PathBuf, String>,
        install: bool,
        cores: &Cores,
    ) -> Result<Self, String> {
        let adapter = server.adapter(name)?;
        let (whereabouts, version) = match &server.url {
            Some(url) => (Whereabouts::There(Place::parse(url)?), None),
            None => started(name, server, gateway, install)?,
        };
        let mut target = Self {
            name: name.to_owned(),
            adapter,
            whereabouts,
            version,
            clock: None,
            has_ledger: false,
            watch: Watch::Nothing,
            command: server.url.clone().unwrap_or_default(),
        };
        // Once, on a server that is not measured.
        let here = target.open(cores).map_err(|error| format!("server `{name}`: {error}"))?;
        let place = here.place.clone();
        if let Some(path) = &target.adapter.ledger {
            target.has_ledger = ledger::ask(&place.join(&format!("{path}loadtest-asks")))
                .map_err(|error| format!("server `{name}` at {}: {error}", place.addr))?
                .is_some();
        }
        if let Some(running) = &here._running {
            target.command = running.command.clone();
        } else {
            target
                .look_there(&place)
                .map_err(|error| format!("server `{name}` at {}: {error}", place.addr))?;
        }
        Ok(target)
    }

    /// What can be known of a server that somebody else started.
    fn look_there(&mut self, place: &Place) -> Result<(), String> {
        let metrics = self.adapter.metrics.as_ref().map(|path| place.join(path));
        if let Some(place) = &metrics {
            let watch = Watch::Metrics(place.clone());
            if watch.look().seen().is_some() {
                self.watch = watch;
            }
            let text = http::get(place).map(|answer| answer.text()).unwrap_or_default();
            let info = text.lines().find(|line| line.contains("_build_info{"));
            self.version =
                info.and_then(|line| Some(line.split("version=\"").nth(1)?.split('"').next()?.to_owned()));
        }
        // The ledger's answers have microseconds, all others at best a `Date`.
        let asks = match (&self.adapter.ledger, self.has_ledger) {
            (Some(path), true) => place.join(&format!("{path}loadtest-asks")),
            _ => place.clone(),
        };
        http::get(&asks).map_err(|error| error.to_string())?;
        self.clock = clock::estimate(&asks).ok();
        Ok(())
    }

    /// Whether each run has a server of its own.
    pub fn is_own(&self) -> bool {
        matches!(self.whereabouts, Whereabouts::Own(_))
    }

    /// Its version, if it is known.
    pub fn version(&self) -> Option<String> {
        self.version.clone()
    }

    /// What the manifest says of it.
    pub fn described(&self) -> Server {
        Server {
            name: self.name.clone(),
            own: self.is_own(),
            command: self.command.clone(),
            version: self.version.clone(),
            clock: self.clock.clone(),
        }
    }

    /// Starts it, if it is one of ours.
    pub(super) fn open(&self, cores: &Cores) -> Result<Here, String> {
        match &self.whereabouts {
            Whereabouts::There(place) => Ok(Here {
                place: place.clone(),
                watch: self.watch.clone(),
                has_ledger: self.has_ledger,
                _running: None,
            }),
            Whereabouts::Own(start) => {
                let running = start.run(cores).map_err(|error| error.to_string())?;
                let place = Place { addr: running.addr, host: running.addr.to_string(), path: String::new() };
                let watch = Watch::Process(running.id());
                Ok(Here { place, watch, has_ledger: self.has_ledger, _running: Some(running) })
            }
        }
    }
}

fn started(
    name: &str,
    server: &plan::Server,
    gateway: impl FnOnce() -> Result<std::path::PathBuf, String>,
    install: bool,
) -> Result<(Whereabouts, Option<String>), String> {
    let adapter = server.adapter.as_deref().unwrap_or(name);
    if adapter == "fanlight" {
        let program = gateway()?;
        let version = server::version(Path::new(&program), "--version");
        return Ok((Whereabouts::Own(Start::Gateway(program, server.args.clone())), version));
    }
    match Rival::named(adapter) {
        Some(rival) => Ok((Whereabouts::Own(rival.prepare(install)?), rival.version())),
        None => Err(format!(
            "server `{name}`: the load test cannot start `{adapter}`: start it, and give its `url`"
        )),
    }
}
