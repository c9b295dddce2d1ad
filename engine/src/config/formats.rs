//! Settings in any serde format: read so that an error stands where its cause does, and written
//! without the secret.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};

use super::builder::{ConfigBuilder, ConfigError};
use super::{Config, Setting, Wire};
use crate::units::show_duration;

/// The key whose value is shown nowhere.
const SECRET: &str = "secret_key";

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ConfigVisitor)
    }
}

struct ConfigVisitor;

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = Config;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of settings")
    }

    /// A format that knows places adds that of a value to the error by which it was refused. What
    /// does not go with the settings before it may be mended by a later one: so it is refused where
    /// it stands, and the refusal is kept until all are read.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
        let mut builder = Config::builder();
        let mut refused: Vec<(ConfigError, Option<A::Error>)> = Vec::new();
        while let Some(key) = map.next_key_seed(KnownKey)? {
            let key = key.map_err(de::Error::custom)?;
            let mut misfit = None;
            let value = ValueOf { key, builder: &mut builder, misfit: &mut misfit };
            match (map.next_value_seed(value), misfit) {
                (refusal, Some(misfit)) => refused.push((misfit, refusal.err())),
                (read, None) => read?.map_err(de::Error::custom)?,
            }
        }
        builder.build().map_err(|error| {
            let first = refused.into_iter().find(|(misfit, _)| *misfit == error);
            first.and_then(|(_, refusal)| refusal).unwrap_or_else(|| de::Error::custom(error))
        })
    }
}

/// A key, refused where it stands if it is a slip of the pen. One that resembles the secret's or
/// none may well hold the secret: its line is not to be shown, and the table refuses it.
struct KnownKey;

impl<'de> DeserializeSeed<'de> for KnownKey {
    type Value = Result<&'static str, ConfigError>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let typed = String::deserialize(deserializer)?;
        match ConfigBuilder::key(&typed) {
            Err(ConfigError::UnknownKey { nearest: Some(near), .. }) if near != SECRET => {
                ConfigBuilder::key(&typed).map(Ok).map_err(de::Error::custom)
            }
            key => Ok(key),
        }
    }
}

/// Stores the value of a key and refuses it where it stands; but for a secret, whose line is not to
/// be shown: the table refuses that.
struct ValueOf<'a> {
    key: &'static str,
    builder: &'a mut ConfigBuilder,
    /// Why the settings so far can't be.
    misfit: &'a mut Option<ConfigError>,
}

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = Result<(), ConfigError>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let is_secret = self.key == SECRET;
        let mut value = match Setting::deserialize(deserializer) {
            Err(_) if is_secret => return Ok(Err(ConfigBuilder::no_text(self.key))),
            value => value?,
        };
        let stored = self.builder.set(self.key, &value);
        value.wipe();
        if is_secret {
            *self.misfit = stored.as_ref().ok().and_then(|()| self.builder.check().err());
            return Ok(stored);
        }
        stored.map_err(de::Error::custom)?;
        self.builder.check().map(Ok).map_err(|misfit| {
            let refusal = de::Error::custom(&misfit);
            *self.misfit = Some(misfit);
            refusal
        })
    }
}

/// All settings as they are typed, but for the secret, which is written nowhere: only the file that
/// it came from is named.
impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        for (key, path) in
            [("secret_key_file", self.secret_key_file()), ("state_dir", self.state_dir())]
        {
            if path.is_some_and(|path| path.to_str().is_none()) {
                return Err(ser::Error::custom(format!("the path of `{key}` is not in UTF-8")));
            }
        }
        // Some formats ask for the number in advance.
        serializer.collect_map(self.settings().collect::<Vec<_>>())
    }
}

