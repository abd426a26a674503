//! The environment of a program as the API shows it, and which variables are secrets.
//!
//! What a secret is, its name tells: `DB_PASSWORD`, `API_TOKEN`, `SIGNING_KEY`; and a URL with a password in it is one
//! under any name. Secrets leave the daemon only where they are asked for.

use serde::{Deserialize, Serialize};

/// What a name contains that is a secret's.
const SECRET_WORDS: [&str; 10] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "CREDENTIAL",
    "PRIVATE",
    "COOKIE",
    "APIKEY",
    "OAUTH",
];

/// What a part between underscores is, or ends with, where the name is a secret's.
const SECRET_PARTS: [&str; 8] = ["KEY", "KEYS", "PASS", "PWD", "AUTH", "DSN", "SALT", "SIGNATURE"];

/// Names that look like a secret's and are everyday paths.
const NO_SECRETS: [&str; 3] = ["PWD", "OLDPWD", "SSH_AUTH_SOCK"];

/// Whether a variable must not be shown to whoever looks over a shoulder.
#[must_use]
pub fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_uppercase();
    let by_name = || {
        SECRET_WORDS.iter().any(|word| name.contains(word))
            || name.split('_').any(|part| SECRET_PARTS.iter().any(|end| part.ends_with(end)))
    };
    !NO_SECRETS.contains(&name.as_str()) && (by_name() || has_password(value))
}

/// Whether a value is a URL of the form `scheme://user:password@host`.
fn has_password(value: &str) -> bool {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once("://") {
        let authority = &after[..after.find(['/', '?', '#']).unwrap_or(after.len())];
        if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':') && !user.ends_with(':')) {
            return true;
        }
        rest = after;
    }
    false
}

/// Where a variable comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// What visord was started with.
    Daemon,
    /// A login of the user.
    Login,
    /// visord says it to every program.
    Supervisor,
    /// `environment=` of `[supervisord]`.
    Shared,
    /// A file of `env_file=`.
    File,
    /// `environment=` of the program.
    Program,
    /// Nothing gives it any more, or a kind that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// What the next start does with a variable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// It gets another value.
    Changed,
    /// It is gone.
    Gone,
    /// It comes: the program runs without it.
    New,
    /// It stays as it is, or something that this version does not know.
    #[default]
    #[serde(other)]
    Same,
}

/// A variable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EnvironmentVariable {
    /// Its name.
    pub name: String,
    /// Its value; nothing where it is a secret that was not asked for.
    pub value: Option<String>,
    /// Whether it is a secret.
    pub secret: bool,
    /// Where it comes from, by the next start.
    pub origin: Origin,
    /// The file that it comes from.
    pub file: Option<String>,
    /// What the next start does with it.
    pub next: Next,
}

/// The answer to `GET /v1/env`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Whose it is.
    pub namespec: String,
    /// The process that runs with it; 0 where it is what the next start would give.
    pub pid: i32,
    /// The variables by name.
    pub variables: Vec<EnvironmentVariable>,
    /// Why the next start would fail: a file that cannot be read.
    pub problem: String,
}

/// What `POST /v1/login-env` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoginRequest {
    /// Only tell what would change.
    pub dry_run: bool,
}

/// The answer to `POST /v1/login-env`: how a login of now differs from the one that programs begin with. No values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoginDrift {
    /// Variables that the earlier login did not have.
    pub added: Vec<String>,
    /// Variables with other values.
    pub changed: Vec<String>,
    /// Variables that are gone.
    pub removed: Vec<String>,
    /// Whether the new one is in force from the next start on.
    pub applied: bool,
    /// Processes that begin with a login's variables.
    pub users: Vec<String>,
    /// Those of them that run, with what an earlier start gave them.
    pub running: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_name_or_by_a_password_in_a_url() {
        for (name, value) in [
            ("DB_PASSWORD", ""),
            ("db_password", ""),
            ("GITHUB_TOKEN", ""),
            ("AWS_SECRET_ACCESS_KEY", ""),
            ("STRIPE_KEY", ""),
            ("APIKEY", ""),
            ("SSHKEY_FILE", ""),
            ("PGPASSFILE_PASS", ""),
            ("MYSQL_PWD", ""),
            ("SENTRY_DSN", ""),
            ("HTTP_AUTH", ""),
            ("DATABASE_URL", "postgres://me:secret@db/x"),
            ("BROKERS", "amqp://a,amqp://me:secret@b"),
        ] {
            assert!(is_secret(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("PATH", "/usr/bin"),
            ("PWD", "/home"),
            ("OLDPWD", "/home"),
            ("SSH_AUTH_SOCK", "/tmp/x"),
            ("KEYBOARD_LAYOUT", "de"),
            ("AUTHOR", "me"),
            ("URL", "http://host:80/a:b@c"),
            ("URL", "http://me@host"),
            ("PASSENGER_COUNT", "3"),
        ] {
            assert!(!is_secret(name, value), "{name}={value}");
        }
    }

    #[test]
    fn what_a_later_daemon_says_is_understood() {
        let text = r#"{"name":"A","origin":"moon","next":"maybe","else":1}"#;
        let read: EnvironmentVariable = serde_json::from_str(text).expect("a variable");
        assert_eq!((read.origin, read.next, read.value), (Origin::Unknown, Next::Same, None));
    }
}
