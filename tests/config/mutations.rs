//! Made-up configurations, thousands of lines of them: both sides must read, expand and refuse alike.
//!
//! The generator keeps away from what is meant to differ: two comment characters where CPython 3.12 and 3.13
//! disagree, `%s` without a name, numbers beyond 64 bits, Python plug-ins, empty log file names.

use crate::compare::assert_same;
use crate::oracle::Interop;
use std::fmt::Write;
use std::path::PathBuf;

/// Documents of one run, where `VISOR_MUTATIONS` does not say otherwise.
const DOCUMENTS: u64 = 600;

/// Largest share of values that are drawn from the wrong ones, in percent: most documents must be accepted, or
/// only refusals would be compared.
const WRONG_PERCENT: u64 = 2;

/// A small generator of numbers (xorshift64*), so that a failing document can be made again from its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    fn one<'x>(&mut self, of: &[&'x str]) -> &'x str {
        let index = usize::try_from(self.below(of.len() as u64)).unwrap_or_default();
        of[index]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Keys with good values and wrong ones.
struct Kind(&'static [&'static str], &'static [&'static str], &'static [&'static str]);

const INTEGER: &[&str] = &["0", "1", "-3", "+7", " 12 ", "1_000", "%(ENV_NUM)s", "007"];
const NO_INTEGER: &[&str] = &["", "x", "1.5", "0x1", "1__0", "%(ENV_NOPE)s", "1 2", "%d", "5%"];
const BOOLEAN: &[&str] = &["yes", "no", "TRUE", "false", "On", "oFF", "0", "1"];
const NO_BOOLEAN: &[&str] = &["", "y", "2", "yes no", "%(here)"];
const SIZE: &[&str] = &["0", "1", "5KB", "1 mb", "2Gb", "-1", "1_0kb"];
const NO_SIZE: &[&str] = &["", "1G", "1.5MB", "KB", "1 2MB", "1b"];
const LOG: &[&str] = &[
    "NONE",
    "off",
    "AUTO",
    "auto",
    "syslog",
    "/tmp/x.log",
    "x-%(process_num)d.log",
    "/tmp/%(program_name)s-%(group_name)s.log",
    "%%%%x",
    "~/x",
    "~root/x",
    "%(here)s/x",
];
const NO_LOG: &[&str] = &["/no/such/x", "%%x", "100%%", "%(nope)s"];
const ENVIRONMENT: &[&str] = &[
    "A=1",
    "A=\"1\",B='2'",
    "A=\"a,b\" , B=\"x=y\",",
    "PATH=\"/opt:%(ENV_PATH)s\"",
    "A=http://h:80/p",
    "A=x*",
    "A=$HOME",
    "A='say \"hi\"',B=\"\"",
    "A=a\"b\"c,B=é",
    "A=\"a\"\"b\"",
    "A=(x),B=-1.5,A=2",
    "",
    "A=1;B=2",
    "N_%(process_num)02d=\"%(program_name)s\"",
];
const NO_ENVIRONMENT: &[&str] = &["A", "A=", "A=x=y", ",A=1", "A=1,,B=2", "A=\"x", "A=%(ENV_A)s", "A=\"%\""];
const DAEMON_ENVIRONMENT: &[&str] = &["A=1", "A=\"%%%%\"", "B=\"%(here)s\",C=%(ENV_NUM)s", ""];
const NO_DAEMON_ENVIRONMENT: &[&str] = &["A=\"%%\"", "A=%(host_node_name)s", "A=%(program_name)s"];

