#!/bin/sh
# Builds Visor and shows it supervising a real program: its state, a crash, why, its log. Installs nothing, needs no root.
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

cargo build --release --locked --quiet --bins
bin=${CARGO_TARGET_DIR:-$PWD/target}/release
place=$(mktemp -d "${TMPDIR:-/tmp}/visor-quickstart.XXXXXX")
conf=$place/clock.conf

# A configuration of its own has a daemon of its own: the user's is not touched.
visorctl() { "$bin/visorctl" -c "$conf" "$@"; }

end() {
    visorctl shutdown >/dev/null 2>&1 || true
    rm -rf "$place"
}
[ $keep = yes ] || trap end EXIT
trap 'exit 130' INT TERM

# Shows a command, and what comes of it.
show() {
    echo "\$ $*"
    "$@"
}

# Waits until the clock has written a number of lines; gives up after ten seconds.
await_lines() { # NUMBER
    tries=0
    until [ "$(visorctl logs clock | wc -l)" -ge "$1" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ]; then
            echo "quickstart: waited 10 s in vain for $1 lines of the clock:" >&2
            cat "$place/visord.log" >&2 || true
            exit 1
        fi
        sleep 0.1
    done
}

cp examples/clock.conf "$place/"
echo "\$ visord -c $conf"
"$bin/visord" -c "$conf"
echo "\$ alias visorctl='visorctl -c $conf'"
visorctl wait clock >/dev/null
await_lines 2
show visorctl status
clock=$(visorctl pid clock)
echo "\$ kill -9 $clock        # the clock crashes"
kill -9 "$clock"
# It is away for a moment, and STARTING for a second.
until [ "$(visorctl pid clock || true)" != "$clock" ]; do sleep 0.1; done
visorctl wait clock >/dev/null
await_lines 4
show visorctl status
show visorctl logs clock
echo "\$ grep clock $place/visord.log"
grep clock "$place/visord.log"
if [ $keep = yes ]; then
    echo "it runs on: edit $conf, then $bin/visorctl -c $conf update; shutdown ends it"
else
    show visorctl shutdown
fi
