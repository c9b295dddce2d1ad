//! The JSON Schema of scenario files agrees with the reader.

use std::fs;
use std::path::{Path, PathBuf};

use rumormill_sim::scenario::{parse, schema};
use serde_json::Value;

/// Whether a value is valid, by the few words of JSON Schema that ours uses; any other is an error
/// here, for it would be passed over.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    schema.as_object().expect("a schema is an object").iter().all(|(word, rule)| match &**word {
        "$schema" | "title" | "$defs" | "description" | "examples" | "required" | "pattern" => {
            word != "required" || has_all(rule, value)
        }
        "properties" | "additionalProperties" => {
            word == "properties" || keys_fit(root, schema, value)
        }
        "$ref" => {
            let at = rule.as_str().unwrap().strip_prefix('#').unwrap();
            fits(root, root.pointer(at).expect("it is defined"), value)
        }
        "type" => kinds(rule).iter().any(|kind| is(kind, value)),
        "enum" => rule.as_array().unwrap().contains(value),
        "anyOf" => rule.as_array().unwrap().iter().any(|option| fits(root, option, value)),
        "items" => value.as_array().is_none_or(|all| all.iter().all(|one| fits(root, rule, one))),
        "minimum" => value.as_u64().is_none_or(|number| number >= rule.as_u64().unwrap()),
        "maximum" => value.as_u64().is_none_or(|number| number <= rule.as_u64().unwrap()),
        other => panic!("the schema says `{other}`, which this test does not understand"),
    })
}

fn has_all(required: &Value, value: &Value) -> bool {
    required.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some())
}

fn keys_fit(root: &Value, schema: &Value, value: &Value) -> bool {
    let known = schema.get("properties");
    value.as_object().is_none_or(|table| {
        table.iter().all(|(key, inner)| match known.and_then(|known| known.get(key)) {
            Some(rule) => fits(root, rule, inner),
            None => match &schema["additionalProperties"] {
                Value::Bool(open) => *open,
                rule => fits(root, rule, inner),
            },
        })
    })
}