const PROGRAM: &[Kind] = &[
    Kind(&["priority", "startsecs", "startretries", "stopwaitsecs", "numprocs_start"], INTEGER, NO_INTEGER),
    Kind(&["stdout_logfile_backups", "stderr_logfile_backups"], INTEGER, NO_INTEGER),
    Kind(&["autostart", "redirect_stderr", "killasgroup", "stdout_syslog"], BOOLEAN, NO_BOOLEAN),
    Kind(&["stdout_events_enabled", "stderr_events_enabled", "stderr_syslog"], BOOLEAN, NO_BOOLEAN),
    Kind(&["stopasgroup"], &["no", "false"], &["yes", "maybe"]),
    Kind(&["autorestart"], &["yes", "False", "UNEXPECTED", "1"], &["", "maybe", "unexpected "]),
    Kind(&["stdout_logfile_maxbytes", "stderr_logfile_maxbytes"], SIZE, NO_SIZE),
    Kind(&["stdout_capture_maxbytes", "stderr_capture_maxbytes"], SIZE, NO_SIZE),
    Kind(&["stdout_logfile", "stderr_logfile"], LOG, NO_LOG),
    Kind(&["environment"], ENVIRONMENT, NO_ENVIRONMENT),
    Kind(&["exitcodes"], &["0", "0, 2 ,255", "", "1_0"], &["256", "-1", "0,", "a"]),
    Kind(
        &["stopsignal"],
        &["TERM", "sigint", "9", " USR1 ", "RTMIN", "0", "CLD", "34"],
        &["", "NOPE", "33", "65"],
    ),
    Kind(&["umask"], &["022", "22", "0o77", " 7 ", "0_2"], &["8", "", "0x1", "rw"]),
    Kind(&["user"], &["root", "0", "nobody", " 0 "], &["", "no-such-user", "4000000"]),
    Kind(&["serverurl"], &["AUTO", "auto", "http://x:1", "unix:///%(program_name)s", ""], &["%(nope)s"]),
    Kind(
        &["command"],
        &[
            "/bin/cat",
            "a %(program_name)s %(group_name)s %(process_num)05d/%(numprocs)s",
            "x %(host_node_name)s %(here)s %(ENV_USER)10s|%(ENV_USER)-8s|%(ENV_USER).2s 100%%",
            "sh -c \"a; b\" # c",
            "x;y #z",
            "",
            "%(process_num)x %(process_num)+d %(process_num)e %(numprocs)g",
        ],
        &["%(process_num", "%z", "%(here)d", "100%", "%(A)s"],
    ),
    Kind(&["directory"], &["/tmp", "~/x", "rel", "%(here)s", "%(ENV_A)s"], &["%(nope)s"]),
    Kind(
        &["process_name"],
        &["%(program_name)s_%(process_num)02d", "p%(process_num)d"],
        &["a b%(process_num)s", "a:b", "%(process_num)"],
    ),
    Kind(&["colour", "comand", "logfile"], &["%bad%", "x"], &["x"]),
];

const DAEMON: &[Kind] = &[
    Kind(
        &["logfile"],
        &["/tmp/s.log", "s.log", "syslog", "%(here)s/l", "~/l", "NONE"],
        &["/no/such/l", "%(program_name)s"],
    ),
    Kind(&["pidfile"], &["/tmp/p", "../p", "./a/../p"], &["/no/such/p", "%(host_node_name)s"]),
    Kind(&["logfile_maxbytes"], SIZE, NO_SIZE),
    Kind(&["logfile_backups", "minfds", "minprocs"], INTEGER, NO_INTEGER),
    Kind(&["loglevel"], &["info", "DEBUG", "Blather", "trace"], &["warning", "crit", "", "20"]),
    Kind(&["nodaemon", "silent", "nocleanup", "strip_ansi"], BOOLEAN, NO_BOOLEAN),
    Kind(&["childlogdir", "directory"], &["/tmp", "%(here)s", "~root"], &["/no/such", ""]),
    Kind(&["umask"], &["022", "0", "777"], &["9", ""]),
    Kind(&["user"], &["root", "0"], &["no-such-user"]),
    Kind(&["identifier"], &["x", "a b", "%(ENV_USER)s", ""], &["%(nope)s"]),
    Kind(&["environment"], DAEMON_ENVIRONMENT, NO_DAEMON_ENVIRONMENT),
];

