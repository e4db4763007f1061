//! Text with holes: `/v1/poll?topic={topic}&after={cursor}`.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What fills the holes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    /// `{topic}`.
    pub topic: &'a str,
    /// `{client}`: the name that the server's ledger has for the subscribers.
    pub client: &'a str,
    /// `{data}`, or `{data:form}` as a form has it.
    pub data: &'a [u8],
    /// What a subscription keeps of its last answer, by the position of its name.
    pub kept: &'a [String],
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Topic,
    Client,
    Data,
    FormData,
    Kept(usize),
}

/// A text with holes, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// Reads a template; `kept` are the further names that holes may have.
    ///
    /// # Errors
    /// The name that nothing fills. A brace that opens no name stands for itself, so that JSON can be written as it is.
    pub fn parse(text: &str, kept: &[String]) -> Result<Self, String> {
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(open) = rest.find('{') {
            plain += &rest[..open];
            let inside = &rest[open + 1..];
            let length = inside
                .find(|c: char| !(c.is_ascii_lowercase() || c == ':' || c == '_'))
                .unwrap_or(inside.len());
            if length == 0 || !inside[length..].starts_with('}') {
                plain.push('{');
                rest = inside;
                continue;
            }
            let name = &inside[..length];
            let part = match name {
                "topic" => Part::Topic,
                "client" => Part::Client,
                "data" => Part::Data,
                "data:form" => Part::FormData,
                _ => match kept.iter().position(|held| held == name) {
                    Some(place) => Part::Kept(place),
                    None => return Err(format!("nothing fills `{{{name}}}` in `{text}`")),
                },
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(part);
            rest = &inside[length + 1..];
        }
        plain += rest;
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// Whether `{client}` is in it.
    pub fn names_client(&self) -> bool {
        self.0.contains(&Part::Client)
    }

    /// Writes the text with its holes filled.
    pub fn render(&self, values: Values<'_>, out: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Topic => out.extend_from_slice(values.topic.as_bytes()),
                Part::Client => out.extend_from_slice(values.client.as_bytes()),
                Part::Data => out.extend_from_slice(values.data),
                Part::FormData => {
                    let text = String::from_utf8_lossy(values.data);
                    out.extend(utf8_percent_encode(&text, NON_ALPHANUMERIC).flat_map(str::bytes));
                }
                Part::Kept(place) => {
                    let held = values.kept.get(*place).map_or("", String::as_str);
                    out.extend_from_slice(held.as_bytes());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled() {
        let kept = ["cursor".to_owned()];
        let template = Template::parse("/p?t={topic}&after={cursor}&d={data:form}", &kept).unwrap();
        let mut out = Vec::new();
        let values =
            Values { topic: "a/b", data: b"{\"n\":1}", kept: &["k-7".to_owned()], ..Values::default() };
        template.render(values, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "/p?t=a/b&after=k-7&d=%7B%22n%22%3A1%7D");
    }

    #[test]
    fn json_stands_for_itself() {
        let template = Template::parse(r#"{"channel":"{topic}","data":{data}}"#, &[]).unwrap();
        let mut out = Vec::new();
        template.render(Values { topic: "a", data: b"{}", ..Values::default() }, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"channel":"a","data":{}}"#);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!(Template::parse("{nobody}", &[]).unwrap_err().contains("{nobody}"));
    }
}
