//! The gateway's settings as flags and variables.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};
use fanlight::config::{Config, ConfigError, Given, Setting};

/// Where the effective configuration comes from.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Take settings from this TOML file; `fanlight config` prints one to start from
    ///
    /// A flag beats its variable, a variable the file, the file the default.
    #[arg(long, env = "FANLIGHT_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

impl Settings {
    /// The effective configuration.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        let file = self.config.as_deref().filter(|path| *path != Path::new(""));
        Config::layered(file, &self.flags.0)
    }
}

/// What the flags and the variables gave.
#[derive(Debug)]
struct Flags(Vec<Given>);

/// A setting with the names that clap wants to borrow for good.
struct Flag {
    setting: Setting,
    variable: String,
    help: String,
    default: Vec<String>,
}

static FLAGS: LazyLock<Vec<Flag>> = LazyLock::new(|| {
    let flag = |setting: Setting| Flag {
        variable: format!("FANLIGHT_{}", setting.key.replace('-', "_").to_uppercase()),
        help: setting.about.split("\n\n").next().unwrap_or_default().trim_end_matches('.').to_owned(),
        default: match &setting.value {
            None => Vec::new(),
            Some(toml::Value::Array(items)) => items.iter().map(plain).collect(),
            Some(value) => vec![plain(value)],
        },
        setting,
    };
    Config::default().settings().into_iter().map(flag).collect()
});

/// A value as a flag would give it: without quotation marks.
fn plain(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        FLAGS.iter().fold(command, |command, flag| {
            let Setting { key, group, about, value_name, many, switch, .. } = &flag.setting;
            let mut arg = Arg::new(key.as_str())
                .long(key.as_str())
                .env(flag.variable.as_str())
                .hide_env_values(true)
                .help_heading(*group)
                .help(flag.help.as_str())
                .long_help(about.as_str())
                .value_name(*value_name)
                .default_values(flag.default.iter().map(String::as_str));
            if *many {
                arg = arg.action(ArgAction::Append).value_delimiter(',');
            }
            if *switch {
                arg = arg.num_args(0..=1).require_equals(true).default_missing_value("true");
            }
            command.arg(arg)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = FLAGS.iter().filter_map(|flag| {
            let key = flag.setting.key.as_str();
            let values: Vec<String> = matches.get_many(key).into_iter().flatten().cloned().collect();
            let origin = match matches.value_source(key)? {
                ValueSource::CommandLine => format!("--{key}"),
                // An empty variable is how a compose file or a unit says 'not set'.
                ValueSource::EnvVariable if values.iter().all(String::is_empty) => return None,
                ValueSource::EnvVariable => flag.variable.clone(),
                _ => return None,
            };
            Some(Given { key: key.to_owned(), values, many: flag.setting.many, origin })
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Variables that look like settings and are none: a name that was misspelled changes nothing, in silence.
pub(super) fn unknown(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<String> {
    // Kubernetes sets the others for a service of this name.
    let others = ["FANLIGHT_CONFIG", "FANLIGHT_URL", "FANLIGHT_PORT", "FANLIGHT_PORT_", "FANLIGHT_SERVICE_"];
    let is_other = |name: &str| {
        others.iter().any(|other| name == *other || other.ends_with('_') && name.starts_with(other))
    };
    let names = variables.filter_map(|(name, _)| name.into_string().ok());
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with("FANLIGHT_") && !is_other(name))
        .filter(|name| FLAGS.iter().all(|flag| flag.variable != *name))
        .collect();
    unknown.sort();
    unknown
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn load(args: &[&str]) -> Result<Config, String> {
        let line =
            Line::try_parse_from(["fanlight"].iter().chain(args)).map_err(|error| error.to_string())?;
        line.settings.load().map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_given_is_the_default() {
        assert_eq!(load(&[]), Ok(Config::default()));
    }

    #[test]
    fn flags_repeat_split_and_switch() {
        let config = load(&["--listen", "127.0.0.1:1,127.0.0.1:2", "--listen=[::1]:3", "--insecure-open"]);
        let config = config.unwrap();
        assert_eq!(config.listen.len(), 3);
        assert!(config.insecure_open);
        assert!(!load(&["--insecure-open=false"]).unwrap().insecure_open);
    }

    #[test]
    fn a_bad_flag_is_named() {
        let error = load(&["--heartbeat", "15"]).unwrap_err();
        assert!(error.starts_with("heartbeat = \"15\" (from --heartbeat): not a duration"), "{error}");
    }

    #[test]
    fn variables_that_are_none_are_found() {
        let names = [
            "FANLIGHT_HISTORY_AGEE",
            "FANLIGHT_HISTORY_AGE",
            "FANLIGHT_CONFIG",
            "FANLIGHT_SERVICE_PORT",
            "FANLIGHT_PORT",
            "FANLIGHT_PORT_8080_TCP_ADDR",
            "FANLIGHT_PORTS",
            "PATH",
        ];
        let variables = names.map(|name| (name.into(), "x".into()));
        assert_eq!(unknown(variables.into_iter()), ["FANLIGHT_HISTORY_AGEE", "FANLIGHT_PORTS"]);
    }

    #[test]
    fn every_flag_has_its_variable_and_shows_its_default() {
        let mut command = <Line as clap::CommandFactory>::command();
        let help = command.render_long_help().to_string();
        for flag in FLAGS.iter() {
            assert!(help.contains(&format!("--{}", flag.setting.key)), "{}", flag.setting.key);
            assert!(help.contains(&format!("[env: {}]", flag.variable)), "{}", flag.variable);
        }
        assert!(help.contains("[default: 256MiB]") && help.contains("[default: 127.0.0.1:8080]"), "{help}");
    }
}
