//! The traps that somebody may lay, and the odd but honest ways in which people place their logs.
//!
//! Traps need a second user, so they are laid only where the tests run as root; everything else always runs.

use super::*;
use nix::unistd::{Uid, mkfifo};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

type Test = Result<(), Box<dyn std::error::Error>>;

/// A user who is neither root nor whoever runs the tests.
const STRANGER: u32 = 54_321;

struct Place {
    dir: tempfile::TempDir,
    /// Everybody may write there, as in /tmp.
    public: PathBuf,
    /// Nobody but us.
    private: PathBuf,
    /// A file that must not be touched.
    treasure: PathBuf,
}

fn place() -> std::io::Result<Place> {
    let dir = tempfile::tempdir()?;
    let [public, private, treasure] = ["public", "private", "treasure"].map(|name| dir.path().join(name));
    fs::create_dir(&public)?;
    fs::set_permissions(&public, Permissions::from_mode(0o1777))?;
    fs::create_dir(&private)?;
    fs::set_permissions(&private, Permissions::from_mode(0o755))?;
    fs::write(&treasure, "treasure")?;
    Ok(Place { dir, public, private, treasure })
}

/// Makes `path` somebody else's; false where we may not.
fn give_away(path: &Path) -> bool {
    let uid = Uid::from_raw(STRANGER);
    let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
    geteuid().is_root() && nix::unistd::fchownat(nix::fcntl::AT_FDCWD, path, Some(uid), None, flags).is_ok()
}

fn refused(path: &Path) -> Option<Errno> {
    log_file(path, Creation::Masked).err().map(|error| error.errno)
}

fn write(path: &Path) -> Test {
    log_file(path, Creation::Masked)?.write_all(b"log")?;
    Ok(())
}

#[test]
fn a_link_that_a_stranger_planted_is_not_followed() -> Test {
    let place = place()?;
    let link = place.public.join("web.log");
    symlink(&place.treasure, &link)?;
    write(&link)?;
    assert_eq!(fs::read_to_string(&place.treasure)?, "logasure", "our own link is followed");
    if give_away(&link) {
        let error = log_file(&link, Creation::Masked).err().ok_or("opened")?;
        assert_eq!(error.errno, Errno::ELOOP);
        assert!(error.why.contains("web.log") && error.why.contains("54321"), "{error}");
        let dir = place.public.join("dir");
        symlink(place.dir.path(), &dir)?;
        assert!(give_away(&dir));
        assert_eq!(refused(&dir.join("treasure")), Some(Errno::ELOOP), "nor as a directory");
        assert_eq!(fs::read_to_string(&place.treasure)?, "logasure");
    }
    Ok(())
}

#[test]
fn a_link_in_a_directory_of_ours_is_followed_whoever_made_it() -> Test {
    let place = place()?;
    let link = place.private.join("web.log");
    symlink("../public/real.log", &link)?;
    give_away(&link);
    write(&link)?;
    assert_eq!(fs::read_to_string(place.public.join("real.log"))?, "log");
    Ok(())
}

#[test]
fn a_directory_of_a_strangers_is_open_to_its_owner() -> Test {
    let place = place()?;
    let link = place.private.join("web.log");
    symlink(&place.treasure, &link)?;
    if give_away(&place.private) && give_away(&link) {
        assert_eq!(refused(&link), Some(Errno::ELOOP));
        fs::remove_file(&link)?;
        write(&link)?;
    }
    Ok(())
}

#[test]
fn links_lead_where_the_kernel_would_lead_them() -> Test {
    let place = place()?;
    let root = place.dir.path();
    fs::create_dir_all(root.join("a/b"))?;
    symlink("b", root.join("a/relative"))?;
    symlink(root.join("a"), root.join("absolute"))?;
    symlink("absolute/relative/../up.log", root.join("chain"))?;
    write(&root.join("absolute/./relative/x.log"))?;
    assert!(root.join("a/b/x.log").is_file());
    write(&root.join("chain"))?;
    assert!(root.join("a/up.log").is_file());
    symlink("loop", root.join("loop"))?;
    assert_eq!(refused(&root.join("loop")), Some(Errno::ELOOP));
    assert_eq!(refused(&root.join("treasure/x")), Some(Errno::ENOTDIR));
    assert_eq!(refused(&root.join("missing/x")), Some(Errno::ENOENT));
    assert_eq!(refused(&root.join("a/..")), Some(Errno::EISDIR));
    assert_eq!(refused(&root.join("a")), Some(Errno::EISDIR));
    assert_eq!(refused(Path::new("/")), Some(Errno::EISDIR));
    Ok(())
}

