//! The real files once more, with the users, directories and variables that they name: what supervisord read out
//! of them on such a machine was recorded, and is compared key by key.

use crate::imagined::Agreeable;
use crate::oracle::Interop;
use serde_json::{Value, json};
use std::path::Path;
use visor::config::dump::dump;
use visor::config::{LoadRequest, load};

/// What every faked variable is set to.
const FAKED: &str = "1";

/// Translates a recorded value into the dump's words.
fn translated(key: &str, value: &Value) -> Value {
    match (key, value) {
        ("autorestart", Value::Bool(false)) => json!("false"),
        ("autorestart", Value::String(word)) if word == "RestartUnconditionally" => json!("true"),
        ("autorestart", _) => json!("unexpected"),
        ("stdout_logfile" | "stderr_logfile", Value::String(word)) if word == "Automatic" => json!("AUTO"),
        ("umask", Value::Number(mask)) => json!(format!("{:o}", mask.as_u64().unwrap_or_default())),
        ("pool_events", Value::Array(classes)) => {
            let mut names: Vec<String> = classes.iter().map(event_of).collect();
            names.sort();
            json!(names)
        }
        ("result_handler", Value::String(function)) => json!(format!("supervisor.dispatchers:{function}")),
        _ => value.clone(),
    }
}

/// Returns the name of the event whose Python class was recorded: `Tick60Event` is `TICK_60`.
fn event_of(class: &Value) -> String {
    let mut name = String::new();
    let mut after_digit = false;
    for c in class.as_str().unwrap_or_default().trim_end_matches("Event").chars() {
        let begins = c.is_ascii_uppercase() || (c.is_ascii_digit() && !after_digit);
        if begins && !name.is_empty() {
            name.push('_');
        }
        after_digit = c.is_ascii_digit();
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// Returns what differs between a recorded object and ours, for the keys that were recorded.
fn differences(what: &str, recorded: &Value, ours: &Value, here: &str, out: &mut Vec<String>) {
    let Value::Object(fields) = recorded else { return out.push(format!("{what}: not recorded")) };
    for (key, value) in fields {
        let name = match key.as_str() {
            "group" => "name",
            "kind" => "class",
            "pool_events" => "events",
            other => other,
        };
        // Numbers of users are the recording machine's: only whether there is one says something.
        if name == "uid" && value.is_null() == ours[name].is_null() {
            continue;
        }
        if name == "processes" || (name == "environment" && value.is_null()) {
            continue;
        }
        let ours = if name == "socket" { &ours["socket"]["url"] } else { &ours[name] };
        let shown = ours.to_string().replace(here, "<HERE>");
        let wanted = translated(key, value).to_string();
        if wanted != shown {
            out.push(format!("{what} {name}: {shown} instead of {value}"));
        }
    }
}

fn compare(recorded: &Value, shared: &Path, out: &mut Vec<String>) {
    let name = recorded["file"].as_str().unwrap_or_default();
    let file = shared.join("corpus").join(name);
    let directory = file.parent().expect("a directory").to_path_buf();
    let included = recorded["mode"].as_str().is_some_and(|mode| mode.starts_with("included"));
    let wrapper = directory.join("visor-wrapper.conf");
    let text = format!(
        "[supervisord]\nlogfile=/dev/null\npidfile=/tmp/x.pid\n[include]\nfiles={}\n",
        file.display()
    );
    let faked = recorded["faked_env"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut variables: Vec<(String, String)> =
        faked.map(|name| (name.to_owned(), FAKED.to_owned())).collect();
    variables.push(("HOME".to_owned(), "/root".to_owned()));
    let here = directory.display().to_string();
    let host = Agreeable { directory, extra: (wrapper.clone(), text), variables };
    let main = if included { wrapper } else { file };
    let loaded = load(&LoadRequest::of(&main), &host);
    if loaded.settings.is_none() {
        let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
        return out.push(format!("{name}: refused: {errors:?}"));
    }
    let ours = dump(&loaded, &main);
    differences(&format!("{name} [supervisord]"), &recorded["sup"], &ours["supervisord"], &here, out);
    let groups = recorded["groups"].as_array().expect("groups");
    let (Some(our_groups), true) = (ours["groups"].as_array(), !groups.is_empty()) else { return };
    if groups.len() != our_groups.len() {
        return out.push(format!("{name}: {} groups instead of {}", our_groups.len(), groups.len()));
    }
    for (group, our_group) in groups.iter().zip(our_groups) {
        let what = format!("{name} {}", our_group["name"]);
        differences(&what, group, our_group, &here, out);
        let processes = group["processes"].as_array().expect("processes");
        let our_processes = our_group["processes"].as_array().expect("processes");
        if processes.len() != our_processes.len() {
            out.push(format!("{what}: {} processes instead of {}", our_processes.len(), processes.len()));
        }
        for (process, our_process) in processes.iter().zip(our_processes) {
            differences(&format!("{what} {}", our_process["name"]), process, our_process, &here, out);
        }
    }
}

#[test]
fn every_file_reads_as_recorded_where_its_users_and_directories_exist() {
    let Some(interop) = Interop::find() else { return };
    let lines =
        std::fs::read_to_string(interop.shared.join("corpus/supervisor-parsed.jsonl")).expect("the records");
    let mut wrong = Vec::new();
    let mut compared = 0;
    for line in lines.lines() {
        compare(&serde_json::from_str(line).expect("a record"), &interop.shared, &mut wrong);
        compared += 1;
    }
    assert!(compared > 200, "{compared} records");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
