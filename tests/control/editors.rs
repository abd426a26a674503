//! Every way to save a file takes effect exactly once, and never as half a file.
//!
//! What editors do is done call by call where they are not at hand: their traces are quoted at each step.

use super::account::Account;
use crate::common::need;
use crate::common::proc;
use crate::common::wait::{self, LONG};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long is watched for a second restart, beyond any pause of the daemon's own.
const AFTERWARDS: Duration = Duration::from_millis(900);

/// How long a slow writer leaves a file half written: longer than the daemon waits for quiet.
const HALFWAY: Duration = Duration::from_millis(800);

/// What a save is to leave: half of it is a valid file too, with another command.
fn text(seconds: u32) -> String {
    format!(
        "[program:web]\nstartsecs=0\ncommand=sleep {seconds}\n[program:db]\nstartsecs=0\ncommand=sleep 77\n"
    )
}

struct Scene {
    account: Account,
    file: PathBuf,
    seconds: u32,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let account = Account::watched(name);
        account.file("web", &text(1000));
        account.start();
        account.running("web");
        let file = account.sandbox.path(".config/visor/conf.d/web.conf");
        let scene = Scene { account, file, seconds: 1000 };
        scene.wait_watched();
        scene
    }

    /// Waits until the files are watched: a further program comes by itself.
    fn wait_watched(&self) {
        self.account.program("probe", "command=sleep 5\nautostart=false");
        wait::until(LONG, "the watch", || {
            self.account.told(&["status", "probe"]).1.contains("STOPPED").then_some(())
        });
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.file.with_file_name(name)
    }

    fn count(&self, text: &str) -> usize {
        self.account.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Saves in some way, and expects one restart of `web`, none of `db`, and no half file.
    fn saves(&mut self, how: &str, save: impl FnOnce(&Scene, &str)) {
        self.seconds += 1;
        let (spawns, db, bad) =
            (self.count("spawned: 'web'"), self.account.pid("db"), self.count("cannot be used"));
        save(self, &text(self.seconds));
        let wanted = self.seconds.to_string();
        wait::until(LONG, &format!("{how} to take effect"), || {
            let pid = self.account.told(&["pid", "web"]).1.trim().parse().ok()?;
            (proc::command_line(pid) == ["sleep", &wanted]).then_some(())
        });
        wait::throughout(AFTERWARDS, || {
            let now = self.count("spawned: 'web'");
            (now != spawns + 1).then(|| format!("{how}: {} restarts", now - spawns))
        });
        assert_eq!(self.account.pid("db"), db, "{how}: db was touched");
        assert_eq!(self.count("cannot be used"), bad, "{how}: half a file was read");
    }

    /// Runs a command of the user in the directory of the files.
    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = self.account.sandbox.command(program);
        let directory = self.file.parent().unwrap_or(Path::new("/"));
        let done = command.args(arguments).current_dir(directory).output().expect("a tool of the machine");
        assert!(done.status.success(), "{program} {arguments:?}: {done:?}");
    }

    fn write(&self, path: &Path, text: &str) {
        fs::write(path, text).expect("our own file");
        self.account.sandbox.own(path);
    }
}

#[test]
fn saves_that_replace_the_file() {
    let mut scene = Scene::new("replace");
    // vim, backupcopy=no: openat(".web.conf.swp"), openat("4913") and unlink, rename(web.conf, web.conf~),
    // openat(web.conf, O_CREAT), write, fsync, unlink(web.conf~), unlink(".web.conf.swp").
    scene.saves("vim", |scene, text| {
        scene.write(&scene.beside(".web.conf.swp"), "b0VIM");
        scene.write(&scene.beside("4913"), "");
        fs::remove_file(scene.beside("4913")).expect("our own file");
        fs::rename(&scene.file, scene.beside("web.conf~")).expect("our own file");
        scene.write(&scene.file, text);
        File::open(&scene.file).and_then(|file| file.sync_all()).expect("our own file");
        fs::remove_file(scene.beside("web.conf~")).expect("our own file");
        fs::remove_file(scene.beside(".web.conf.swp")).expect("our own file");
    });
    // emacs: symlink(".#web.conf"), "#web.conf#", rename(web.conf, web.conf~), openat(O_CREAT|O_EXCL), write, fsync.
    scene.saves("emacs", |scene, text| {
        symlink("me@host.1", scene.beside(".#web.conf")).expect("a link");
        scene.write(&scene.beside("#web.conf#"), "[program:half");
        fs::rename(&scene.file, scene.beside("web.conf~")).expect("our own file");
        scene.write(&scene.file, text);
        fs::remove_file(scene.beside("#web.conf#")).expect("our own file");
        fs::remove_file(scene.beside(".#web.conf")).expect("a link");
    });
    scene.saves("a file that is renamed into its place", |scene, text| {
        scene.write(&scene.beside("web.conf.new"), text);
        fs::rename(scene.beside("web.conf.new"), &scene.file).expect("our own file");
    });
    let seconds = scene.seconds;
    scene.saves("sed -i", |scene, _| {
        let script = format!("s/sleep {seconds}/sleep {}/", seconds + 1);
        scene.run("sed", &["-i", &script, "web.conf"]);
    });
    scene.account.shutdown();
}