#[test]
fn the_number_of_links_is_limited() -> Test {
    let place = place()?;
    let link = |number: usize| place.private.join(format!("l{number}"));
    symlink("end", link(0))?;
    (1..=LINKS_MAX).try_for_each(|number| symlink(format!("l{}", number - 1), link(number)))?;
    write(&link(LINKS_MAX - 1))?;
    assert_eq!(refused(&link(LINKS_MAX)), Some(Errno::ELOOP));
    Ok(())
}

#[test]
fn a_named_pipe_is_refused_at_once() -> Test {
    let place = place()?;
    let path = place.private.join("fifo");
    mkfifo(&path, Mode::S_IRWXU)?;
    let error = log_file(&path, Creation::Masked).err().ok_or("opened")?;
    assert!(error.why.contains("named pipe"), "{error}");
    symlink("fifo", place.private.join("link"))?;
    assert_eq!(refused(&place.private.join("link")), Some(Errno::ENXIO));
    Ok(())
}

#[test]
fn a_hard_link_is_refused_where_others_can_write() -> Test {
    let place = place()?;
    for (dir, want) in [(&place.public, Some(Errno::EMLINK)), (&place.private, None)] {
        fs::hard_link(&place.treasure, dir.join("web.log"))?;
        assert_eq!(refused(&dir.join("web.log")), want, "{}", dir.display());
        fs::remove_file(dir.join("web.log"))?;
    }
    assert_eq!(fs::read_to_string(&place.treasure)?, "treasure");
    Ok(())
}

#[test]
fn a_file_that_a_stranger_put_there_first_is_refused() -> Test {
    let place = place()?;
    for (dir, want) in [(&place.public, Some(Errno::EACCES)), (&place.private, None)] {
        let path = dir.join("web.log");
        fs::write(&path, "")?;
        if give_away(&path) {
            assert_eq!(refused(&path), want, "{}", dir.display());
        }
    }
    Ok(())
}

#[test]
fn devices_of_the_system_are_fine_and_sockets_are_not() -> Test {
    write(Path::new("/dev/null"))?;
    let place = place()?;
    let path = place.private.join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&path)?;
    assert_eq!(refused(&path), Some(Errno::ENXIO), "open(2) says so itself");
    Ok(())
}

#[test]
fn a_private_file_is_private_whatever_the_mask() -> Test {
    let place = place()?;
    let mode = |path: &Path| fs::metadata(path).map(|found| found.mode() & 0o777);
    let path = place.private.join("private.log");
    log_file(&path, Creation::Private)?;
    assert_eq!(mode(&path)?, 0o600);
    let other = place.private.join("masked.log");
    log_file(&other, Creation::Masked)?;
    fs::write(place.private.join("usual"), "")?;
    assert_eq!(mode(&other)?, mode(&place.private.join("usual"))?, "as any program makes files");
    Ok(())
}

#[test]
fn an_exclusive_file_is_never_somebody_elses() -> Test {
    let place = place()?;
    let spot = locate(&place.public.join("auto.log"))?;
    exclusive(&spot)?;
    assert_eq!(exclusive(&spot).err().map(|error| error.errno), Some(Errno::EEXIST));
    symlink(&place.treasure, place.public.join("trap"))?;
    let trap = Spot { dir: spot.dir, name: "trap".into() };
    assert_eq!(exclusive(&trap).err().map(|error| error.errno), Some(Errno::EEXIST));
    Ok(())
}

#[test]
fn a_log_that_we_may_only_write_is_opened_too() -> Test {
    let place = place()?;
    let path = place.private.join("web.log");
    fs::write(&path, "")?;
    fs::set_permissions(&path, Permissions::from_mode(0o200))?;
    write(&path)?;
    assert_eq!(fs::metadata(&path)?.len(), 3);
    Ok(())
}
