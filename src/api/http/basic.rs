//! Basic authentication: who a request says it is from, and whether that is right (RFC 7617).
//!
//! Example: a client sends `header("user", "123")` as its `Authorization`; the server reads it with [`credentials`]
//! and asks [`Login::admits`].

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_PAD_INDIFFERENT};
use sha1_smol::Sha1;
use std::fmt;

/// What stands in front of a password that is written as the hexadecimal SHA-1 of itself.
const SHA_MARK: &str = "{SHA}";

/// The name and the password that a server wants.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    username: String,
    /// Plain, or [`SHA_MARK`] and 40 lower-case digits.
    password: String,
}

impl fmt::Debug for Login {
    /// Leaves out the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.username)
    }
}

impl Login {
    /// Returns what is wanted, or nothing where there is no name: supervisord asks nobody then.
    #[must_use]
    pub fn new(username: Option<&str>, password: Option<&str>) -> Option<Login> {
        let username = username.filter(|name| !name.is_empty())?.to_owned();
        Some(Login { username, password: password.unwrap_or_default().to_owned() })
    }

    /// Whether these are the name and the password. How long it takes tells nothing of how much of them is right.
    #[must_use]
    pub fn admits(&self, username: &str, password: &str) -> bool {
        let given = match self.password.starts_with(SHA_MARK) {
            true => format!("{SHA_MARK}{}", Sha1::from(password).digest()),
            false => password.to_owned(),
        };
        let name_differs = difference(&self.username, username);
        (name_differs | difference(&self.password, &given)) == 0
    }
}

/// Compares digests, which are of one length whatever the texts are.
fn difference(a: &str, b: &str) -> u8 {
    let (a, b) = (Sha1::from(a).digest().bytes(), Sha1::from(b).digest().bytes());
    a.iter().zip(&b).fold(0, |sum, (a, b)| sum | (a ^ b))
}

/// Returns what a client sends as `Authorization`.
#[must_use]
pub fn header(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// Why an `Authorization` names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCredentials {
    /// It is of another kind, or has no colon in it.
    None,
    /// It is not base64.
    Garbled,
}

/// Returns the name and the password in an `Authorization`.
///
/// # Errors
/// As [`NoCredentials`].
pub fn credentials(authorization: &str) -> Result<(String, String), NoCredentials> {
    let (kind, coded) = authorization.trim().split_once(' ').ok_or(NoCredentials::None)?;
    if !kind.eq_ignore_ascii_case("basic") {
        return Err(NoCredentials::None);
    }
    let bytes = STANDARD_PAD_INDIFFERENT.decode(coded.trim()).map_err(|_| NoCredentials::Garbled)?;
    let text = String::from_utf8(bytes).map_err(|_| NoCredentials::Garbled)?;
    let (username, password) = text.split_once(':').ok_or(NoCredentials::None)?;
    Ok((username.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_is_what_a_server_reads() {
        for (username, password) in [("user", "123"), ("", ""), ("ä", "a:b:c"), ("u", "")] {
            assert_eq!(credentials(&header(username, password)), Ok((username.into(), password.into())));
        }
        assert_eq!(header("", ""), "Basic Og==");
    }

    #[test]
    fn what_names_nobody_is_told_apart() {
        for (text, why) in [
            ("", NoCredentials::None),
            ("Basic", NoCredentials::None),
            ("Digest Og==", NoCredentials::None),
            ("Basic !!", NoCredentials::Garbled),
            ("Basic /w==", NoCredentials::Garbled),
            ("Basic YQ==", NoCredentials::None),
        ] {
            assert_eq!(credentials(text), Err(why), "{text}");
        }
        assert_eq!(credentials("basic  Og"), Ok((String::new(), String::new())));
    }

    #[test]
    fn a_password_is_plain_or_a_digest() {
        let plain = Login::new(Some("user"), Some("123")).expect("a name");
        // SHA-1 of 123.
        let digest =
            Login::new(Some("user"), Some("{SHA}40bd001563085fc35165329ea1ff5c5ecbdbbeef")).expect("a name");
        for login in [&plain, &digest] {
            assert!(login.admits("user", "123"));
            for (username, password) in
                [("user", "124"), ("root", "123"), ("user", ""), ("", "123"), ("User", "123")]
            {
                assert!(!login.admits(username, password), "{login:?} {username} {password}");
            }
        }
        assert!(!digest.admits("user", "{SHA}40bd001563085fc35165329ea1ff5c5ecbdbbeef"));
        let upper =
            Login::new(Some("user"), Some("{SHA}40BD001563085FC35165329EA1FF5C5ECBDBBEEF")).expect("a name");
        assert!(!upper.admits("user", "123"), "the digits are compared as they are written");
        assert_eq!(format!("{plain:?}"), "Login(user)");
    }

    #[test]
    fn without_a_name_nobody_is_asked() {
        assert_eq!(Login::new(None, None), None);
        assert_eq!(Login::new(Some(""), Some("123")), None);
    }
}