impl Config {
    /// Each key that has a value that may be shown, in the order of the module's table.
    fn settings(&self) -> impl Iterator<Item = (&'static str, Setting)> {
        let text = |text: &dyn ToString| Some(Setting::Text(text.to_string()));
        let number = |number| Some(Setting::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
        let time = |time| Some(Setting::Text(show_duration(time)));
        let tags = self.tags().iter().map(|(key, value)| format!("{key}={value}")).collect();
        // On the wire of pekonode it has no meaning, and is refused.
        let relays = self.wire() == Wire::Native;
        [
            ("fan_out", number(self.fan_out())),
            ("cycle", time(self.cycle())),
            ("timeout", time(self.timeout())),
            ("buffer", number(self.buffer())),
            ("size", number(self.size())),
            ("secret_key_file", self.secret_key_file().and_then(|path| text(&path.display()))),
            ("listen_addr", self.listen_addr().and_then(|addr| text(&addr))),
            ("advertise", self.advertise().and_then(|advertise| text(advertise))),
            ("print", Some(Setting::Flag(self.print()))),
            ("protocol", text(&self.protocol())),
            ("liveness", text(&self.liveness())),
            ("isolation", text(&self.isolation())),
            ("swap", text(&self.swap())),
            ("relay_delay", time(self.relay_delay()).filter(|_| relays)),
            ("redial", time(self.redial())),
            ("redial_for", time(self.redial_for())),
            ("ack_timeout", self.ack_timeout().and_then(time)),
            ("seeds", Some(Setting::List(self.seeds().to_vec()))),
            ("metadata_len_max", number(self.metadata_len_max())),
            ("entry_len_max", number(self.entry_len_max())),
            ("entries_max", number(self.entries_max())),
            ("entries_bytes_max", number(self.entries_bytes_max())),
            ("tombstone_ttl", time(self.tombstone_ttl())),
            ("state_dir", self.state_dir().and_then(|path| text(&path.display()))),
            ("state_flush", time(self.state_flush())),
            ("members_max", number(self.members_max())),
            ("clock_skew_max", time(self.clock_skew_max())),
            ("cluster", text(&self.cluster())),
            ("wire", text(&self.wire())),
            ("wire_max", number(self.wire_max().number().into()).filter(|_| relays)),
            ("zone", text(&self.zone())),
            ("tags", Some(Setting::List(tags))),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::config::{Advertise, Liveness, Swap, TransportKind};

    #[derive(Debug, Deserialize)]
    struct Service {
        #[serde(rename = "cluster")]
        _cluster: Config,
    }

    /// What is refused in the table of a service's settings, and what is marked of it.
    fn refused(lines: &str) -> (String, String) {
        let text = format!("[cluster]\n{lines}\n");
        let error = toml::from_str::<Service>(&text).unwrap_err();
        (error.to_string(), text[error.span().unwrap()].to_owned())
    }

    #[test]
    fn an_error_in_a_nested_table_points_at_its_key_and_shows_no_other_line() {
        for (line, marked) in [
            ("fan_out = 0", "0"),
            ("fanout = 1", "fanout"),
            ("fan_out = 'x'", "'x'"),
            ("size = 10", "10"),
            ("cycle = '2d'", "'2d'"),
            ("wire = 'peko'", "'peko'"),
            ("cycle = 1.5", "1.5"),
            ("secret_key_file = 3", "3"),
        ] {
            let (shown, at) = refused(&format!("secret_key = 'hush'\n{line}\nbuffer = 7"));
            assert_eq!(at, marked, "{shown}");
            assert!(shown.contains(&format!("3 | {line}")), "{shown}");
            assert!(!shown.contains("hush") && !shown.contains("buffer"), "{shown}");
        }
    }

    #[test]
    fn what_can_not_stand_beside_another_setting_is_refused_at_one_of_the_two() {
        for (lines, key, marked) in [
            ("timeout = '1s'", "timeout", "'1s'"),
            ("timeout = '1s'\nwire = 'native'", "timeout", "'1s'"),
            ("cycle = '10s'\ntimeout = '5s'", "timeout", "'5s'"),
            ("cycle = '1s'\nrelay_delay = '2s'\nsize = 2000", "relay_delay", "'2s'"),
            ("cluster = 'x'\nwire = 'pekonode'", "cluster", "'pekonode'"),
            ("liveness = 'probes'\nswap = 'off'\nwire = 'pekonode'", "liveness", "'pekonode'"),
        ] {
            let (shown, at) = refused(&format!("secret_key = 'hush'\n{lines}"));
            assert_eq!(at, marked, "{shown}");
            assert!(shown.contains(&format!("`{key}`: ")) && !shown.contains("hush"), "{shown}");
        }
    }

    #[test]
    fn a_later_setting_may_mend_an_earlier_one() {
        // JSON keeps the order in which they were typed.
        let text = r#"{"timeout": "1s", "swap": "off", "cycle": "100ms"}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!((config.timeout(), config.swap()), (Duration::from_secs(1), Swap::Off));
        let text = r#"{"timeout": "1s", "cycle": "2s", "swap": "off"}"#;
        let error = serde_json::from_str::<Config>(text).unwrap_err().to_string();
        assert!(error.contains("`timeout`") && error.contains("the cycle is 2s"), "{error}");
    }

    #[test]
    fn no_error_shows_the_line_of_a_secret() {
        for line in [
            "secret_key = 12345",
            "secret_key = 1.5",
            "secret_key = ['12345']",
            "secret_key = { a = 12345 }",
            "secret_ky = '12345'",
            "secret = '12345'",
            "password = '12345'",
            "secret_key = ''",
        ] {
            let (key, value) = line.split_once(" = ").unwrap();
            for lines in [line.to_owned(), format!("fan_out = 3\n{line}\nwire = 'native'")] {
                let (shown, at) = refused(&lines);
                assert!(shown.contains(&format!("`{key}`")), "{shown}");
                assert!(!shown.contains(value) && !shown.contains("12345"), "{shown}");
                assert_eq!(at, "[cluster]");
            }
        }
        // One that is refused is never left out instead.
        let text = r#"{"timeout": "1s", "secret_key": 12345, "cycle": "100ms"}"#;
        let error = serde_json::from_str::<Config>(text).unwrap_err().to_string();
        assert!(error.contains("`secret_key`") && !error.contains("12345"), "{error}");
    }

    fn secret_file(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("rumormill-{}-{name}", std::process::id()));
        std::fs::write(&path, "hush\n").unwrap();
        path
    }

    #[test]
    fn a_secret_may_have_a_file_of_its_own_and_not_two_places() {
        let path = secret_file("either");
        let shown = path.display();
        let read: Config = toml::from_str(&format!("secret_key_file = '{shown}'")).unwrap();
        assert_eq!(read.secret_key(), Some(&"hush".into()));
        assert_eq!(read.secret_key_file(), Some(&*path));
        assert_eq!(Ok(read), Config::builder().secret_key_file(&path).build());
        let both = Config::builder().secret_key("hush").secret_key_file(&path).build();
        let told = both.unwrap_err().to_string();
        assert!(
            told.starts_with("`secret_key_file`: must not stand beside `secret_key`"),
            "{told}"
        );
        let lines = format!("secret_key = 'hush'\nsecret_key_file = '{shown}'");
        let (told, at) = refused(&lines);
        assert_eq!(at, format!("'{shown}'"), "{told}");
        assert!(!told.contains("hush"), "{told}");
        std::fs::remove_file(&path).unwrap();
        let (told, at) = refused(&format!("secret_key_file = '{shown}'"));
        assert_eq!(at, format!("'{shown}'"), "{told}");
        assert!(told.contains("`secret_key_file`: no secret is in `"), "{told}");
        let missing = Config::builder().secret_key_file(&path).build().unwrap_err();
        assert_eq!(missing.key(), "secret_key_file");
    }

    #[test]
    fn settings_are_written_as_they_are_typed_and_without_their_secret() {
        let path = secret_file("written");
        let second = Duration::from_secs(1);
        let all = Config::builder()
            .cycle(second / 4)
            .relay_delay(second / 8)
            .ack_timeout(second / 20)
            .secret_key_file(&path)
            .listen_addr("0.0.0.0:7001".parse().unwrap())
            .advertise("10.0.0.0/8".parse::<Advertise>().unwrap())
            .print(true)
            .protocol(TransportKind::Tcp)
            .liveness(Liveness::Probes)
            .redial_for(second * 86_400 * 60)
            .seeds(["10.0.0.9:8000", "node-1:8000"])
            .cluster("blue");
        let native = all.build().unwrap();
        let foreign = Config::builder().wire(Wire::Pekonode).build().unwrap();
        for config in [native, foreign, Config::default()] {
            let text = toml::to_string(&config).unwrap();
            assert!(!text.contains("hush") && !text.contains("secret_key ="), "{text}");
            assert_eq!(toml::from_str::<Config>(&text), Ok(config.clone()), "{text}");
            let json = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
        }
        std::fs::remove_file(&path).unwrap();
        let given = Config::builder().secret_key("hush").build().unwrap();
        let shown = serde_json::to_string(&given).unwrap();
        assert!(!shown.contains("hush") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn every_key_but_the_secret_is_written() {
        let config = Config::builder().ack_timeout(Duration::from_millis(50));
        let mut config = config.advertise("eth1".parse::<Advertise>().unwrap()).build().unwrap();
        config = config.with_listen_addr("0.0.0.0:1".parse().unwrap());
        config.secret_key_file = Some("/run/secret".into());
        config.state_dir = Some("/var/lib/node".into());
        let written: Vec<_> = config.settings().map(|(key, _)| key).collect();
        let keys = ConfigBuilder::KEYS.into_iter().filter(|&key| key != SECRET);
        assert_eq!(written, keys.collect::<Vec<_>>());
    }

    #[test]
    fn every_key_sets_something() {
        for key in ConfigBuilder::KEYS {
            let refused = ConfigBuilder::default().set(key, &Setting::Text("?".to_owned()));
            let why = refused.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!why.contains("sets nothing"), "{why}");
        }
    }
}
