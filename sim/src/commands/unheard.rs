//! A warning of settings that stand in a scenario and that its protocol is not handed.

use crate::protocols::HANDED;
use crate::scenario::Scenario;

/// A line that says what is not heard of, and where such settings stand; none where all is.
pub fn warning(scenario: &Scenario) -> Option<String> {
    let unheard: Vec<&str> = scenario.unheard().collect();
    let (name, protocol) = (scenario.name(), scenario.protocol().name);
    let (unheard, handed) = (quoted(&unheard)?, quoted(&HANDED)?);
    Some(format!(
        "warning: {name}: `{protocol}` never hears of {unheard} in [engine]: of that table it is \
         handed {handed} alone; what it takes beside them stands in [protocol]\n"
    ))
}

/// Names in quotes, if there are any.
fn quoted(names: &[&str]) -> Option<String> {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    fn told(text: &str) -> Option<String> {
        let head = "name = 'a'\nnodes = 9\nduration = '9s'\n";
        warning(&scenario::parse("a.toml", &format!("{head}{text}"), &[]).unwrap())
    }

    #[test]
    fn what_a_protocol_never_hears_of_is_told_wherever_it_stands() {
        let engine = "[engine]\nfan_out = 4\nswap = 'off'\n\
                      [groups.a]\nnodes = 1\nengine = { cycle = '2s', redial = '9s' }\n";
        assert_eq!(told(engine), None, "our own engine hears of all");
        let want = "warning: a: `pekonode` never hears of `redial`, `swap` in [engine]: of that \
                    table it is handed `fan_out`, `cycle`, `timeout` alone; what it takes beside \
                    them stands in [protocol]\n";
        let other = "[protocol]\nname = 'pekonode'\nswap = 'off'\n";
        assert_eq!(told(&format!("{other}{engine}")).as_deref(), Some(want));
        assert_eq!(told(&format!("{other}[engine]\ncycle = '2s'\n")), None);
    }
}