const GROUP: &[Kind] = &[
    Kind(&["programs"], &["a", "a,b", "b , a", "", "c"], &["a,", "nope", "ev"]),
    Kind(&["priority"], INTEGER, &["%(group_name)s", ""]),
];

const LISTENER: &[Kind] = &[
    Kind(&["events"], &["TICK_5", "process_state, TICK_60 ,TICK_5", "EVENT"], &["", "NOPE", "TICK_5,"]),
    Kind(&["buffer_size"], &["1", "50"], &["0", "-1", "x"]),
    Kind(&["redirect_stderr"], &["no"], &["yes", "x"]),
];

const FCGI: &[Kind] = &[
    Kind(
        &["socket"],
        &["unix:///tmp/%(program_name)s.sock", "unix:///a/../b", "tcp://LocalHost:9000"],
        &["unix://rel", "tcp://h:0", "tcp://h:x", "tcp://a b:1", "http://x", "", "unix:///%(group_name)s"],
    ),
    Kind(&["socket_backlog"], &["1", "65535"], &["0", "65536", "x"]),
    Kind(&["user"], &["root", "nobody"], &["no-such-user", "%(program_name)s"]),
];

const UNIX: &[Kind] = &[
    Kind(&["file"], &["/tmp/u.sock", "%(here)s/u", "~/u", "u"], &["%(nope)s"]),
    Kind(&["chmod"], &["0700", "777"], &["9", "x"]),
    Kind(&["chown"], &["root", "0:0", "nobody:root"], &["no-such-user", "root:no-such-group", ":"]),
];

const INET: &[Kind] =
    &[Kind(&["port"], &["9001", "*:9001", "LocalHost:1", ":65535"], &["", "h:", "0", "70000", "h"])];

