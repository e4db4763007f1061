//! Flags over the environment over the file over the defaults.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use config::{FileFormat, Map, Source, Value};

use super::{Config, ConfigError, Unit, units};

/// A value that was given by a flag or a variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The setting's key, such as `history-age`.
    pub key: String,
    /// Its values; a setting that takes one has one.
    pub values: Vec<String>,
    /// Whether the setting takes several.
    pub many: bool,
    /// What gave it, as a message would name it: `--history-age`, `FANLIGHT_HISTORY_AGE`.
    pub origin: String,
}

impl Config {
    /// The effective configuration: what was `given`, over what the `file` says, over the defaults.
    ///
    /// # Errors
    /// A file that cannot be read or is not TOML, a key that is no setting, a value that cannot be read
    /// or makes no sense; each names the key, the value and where it came from.
    pub fn layered(file: Option<&Path>, given: &[Given]) -> Result<Self, ConfigError> {
        let layers = Layers::new(file, given)?;
        let config = Self::from_layers(&layers)?;
        config.check().map_err(|error| layers.blame(error))?;
        Ok(config)
    }

    /// The configuration as a TOML file with comments, which reads back as the same configuration.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut group = "";
        for setting in self.settings() {
            if setting.group != group {
                let space = if group.is_empty() { "" } else { "\n" };
                group = setting.group;
                let _ = writeln!(text, "{space}# --- {group} ---");
            }
            for line in setting.about.lines().filter(|line| !line.is_empty()) {
                let _ = writeln!(text, "# {line}");
            }
            let _ = match setting.value {
                Some(value) => writeln!(text, "{} = {value}", setting.key),
                None => writeln!(text, "# {} = \"{}\"", setting.key, setting.value_name),
            };
        }
        text
    }
}

/// What the file and the flags say, the later over the earlier, each value with its origin.
#[derive(Debug)]
pub(super) struct Layers {
    values: Map<String, Value>,
    /// The file's name: values from elsewhere carry their own origin.
    file: String,
}

impl Layers {
    fn new(file: Option<&Path>, given: &[Given]) -> Result<Self, ConfigError> {
        let name = file.map(|path| path.display().to_string()).unwrap_or_default();
        let mut layers = config::Config::builder();
        if let Some(path) = file {
            layers = layers.add_source(read_file(path, &name)?);
        }
        let layers = layers.add_source(GivenSource(given.to_vec())).build();
        let values = layers.and_then(|layers| layers.collect()).map_err(|error| {
            // The sources were collected before: only their merging could still fail.
            ConfigError::NotToml { file: name.clone(), why: error.to_string() }
        })?;
        Ok(Self { values, file: name })
    }

    /// One setting, if a layer has it.
    pub(super) fn read<T: Unit>(&self, key: &str) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.values.get(key) else {
            return Ok(None);
        };
        T::read(value).map(Some).map_err(|why| ConfigError::Refused {
            key: key.to_owned(),
            value: units::show(value),
            origin: Some(self.origin(value)),
            why,
        })
    }

    /// Adds to a refusal where its value came from.
    fn blame(&self, error: ConfigError) -> ConfigError {
        match error {
            ConfigError::Refused { key, value, why, .. } => {
                let origin = self.values.get(&key).map(|value| self.origin(value));
                ConfigError::Refused { key, value, origin, why }
            }
            other => other,
        }
    }

    fn origin(&self, value: &Value) -> String {
        value.origin().unwrap_or(&self.file).to_owned()
    }
}

/// What was given, as a layer.
#[derive(Clone, Debug)]
struct GivenSource(Vec<Given>);

impl Source for GivenSource {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let layer = self.0.iter().map(|given| {
            let origin = Some(&given.origin);
            let value = match &given.values[..] {
                [one] if !given.many => Value::new(origin, one.clone()),
                many => Value::new(origin, many.to_vec()),
            };
            (given.key.clone(), value)
        });
        Ok(layer.collect())
    }
}

fn read_file(path: &Path, name: &str) -> Result<config::Config, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { file: name.to_owned(), source })?;
    let file = config::Config::builder()
        .add_source(config::File::from_str(&text, FileFormat::Toml))
        .build()
        .map_err(|error| ConfigError::NotToml { file: name.to_owned(), why: error.to_string() })?;
    let known: BTreeSet<String> =
        Config::default().settings().into_iter().map(|setting| setting.key).collect();
    let keys = file.collect().unwrap_or_default();
    match keys.keys().find(|key| !known.contains(*key)) {
        None => Ok(file),
        Some(key) => Err(ConfigError::Unknown {
            key: key.clone(),
            file: name.to_owned(),
            hint: nearest(&self::key(key), &known),
        }),
    }
}

/// The setting that was probably meant.
fn nearest(key: &str, known: &BTreeSet<String>) -> Option<String> {
    let alike = |known: &&String| strsim::damerau_levenshtein(key, known);
    known.iter().min_by_key(alike).filter(|known| alike(known) <= 2).cloned()
}

/// `history_age` as a flag and a key spell it.
pub(super) fn key(field: &str) -> String {
    field.replace('_', "-")
}

/// A doc comment as running text: its lines joined, its paragraphs apart.
pub(super) fn about(doc: &str) -> String {
    let paragraphs = doc.split("\n\n").map(|paragraph| {
        paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    });
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect::<Vec<_>>().join("\n\n")
}