#[test]
fn saves_that_write_into_the_file() {
    let mut scene = Scene::new("in-place");
    // VS Code and nano: openat(web.conf, O_WRONLY|O_CREAT|O_TRUNC), write, close.
    scene.saves("truncate and write", |scene, text| scene.write(&scene.file, text));
    // vim, backupcopy=yes: web.conf~ is a copy, then as above.
    scene.saves("vim with backupcopy=yes", |scene, text| {
        fs::copy(&scene.file, scene.beside("web.conf~")).expect("our own file");
        scene.write(&scene.file, text);
        fs::remove_file(scene.beside("web.conf~")).expect("our own file");
    });
    scene.saves("cp", |scene, text| {
        scene.write(&scene.account.sandbox.path("new.conf"), text);
        scene.run("cp", &[&scene.account.sandbox.text("new.conf"), "web.conf"]);
    });
    scene.saves("a slow writer", |scene, text| {
        let mut file = File::create(&scene.file).expect("our own file");
        let (half, rest) = text.split_at(text.find("\n[program:db").unwrap_or(0) - 2);
        file.write_all(half.as_bytes()).expect("written");
        file.sync_all().expect("written");
        wait::pass(HALFWAY);
        file.write_all(rest.as_bytes()).expect("written");
    });
    scene.account.shutdown();
}

#[test]
fn files_and_directories_that_are_links() {
    let mut scene = Scene::new("links");
    // As stow and home-manager make it: the file is a link into a tree that is replaced by re-pointing a link.
    for generation in ["one", "two"] {
        scene.account.sandbox.mkdir(generation);
    }
    scene.saves("a link in the place of the file", |scene, text| {
        let target = scene.account.sandbox.path("one/web.conf");
        scene.write(&target, text);
        symlink(&target, scene.beside("link")).expect("a link");
        fs::rename(scene.beside("link"), &scene.file).expect("our own file");
    });
    scene.saves("a write into the target of a link", |scene, text| {
        scene.write(&scene.account.sandbox.path("one/web.conf"), text);
    });
    scene.saves("ln -sfn", |scene, text| {
        scene.write(&scene.account.sandbox.path("two/web.conf"), text);
        scene.run("ln", &["-sfn", &scene.account.sandbox.text("two/web.conf"), "web.conf"]);
    });
    // conf.d itself becomes a link, and is then re-pointed.
    let conf_d = scene.account.sandbox.path(".config/visor/conf.d");
    let point = |scene: &Scene, generation: &str, text: &str| {
        scene.write(&scene.account.sandbox.path(&format!("{generation}/web.conf")), text);
        scene.write(
            &scene.account.sandbox.path(&format!("{generation}/probe.conf")),
            "[program:probe]\ncommand=sleep 5\nautostart=false\n",
        );
        let link = scene.account.sandbox.path(".config/visor/new");
        symlink(scene.account.sandbox.path(generation), &link).expect("a link");
        if !conf_d.is_symlink() {
            fs::rename(&conf_d, scene.account.sandbox.path("old")).expect("our own directory");
        }
        fs::rename(&link, &conf_d).expect("a link");
    };
    scene.saves("a link in the place of conf.d", |scene, text| point(scene, "one", text));
    scene.saves("a link that leads elsewhere", |scene, text| point(scene, "two", text));
    scene.saves("a write behind two links", |scene, text| {
        scene.write(&scene.account.sandbox.path("two/web.conf"), text);
    });
    scene.account.shutdown();
}

#[test]
fn a_checkout_of_another_branch() {
    if need::tool("git").is_none() {
        return;
    }
    let mut scene = Scene::new("checkout");
    let git = |scene: &Scene, words: &[&str]| {
        let all = [&["-c", "user.name=me", "-c", "user.email=me@here"][..], words].concat();
        scene.run("git", &all);
    };
    git(&scene, &["init", "-q", "-b", "main"]);
    git(&scene, &["add", "-A"]);
    git(&scene, &["commit", "-qm", "first"]);
    git(&scene, &["checkout", "-qb", "other"]);
    scene.saves("an edit", |scene, text| scene.write(&scene.file, text));
    git(&scene, &["commit", "-qam", "second"]);
    scene.seconds = 999;
    scene.saves("git checkout", |scene, _| git(scene, &["checkout", "-q", "main"]));
    scene.seconds = 1000;
    scene.saves("git checkout back", |scene, _| git(scene, &["checkout", "-q", "other"]));
    scene.account.shutdown();
}

#[test]
fn a_real_vim_where_there_is_one() {
    let vim = ["/usr/bin/vim", "/usr/bin/vim.tiny"].into_iter().find(|path| Path::new(path).exists());
    let Some(vim) = vim else {
        need::not_run("vim");
        return;
    };
    let mut scene = Scene::new("vim");
    for backup in ["no", "yes"] {
        let replace = format!("%s/sleep {}$/sleep {}/", scene.seconds, scene.seconds + 1);
        let option = format!("set backupcopy={backup}");
        scene.saves(vim, |scene, _| {
            scene.run(vim, &["-u", "NONE", "-es", "-c", &option, "-c", &replace, "-c", "wq", "web.conf"]);
        });
    }
    scene.account.shutdown();
}
