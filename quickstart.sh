#!/bin/sh
# Builds visord and shows it supervising a real program: its state, a crash, its log. Installs nothing, needs no root.
#
#   ./quickstart.sh          ends visord again and removes what it made
#   ./quickstart.sh --keep   leaves it running and says where
set -eu
cd "$(dirname "$0")"
keep=no
case ${1:-} in
    '') ;;
    --keep) keep=yes ;;
    *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

cargo build --release --locked --quiet --bin visord
visord=${CARGO_TARGET_DIR:-$PWD/target}/release/visord
place=$(mktemp -d "${TMPDIR:-/tmp}/visor-quickstart.XXXXXX")
log=$place/visord.log

end() {
    if [ -s "$place/visord.pid" ]; then
        pid=$(cat "$place/visord.pid")
        kill "$pid" 2>/dev/null || true
        while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    fi
    rm -rf "$place"
}
[ $keep = yes ] || trap end EXIT
trap 'exit 130' INT TERM

# Waits until `grep -c PATTERN FILE` has reached a number; gives up after ten seconds.
await() { # PATTERN FILE NUMBER
    tries=0
    until [ "$(grep -c "$1" "$2" 2>/dev/null || true)" -ge "$3" ] 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ]; then
            echo "quickstart: waited 10 s in vain for '$1' in $2:" >&2
            cat "$log" >&2 || true
            exit 1
        fi
        sleep 0.1
    done
}

cp examples/clock.conf "$place/"
echo "\$ visord -c $place/clock.conf"
"$visord" -c "$place/clock.conf"
await 'success: clock entered RUNNING state' "$log" 1
await : "$place/clock.log" 2

clock=$(sed -n "s/.*spawned: 'clock' with pid //p" "$log" | tail -n 1)
echo "\$ kill -9 $clock        # the clock crashes"
kill -9 "$clock"
await 'success: clock entered RUNNING state' "$log" 2
await : "$place/clock.log" 4

echo "\$ cat $log"
cat "$log"
echo "\$ tail -n 4 $place/clock.log"
tail -n 4 "$place/clock.log" | sed 's/^/  clock | /'
pid=$(cat "$place/visord.pid")
if [ $keep = yes ]; then
    echo "visord runs on with pid $pid: edit $place/clock.conf and kill -HUP $pid, or kill $pid to end it"
else
    echo "visord (pid $pid) ends now; ./quickstart.sh --keep leaves it running"
fi
