//! Compares two JSON values and says where they differ.

use serde_json::Value;

/// A difference that is meant.
pub(crate) struct Deviation {
    /// End of the name of the file.
    pub(crate) file: &'static str,
    /// Why it is meant.
    pub(crate) reason: &'static str,
}

/// Returns where two dumps differ; of two refusals only that both refuse is compared, because the texts are
/// each side's own.
pub(crate) fn difference(upstream: &Value, ours: &Value) -> Option<String> {
    if upstream["ok"] != ours["ok"] {
        let why = |side: &Value| side["stderr"].as_str().unwrap_or("accepted").to_owned();
        return Some(format!("upstream: {}; ours: {}", why(upstream), why(ours)));
    }
    if upstream["ok"] == Value::Bool(false) {
        return None;
    }
    at("", upstream, ours)
}

fn at(path: &str, upstream: &Value, ours: &Value) -> Option<String> {
    match (upstream, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            let null = &Value::Null;
            keys.into_iter().find_map(|key| match (a.get(key), b.get(key)) {
                (Some(x), Some(y)) => at(&format!("{path}.{key}"), x, y),
                (x, y) => {
                    Some(format!("{path}.{key}: {} instead of {}", y.unwrap_or(null), x.unwrap_or(null)))
                }
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.into_iter().find_map(|(index, (x, y))| at(&format!("{path}[{index}]"), x, y))
        }
        _ if upstream == ours => None,
        _ => Some(format!("{path}: {ours} instead of {upstream}")),
    }
}

/// Compares the two sides file by file, and panics with all differences that are not meant, and with meant ones
/// that do not exist any more.
pub(crate) fn assert_same(upstream: &[Value], ours: &[Value], deviations: &[Deviation]) {
    assert_eq!(upstream.len(), ours.len(), "both sides answer for every file");
    let mut wrong = Vec::new();
    let mut met = vec![false; deviations.len()];
    for (upstream, ours) in upstream.iter().zip(ours) {
        let file = upstream["config"].as_str().unwrap_or_default();
        let Some(difference) = difference(upstream, ours) else { continue };
        match deviations.iter().position(|deviation| file.ends_with(deviation.file)) {
            Some(index) => met[index] = true,
            None => wrong.push(format!("{file}: {difference}")),
        }
    }
    let gone = deviations.iter().zip(&met).filter(|(_, met)| !**met);
    wrong.extend(
        gone.map(|(deviation, _)| {
            format!("no deviation any more: {} ({})", deviation.file, deviation.reason)
        }),
    );
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), upstream.len(), wrong.join("\n"));
}

#[test]
fn a_difference_is_found_and_named() {
    let upstream = serde_json::json!({ "ok": true, "a": [{ "b": 1 }] });
    let ours = serde_json::json!({ "ok": true, "a": [{ "b": 2 }] });
    assert_eq!(difference(&upstream, &ours).as_deref(), Some(".a[0].b: 2 instead of 1"));
    assert_eq!(difference(&upstream, &upstream), None);
    assert!(difference(&upstream, &serde_json::json!({ "ok": false })).is_some());
}
