//! The engine of the pekonode wire, as the world runs it.

use std::borrow::Cow;
use std::sync::Arc;

use rumormill::Config;
use rumormill::config::{Setting, Wire};
use rumormill::core::Class;
use rumormill::pekonode::{LegacyEngine, LegacyPacket};
use rumormill::wire::pekonode;

use super::keys::{Key, KeyError, KeyValue};
use super::simulated::{Setup, Simulated};

/// Longer ones no node of Go reads, whatever its `size`.
const LEN_MAX: usize = 65_507;

impl Simulated for LegacyEngine {
    const NAME: &'static str = "pekonode";
    const ABOUT: &'static str = "beats and values that mark who was told, as the Go package has it";
    /// Keys of the engine's builder, which has them checked.
    const KEYS: &'static [Key] = &[
        Key {
            name: "size",
            default: KeyValue::Number(16_384),
            about: "bytes that a packet must be shorter than",
        },
        Key {
            name: "swap",
            default: KeyValue::Text(Cow::Borrowed("on")),
            about: "on, or off: whether two nodes compare their values each cycle",
        },
        Key {
            name: "liveness",
            default: KeyValue::Text(Cow::Borrowed("beats")),
            about: "beats, or off: then nobody is ever removed",
        },
        Key {
            name: "protocol",
            default: KeyValue::Text(Cow::Borrowed("udp")),
            about: "udp or tcp: datagrams, or a connection for each packet",
        },
    ];
    const KINDS: &'static [&'static str] = &["beat", "publish", "swap_request", "swap_answer"];

    fn settings(setup: &Setup<'_>) -> Result<Arc<Config>, KeyError> {
        let Setup { config, keys, .. } = setup;
        let mut builder = Config::builder()
            .wire(Wire::Pekonode)
            .fan_out(config.fan_out().try_into().unwrap_or(u16::MAX))
            .cycle(config.cycle())
            .timeout(config.timeout())
            .members_max(config.members_max());
        for key in Self::KEYS {
            let setting = match key.name {
                "size" => Setting::Integer(keys.number("size").try_into().unwrap_or(i64::MAX)),
                name => Setting::Text(keys.text(name).to_owned()),
            };
            let why = builder.set(key.name, &setting).map_err(|error| error.to_string());
            why.map_err(|why| KeyError { key: key.name, why })?;
        }
        let config = builder.build();
        config.map(Arc::new).map_err(|error| {
            let key = Self::KEYS.iter().find(|key| key.name == error.key());
            KeyError { key: key.map_or("size", |key| key.name), why: error.to_string() }
        })
    }

    fn encode(packet: &LegacyPacket, out: &mut Vec<u8>) {
        pekonode::encode(packet, out);
    }

    fn decode(bytes: &[u8], _: Class) -> Result<LegacyPacket, String> {
        pekonode::decode(bytes, LEN_MAX + 1).map_err(|reject| reject.to_string())
    }
}
