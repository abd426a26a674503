//! The worker as the reactor sees it: answers, order, limits, and an orderly end.

use super::*;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;

type Test = Result<(), Box<dyn std::error::Error>>;

const DEADLINE: Duration = Duration::from_secs(20);

struct Bench {
    disk: Disk<u32>,
    woken: mpsc::Receiver<()>,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Result<Bench, Box<dyn std::error::Error>> {
        let (wake, woken) = mpsc::channel();
        let disk = Disk::start(
            Arc::new(Pool::create()?),
            Box::new(move || {
                let _ = wake.send(());
            }),
        )?;
        Ok(Bench { disk, woken, dir: tempfile::tempdir()? })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self, name: &str) -> SinkId {
        self.disk.open(SinkSpec::file(&self.path(name), 0, 0))
    }

    /// Waits until the worker has said this much.
    fn events(&self, count: usize) -> Result<Vec<Event<u32>>, mpsc::RecvTimeoutError> {
        let mut events = Vec::new();
        while events.len() < count {
            self.woken.recv_timeout(DEADLINE)?;
            events.extend(self.disk.drain());
        }
        Ok(events)
    }

    /// Lets the worker stand still, as on a frozen disk, until the sender is dropped or used.
    fn freeze(&self) -> mpsc::Sender<()> {
        let (thaw, frozen) = mpsc::channel::<()>();
        self.disk.run(Box::new(move || u32::from(frozen.recv().is_ok())));
        thaw
    }

    fn stop(self) -> tempfile::TempDir {
        assert!(self.disk.stop(DEADLINE));
        self.dir
    }
}

#[test]
fn everything_is_on_disk_when_it_has_stopped() -> Test {
    let bench = Bench::new()?;
    let sink = bench.open("log");
    (0..100).for_each(|number| bench.disk.write(sink, format!("{number}\n").into_bytes()));
    let dir = bench.stop();
    let text = fs::read_to_string(dir.path().join("log"))?;
    assert_eq!(text.lines().count(), 100);
    Ok(())
}

#[test]
fn each_opening_is_answered() -> Test {
    let bench = Bench::new()?;
    let (good, bad) = (bench.open("log"), bench.open("missing/log"));
    let events = bench.events(2)?;
    assert!(matches!(&events[0], Event::Opened { sink, result: Ok(()) } if *sink == good), "{events:?}");
    let refused = |error: &OpenError| error.errno == nix::errno::Errno::ENOENT;
    assert!(
        matches!(&events[1], Event::Opened { sink, result: Err(e) } if *sink == bad && refused(e)),
        "{events:?}"
    );
    bench.disk.write(bad, b"nowhere\n".to_vec());
    bench.disk.clear(bad);
    let events = bench.events(1)?;
    assert!(matches!(&events[0], Event::Cleared { sink, result: Err(_) } if *sink == bad), "{events:?}");
    let dir = bench.stop();
    assert!(!dir.path().join("missing").exists());
    Ok(())
}

#[test]
fn sinks_of_one_path_share_a_writer() -> Test {
    let bench = Bench::new()?;
    let (first, second) = (bench.open("log"), bench.open("log"));
    bench.disk.write(first, b"1\n".to_vec());
    bench.disk.write(second, b"2\n".to_vec());
    bench.disk.close(first);
    bench.disk.write(first, b"never\n".to_vec());
    bench.disk.write(second, b"3\n".to_vec());
    let dir = bench.stop();
    assert_eq!(fs::read_to_string(dir.path().join("log"))?, "1\n2\n3\n");
    Ok(())
}

/// More logs than may be open: each is written to all the same, and few descriptors are in use.
#[test]
fn logs_beyond_the_limit_of_open_files_are_opened_in_turn() -> Test {
    let bench = Bench::new()?;
    let count = 600;
    let sinks: Vec<SinkId> = (0..count).map(|number| bench.open(&format!("log{number}"))).collect();
    for round in 0..2 {
        sinks.iter().for_each(|sink| bench.disk.write(*sink, format!("{round}\n").into_bytes()));
    }
    bench.disk.run(Box::new(|| 0));
    bench.events(count + 1)?;
    #[cfg(target_os = "linux")]
    {
        let is_ours =
            |fd: &fs::DirEntry| fs::read_link(fd.path()).is_ok_and(|to| to.starts_with(bench.dir.path()));
        let open = fs::read_dir("/proc/self/fd")?.flatten().filter(is_ours).count();
        assert!((16..=512).contains(&open), "{open} files are open");
    }
    let dir = bench.stop();
    for number in 0..count {
        assert_eq!(fs::read_to_string(dir.path().join(format!("log{number}")))?, "0\n1\n");
    }
    Ok(())
}

#[test]
fn what_is_run_is_answered_in_turn() -> Test {
    let bench = Bench::new()?;
    bench.disk.run(Box::new(|| 7));
    bench.disk.run(Box::new(|| 8));
    let events = bench.events(2)?;
    assert!(matches!(events[..], [Event::Done(7), Event::Done(8)]), "{events:?}");
    Ok(())
}

#[test]
fn reopening_follows_the_name_and_clearing_begins_anew() -> Test {
    let bench = Bench::new()?;
    let sink = bench.open("log");
    bench.disk.write(sink, b"old\n".to_vec());
    bench.events(1)?;
    bench.disk.run(Box::new(|| 0));
    bench.events(1)?;
    fs::rename(bench.path("log"), bench.path("moved"))?;
    bench.disk.reopen_all();
    bench.disk.write(sink, b"cleared\n".to_vec());
    bench.disk.clear(sink);
    bench.disk.write(sink, b"new\n".to_vec());
    assert!(matches!(bench.events(1)?[..], [Event::Cleared { result: Ok(()), .. }]));
    let dir = bench.stop();
    assert_eq!(fs::read_to_string(dir.path().join("moved"))?, "old\n");
    assert_eq!(fs::read_to_string(dir.path().join("log"))?, "new\n");
    Ok(())
}

#[test]
fn lines_beyond_the_limit_are_counted() -> Test {
    let bench = Bench::new()?;
    let sink = bench.open("log");
    bench.events(1)?;
    let thaw = bench.freeze();
    let line = [vec![b'x'; 1023], b"\n".to_vec()].concat();
    let fits = LINES_QUEUED_MAX_BYTES / line.len();
    (0..fits + 3).for_each(|_| bench.disk.write(sink, line.clone()));
    thaw.send(())?;
    let events = bench.events(1)?;
    assert!(matches!(events[..], [Event::Done(1), ..]), "{events:?}");
    bench.disk.run(Box::new(|| 2));
    bench.events(1)?;
    bench.disk.write(sink, b"after\n".to_vec());
    let dir = bench.stop();
    let text = fs::read_to_string(dir.path().join("log"))?;
    let tail = "visord: 3072 bytes of output dropped: the disk did not keep up\nafter\n";
    assert_eq!(text.len(), fits * line.len() + tail.len());
    assert!(text.ends_with(tail));
    Ok(())
}

#[test]
fn a_frozen_disk_does_not_keep_us_from_ending() -> Test {
    let bench = Bench::new()?;
    let thaw = bench.freeze();
    assert!(!bench.disk.stop(Duration::from_millis(20)));
    drop(thaw);
    Ok(())
}
