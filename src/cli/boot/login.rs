//! A hook in the files of the login shell: visord is started by the first login, and found by every other.
//!
//! It is for bash, zsh, fish and plain shells. Where visord runs, the hook finds that out by itself, without a process.
//! Example: a marked block at the top of `~/.profile`, or `~/.config/fish/conf.d/visor.fish`.

use super::machine::Machine;
use super::{Method, Standing, Starts, Way, files, template};
use std::path::{Path, PathBuf};

/// The hook of bash, zsh and sh, a marked block.
const PROFILE: &str = include_str!("../../../packaging/login/profile.sh");

/// The hook of fish, a file of its own.
const FISH: &str = include_str!("../../../packaging/login/visor.fish");

/// Shells that read `~/.profile` and nothing else at login.
const PLAIN: [&str; 6] = ["sh", "dash", "ash", "busybox", "ksh", "mksh"];

/// Files that bash reads at login: the first that is there.
const OF_BASH: [&str; 3] = [".bash_profile", ".bash_login", ".profile"];

/// A hook in the files of the login shell.
pub(super) struct Login;

/// Where the hook of this user goes.
enum Place {
    /// Into a file that is the user's.
    Block(PathBuf),
    /// Into a file that is ours.
    File(PathBuf),
}

impl Way for Login {
    fn method(&self) -> Method {
        Method::Login
    }

    fn title(&self, machine: &Machine) -> String {
        format!("a login hook of {}", shell(machine))
    }

    fn offers(&self, machine: &Machine) -> Result<Starts, String> {
        place(machine).map(|_| Starts::Login)
    }

    fn enable(&self, machine: &Machine, _insist: bool) -> Result<(), String> {
        let place = place(machine)?;
        // The shell may have changed, or a file that bash prefers may have come.
        remove(machine, Some(place.path()))?;
        match &place {
            Place::Block(path) => files::put_block(path, &text(machine, &place)),
            Place::File(path) => files::own(path, &text(machine, &place), None),
        }
    }

    fn disable(&self, machine: &Machine) -> Result<bool, String> {
        remove(machine, None)
    }

    fn standing(&self, machine: &Machine) -> Standing {
        let Ok(place) = place(machine) else { return Standing::Off };
        let path = place.path();
        let (here, expected) = match &place {
            Place::Block(path) => (files::block_in(path), text(machine, &place)),
            Place::File(path) => (files::is_own(path), text(machine, &place)),
        };
        match here {
            Err(why) => Standing::Broken(why),
            Ok(Some(text)) if text == expected => Standing::InForce(Starts::Login),
            Ok(Some(_)) => Standing::Broken(format!(
                "the hook in {} is for another place of visorctl (visorctl boot enable renews it)",
                machine.short(path)
            )),
            Ok(None) => elsewhere(machine, path),
        }
    }
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Place::Block(path) | Place::File(path) => path,
        }
    }
}