/// Header of a section, keys that must be there, and keys that may.
type Template = (&'static str, &'static [(&'static str, &'static str)], &'static [Kind]);

/// The sections.
const SECTIONS: &[Template] = &[
    ("program:a", &[("command", "a")], PROGRAM),
    ("program:b", &[("command", "b")], PROGRAM),
    ("program:c", &[("command", "c"), ("process_name", "c%(process_num)d"), ("numprocs", "3")], PROGRAM),
    ("program: sp ", &[("command", "d")], PROGRAM),
    ("program:ä*", &[("command", "d")], PROGRAM),
    ("group:g", &[], GROUP),
    ("group:a", &[("programs", "b")], GROUP),
    ("eventlistener:ev", &[("command", "e"), ("events", "TICK_5")], LISTENER),
    ("eventlistener:ew", &[("command", "e"), ("events", "TICK_60")], PROGRAM),
    ("fcgi-program:f", &[("command", "f"), ("socket", "unix:///f")], FCGI),
    ("fcgi-program:h", &[("command", "f"), ("socket", "tcp://h:1")], PROGRAM),
    ("unix_http_server", &[("file", "/tmp/s")], UNIX),
    ("unix_http_server:x", &[("file", "/tmp/t"), ("username", "u"), ("password", "p")], UNIX),
    ("inet_http_server", &[("port", "9001")], INET),
    ("inet_http_server2", &[("port", "9002")], INET),
    ("supervisord", &[], DAEMON),
    ("unknown:x", &[("a", "%bad")], &[]),
    (
        "rpcinterface:supervisor",
        &[("supervisor.rpcinterface_factory", "supervisor.rpcinterface:make_main_rpcinterface")],
        &[],
    ),
];

/// Section names that are refused.
const BAD_HEADERS: &[&str] =
    &["[program:a b]", "[program:a:b]", "[group:a/b]", "junk", "= x", "[]", "[fcgi-program:b]"];

fn document(dice: &mut Dice) -> String {
    let end = dice.one(&["\n", "\n", "\r\n", "\r"]);
    let mut text = String::new();
    if dice.chance(8) {
        let _ = write!(text, "[DEFAULT]{end}startsecs=%(ENV_NUM)s{end}priority={}{end}", dice.below(9));
    }
    if !dice.chance(2) {
        let _ =
            write!(text, "{}{end}", dice.one(&["[supervisord]", "[supervisord] ; x", "  [supervisord]x"]));
    }
    for _ in 0..=dice.below(6) {
        if dice.chance(2) {
            let _ = write!(text, "{}{end}", dice.one(BAD_HEADERS));
        }
        let index = usize::try_from(dice.below(SECTIONS.len() as u64)).unwrap_or_default();
        let (name, needed, kinds) = SECTIONS[index];
        let _ = write!(text, "[{name}]{end}");
        for (key, value) in needed {
            if !dice.chance(2) {
                let _ = write!(text, "{key}={value}{end}");
            }
        }
        for _ in 0..dice.below(7) {
            if !kinds.is_empty() {
                line(dice, kinds, end, &mut text);
            }
        }
    }
    text
}

/// Writes one key in one of the many ways to write it.
fn line(dice: &mut Dice, kinds: &[Kind], end: &str, text: &mut String) {
    let Kind(keys, good, wrong) = &kinds[usize::try_from(dice.below(kinds.len() as u64)).unwrap_or_default()];
    let key = dice.one(keys);
    let value = if dice.chance(WRONG_PERCENT) { dice.one(wrong) } else { dice.one(good) };
    let key = if dice.chance(10) { key.to_uppercase() } else { key.to_owned() };
    let value = value.replace(", ", &format!(",{end}   "));
    let delimiter = dice.one(&["=", "=", " = ", ":", ": ", "\t=\t"]);
    // One comment character at most, where Python's versions agree.
    let comment =
        if value.contains([';', '#']) { "" } else { dice.one(&["", "", "", " ; note", "\t# note", ";no"]) };
    let comment = if comment == ";no" && !key.starts_with("com") { "" } else { comment };
    let _ = write!(text, "{key}{delimiter}{value}{comment}{end}");
    if dice.chance(5) {
        let between = dice.one(&["", "; whole line", "   # indented", "  "]);
        let _ = write!(text, "{between}{end}");
    }
}

#[test]
fn made_up_documents_give_what_supervisord_gives() {
    let Some(interop) = Interop::find() else { return };
    let wanted =
        std::env::var("VISOR_MUTATIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(DOCUMENTS);
    let seed: u64 =
        std::env::var("VISOR_SEED").ok().and_then(|number| number.parse().ok()).unwrap_or(20_251_120);
    println!("{wanted} documents from seed {seed}");
    let directory = tempfile::tempdir().expect("a directory");
    let mut dice = Dice(seed.max(1));
    let files: Vec<PathBuf> = (0..wanted)
        .map(|number| {
            let file = directory.path().join(format!("{number}.conf"));
            std::fs::write(&file, document(&mut dice)).expect("a document");
            file
        })
        .collect();
    let upstream = interop.upstream(&files);
    let accepted = upstream.iter().filter(|one| one["ok"] == true).count() as u64;
    assert!(accepted > wanted / 4, "only {accepted} of {wanted} are accepted");
    let ours = interop.visor(&files);
    keep_what_differs(&upstream, &ours);
    assert_same(&upstream, &ours, &[]);
}

/// Prints the first documents that differ: their files are gone when the test is over.
fn keep_what_differs(upstream: &[serde_json::Value], ours: &[serde_json::Value]) {
    let differing = upstream.iter().zip(ours).filter(|(a, b)| crate::compare::difference(a, b).is_some());
    for (one, _) in differing.take(3) {
        let file = one["config"].as_str().unwrap_or_default();
        println!("--- {file}\n{}", std::fs::read_to_string(file).unwrap_or_default());
    }
}