fn kinds(rule: &Value) -> Vec<&str> {
    match rule {
        Value::String(kind) => vec![kind],
        _ => rule.as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect(),
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        other => panic!("no type of ours: {other}"),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// The shipped scenarios, and the examples of the reference.
fn texts() -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for folder in [folder(), folder().join("large"), folder().join("limits"), folder().join("sick")]
    {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ext| ext == "toml") {
                texts.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(texts.len() > 30, "the shipped scenarios are missing");
    let reference = fs::read_to_string(folder().join("README.md")).unwrap();
    for block in reference.split("```toml\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let head = "name = \"part\"\nnodes = 50\nduration = \"60s\"\n";
        let head = if block.starts_with("name = ") { "" } else { head };
        texts.push((block.to_owned(), format!("{head}{block}")));
    }
    texts
}

fn as_json(text: &str) -> Value {
    serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap()
}

#[test]
fn every_shipped_scenario_and_every_example_is_valid_typed_and_resolved() {
    let schema = schema();
    for (name, text) in texts() {
        assert!(fits(&schema, &schema, &as_json(&text)), "{name}");
        let read = parse("x.toml", &text, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(fits(&schema, &schema, &as_json(read.resolved())), "{name}, resolved");
    }
}

/// The keys of all tables below a schema of which it says nothing.
fn undescribed(schema: &Value) -> Vec<String> {
    let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let own = own.filter(|(_, rule)| **rule == serde_json::json!({}));
    let own = own.map(|(key, _)| key.clone());
    let inner: Vec<&Value> = match schema {
        Value::Object(rules) => rules.values().collect(),
        Value::Array(rules) => rules.iter().collect(),
        _ => Vec::new(),
    };
    own.chain(inner.into_iter().flat_map(undescribed)).collect()
}

#[test]
fn every_key_that_the_reader_knows_is_described() {
    assert_eq!(undescribed(&schema()), [""; 0]);
    let bare = serde_json::json!({ "anyOf": [{ "properties": { "a": {}, "b": { "enum": [] } } }] });
    assert_eq!(undescribed(&bare), ["a"]);
}

#[test]
fn what_the_reader_refuses_the_schema_refuses_too() {
    let schema = schema();
    let whole = "name = 'a'\nnodes = 9\nduration = '60s'\n";
    for wrong in [
        "fanout = 3",
        "[engine]\nfanout = 3",
        "[engine]\nliveness = 'beat'",
        "[engine]\nfan_out = '3'",
        "[engine]\nsecret_key = 'x'",
        "[network]\nlos = '1%'",
        "[network]\nloss = { burst = { enter = '1%' } }",
        "[groups.a]\nname = 'x'",
        "[[link]]\nbetwen = [0, 1]",
        "[[at]]\ncrash = 3",
        "[[at]]\ntime = '1s'\ncrsh = 3",
        "[[at]]\ntime = '1s'\npublish = { node = 0, dta = 'x' }",
        "[[at]]\ntime = '1s'\nrestart = { nodes = 0, manner = 'die' }",
        "[[at]]\ntime = '1s'\nrestart = { nodes = 0, forgets = 'name' }",
        "[[at]]\ntime = '1s'\nupdate = { nodes = 0, nam = 'x' }",
        "[[at]]\ntime = '1s'\ndrop = { kind = 'gossip' }",
        "[[at]]\ntime = '1s'\nreplay = { from = 0 }",
        "[[at]]\ntime = '1s'\ninject = { to = 0, from = 1, kind = 'hello' }",
        "[[at]]\ntime = '1s'\ninject = { to = 0, from = 1, kind = 'join', generation = '2' }",
        "[expect]\n'removals.fals' = '== 0'",
    ] {
        let text = format!("{whole}{wrong}");
        assert!(parse("x.toml", &text, &[]).is_err(), "{wrong}");
        assert!(!fits(&schema, &schema, &as_json(&text)), "{wrong}");
    }
    assert!(fits(&schema, &schema, &as_json(whole)));
}

/// Every table of the schema, with a key that the reader takes there put in place of a wrong one.
#[test]
fn every_key_that_the_reader_names_is_in_the_schema() {
    let schema = schema();
    let whole = "name = 'a'\nnodes = 9\nduration = '60s'\n";
    let actions = parse("x", &format!("{whole}[[at]]\ntime = '1s'"), &[]).unwrap_err();
    let (_, actions) = actions.headline().split_once("add one of ").unwrap();
    for action in actions.split(", ") {
        let pointer = format!("/properties/at/items/properties/{action}");
        assert!(schema.pointer(&pointer).is_some(), "{action}");
    }
    let link = parse("x", &format!("{whole}[[link]]\nbetween = [0, 1]"), &[]).unwrap_err();
    let (_, properties) = link.headline().split_once("add one of ").unwrap();
    for property in properties.split(", ") {
        for place in ["network", "link/items"] {
            let pointer = format!("/properties/{place}/properties/{property}");
            assert!(schema.pointer(&pointer).is_some(), "{pointer}");
        }
    }
    for key in rumormill::ConfigBuilder::KEYS {
        let taken = schema.pointer(&format!("/properties/engine/properties/{key}")).is_some();
        let text = format!("{whole}[engine]\n{key} = {{}}");
        let told = parse("x", &text, &[]).unwrap_err().to_string();
        assert_eq!(taken, !told.contains("has no place in a scenario"), "{key}");
    }
}

#[test]
fn a_setting_that_is_one_of_a_few_words_has_them_in_the_schema() {
    let schema = schema();
    let words = [
        ("protocol", vec!["udp", "tcp"]),
        ("liveness", vec!["auto", "beats", "probes", "off"]),
        ("swap", vec!["on", "off"]),
    ];
    for (key, words) in words {
        let setting = schema.pointer(&format!("/properties/engine/properties/{key}")).unwrap();
        assert_eq!(setting["enum"], serde_json::json!(words), "{key}");
    }
}

#[test]
fn the_reference_has_every_setting_of_the_engine_with_its_default() {
    let reference = fs::read_to_string(folder().join("README.md")).unwrap();
    let plain = parse("x", "name = 'a'\nnodes = 9\nduration = '60s'", &[]).unwrap();
    let resolved: toml::Table = plain.resolved().parse().unwrap();
    let engine = resolved["engine"].as_table().unwrap();
    let schema = schema();
    let keys = schema.pointer("/properties/engine/properties").unwrap().as_object().unwrap();
    assert!(keys.len() > 10);
    for key in keys.keys() {
        let default = engine.get(key).map_or("none".to_owned(), |value| format!("`{value}`"));
        let row = format!("| `{key}` | {default} |");
        assert!(reference.contains(&row), "scenarios/README.md has no row {row}");
    }
}