fn shell(machine: &Machine) -> String {
    machine.shell.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns which file the login shell reads.
fn place(machine: &Machine) -> Result<Place, String> {
    let home = &machine.home;
    match shell(machine).as_str() {
        "bash" => {
            let found = OF_BASH.iter().map(|name| home.join(name)).find(|path| path.exists());
            // A new .bash_profile would hide a .profile that comes later, so it is that.
            Ok(Place::Block(found.unwrap_or_else(|| home.join(".profile"))))
        }
        "zsh" => Ok(Place::Block(zsh_home(machine).join(".zprofile"))),
        "fish" => Ok(Place::File(fish_file(machine))),
        name if PLAIN.contains(&name) => Ok(Place::Block(home.join(".profile"))),
        name => {
            Err(format!("there is no hook for the login shell {name:?} (bash, zsh, fish and sh have one)"))
        }
    }
}

fn zsh_home(machine: &Machine) -> PathBuf {
    machine.ambient.absolute("ZDOTDIR").unwrap_or_else(|| machine.home.clone())
}

fn fish_file(machine: &Machine) -> PathBuf {
    machine.config_home.join("fish/conf.d/visor.fish")
}

fn text(machine: &Machine, place: &Place) -> String {
    let (template, quote): (&str, fn(&str) -> String) = match place {
        Place::Block(_) => (PROFILE, template::sh),
        Place::File(_) => (FISH, template::fish),
    };
    template::fill(template, Method::Login.name(), &machine.entry, quote)
}

/// Every file that may hold a block.
fn blocks(machine: &Machine) -> Vec<PathBuf> {
    let zsh = [zsh_home(machine), machine.home.clone()].map(|home| home.join(".zprofile"));
    OF_BASH.iter().map(|name| machine.home.join(name)).chain(zsh).collect()
}

/// Takes every hook away but the one in `but`.
fn remove(machine: &Machine, but: Option<&Path>) -> Result<bool, String> {
    let mut removed = false;
    for path in blocks(machine).iter().filter(|path| Some(path.as_path()) != but) {
        removed |= files::take_block(path)?;
    }
    let fish = fish_file(machine);
    if Some(fish.as_path()) != but && files::is_own(&fish).is_ok_and(|text| text.is_some()) {
        removed |= files::remove_own(&fish)?;
    }
    Ok(removed)
}

/// Whether the hook is in a file that the login shell does not read any more.
fn elsewhere(machine: &Machine, read: &Path) -> Standing {
    let holds = |path: &PathBuf| files::block_in(path).is_ok_and(|block| block.is_some());
    let fish = Some(fish_file(machine)).filter(|path| files::is_own(path).is_ok_and(|text| text.is_some()));
    let Some(other) = blocks(machine).into_iter().find(holds).or(fish) else { return Standing::Off };
    let (other, shell, read) = (machine.short(&other), shell(machine), machine.short(read));
    Standing::Broken(format!(
        "the hook is in {other}, and {shell} reads {read} (visorctl boot enable moves it there)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn machine(home: &Path, shell: &str) -> Machine {
        let mut machine =
            Machine { home: home.into(), config_home: home.join(".config"), ..Machine::default() };
        machine.shell = shell.into();
        machine.entry.visorctl = "/b/visorctl".into();
        machine
    }

    #[test]
    fn each_shell_has_its_file() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        for (shell, file) in [
            ("/bin/bash", ".profile"),
            ("/usr/bin/zsh", ".zprofile"),
            ("/usr/bin/fish", ".config/fish/conf.d/visor.fish"),
            ("/bin/dash", ".profile"),
        ] {
            let machine = machine(dir.path(), shell);
            assert_eq!(Login.standing(&machine), Standing::Off, "{shell}");
            assert_eq!((Login.enable(&machine, false), Login.enable(&machine, false)), (Ok(()), Ok(())));
            assert_eq!(Login.standing(&machine), Standing::InForce(Starts::Login), "{shell}");
            assert!(dir.path().join(file).is_file(), "{shell}");
            assert_eq!((Login.disable(&machine), Login.disable(&machine)), (Ok(true), Ok(false)));
            assert!(!dir.path().join(file).exists(), "{shell}");
        }
        let other = machine(dir.path(), "/bin/tcsh");
        assert!(Login.offers(&other).is_err_and(|why| why.contains("tcsh")));
        Ok(())
    }

    #[test]
    fn a_hook_that_nobody_reads_any_more_is_told_and_moved() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let bash = machine(dir.path(), "/bin/bash");
        assert_eq!(Login.enable(&bash, false), Ok(()));
        fs::write(dir.path().join(".bash_profile"), "PATH=~/bin:$PATH\n")?;
        let standing = Login.standing(&bash);
        assert!(
            matches!(&standing, Standing::Broken(why) if why.contains("~/.profile, and bash reads ~/.bash_profile")),
            "{standing:?}"
        );
        assert_eq!(Login.enable(&bash, false), Ok(()));
        assert!(!dir.path().join(".profile").exists());
        assert_eq!(Login.standing(&bash), Standing::InForce(Starts::Login));
        let fish = machine(dir.path(), "/usr/bin/fish");
        assert!(matches!(Login.standing(&fish), Standing::Broken(_)), "the shell was changed");
        assert_eq!(Login.disable(&fish), Ok(true));
        assert_eq!(fs::read_to_string(dir.path().join(".bash_profile"))?, "PATH=~/bin:$PATH\n");
        Ok(())
    }

    #[test]
    fn the_hooks_are_the_packaged_ones_with_our_command() {
        let machine = machine(Path::new("/home/me"), "/bin/sh");
        for place in [Place::Block("/x".into()), Place::File("/y".into())] {
            let text = text(&machine, &place);
            assert!(text.contains("/b/visorctl boot run --method login --await </dev/null"), "{text}");
            assert!(text.contains("-x /b/visorctl") && !text.contains("/usr/bin/visorctl"), "{text}");
        }
    }
}
