#!/bin/sh
# Measures visord side by side with other managers, with the harness in $VISOR_SHARED/bench (default ../shared/bench).
#
#   benches/run.sh [--only S1,S3] [--managers generic,supervisord] [--sizes 10,1000] [--reps 3] [--limits] [...]
#
# All arguments go to the harness; by default all scenarios but those of a killed daemon, visord alone, with the
# physical limits of this machine. Prints the numbers and leaves them in target/bench/visord.json. As root it measures as the
# user `bench` (made when absent) and counts CPU in a group; peers are found by the BENCH_* variables of its
# install-peers.sh. Work lies in /dev/shm.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."
top=$PWD
shared=${VISOR_SHARED:-$top/../shared}
[ -d "$shared/bench" ] || { echo "benches/run.sh: no harness in $shared/bench; set VISOR_SHARED" >&2; exit 1; }

if [ -z "${VISOR_BIN:-}" ]; then
    cargo build --release --locked --quiet
    VISOR_BIN=${CARGO_TARGET_DIR:-$top/target}/release/visord
fi
work=$top/target/bench
# A copy, because the harness builds its C programs in place.
rm -rf "$work/bench"
mkdir -p "$work"
cp -r "$shared/bench" "$work/bench"
chmod -R u+w "$work/bench"
make -s -C "$work/bench/c"
if [ "$(id -u)" = 0 ] && ! id bench >/dev/null 2>&1; then useradd -m -s /bin/bash bench; fi
# A clone under /root is out of reach for that user.
VISORCTL_BIN=$(dirname "$VISOR_BIN")/visorctl
install -m 755 "$VISOR_BIN" "/dev/shm/visord-bench-$$"
install -m 755 "$VISORCTL_BIN" "/dev/shm/visorctl-bench-$$"
trap 'rm -f "/dev/shm/visord-bench-$$" "/dev/shm/visorctl-bench-$$"' EXIT
if [ "$(id -u)" = 0 ] && ! setpriv --reuid bench --regid bench --clear-groups test -x "$work/bench/c/bin/svc"; then
    echo "benches/run.sh: the user bench cannot reach $work; clone to another place" >&2
    exit 1
fi

export BENCH_GEN_NAME=visord
export BENCH_GEN_START="/dev/shm/visord-bench-$$ -n -c {dir}/visord.conf"
visorctl="/dev/shm/visorctl-bench-$$ -c {dir}/visord.conf"
export BENCH_GEN_STATUS="$visorctl status"
export BENCH_GEN_RESTART="$visorctl restart {name}"
export BENCH_GEN_STOPALL="$visorctl stop all"
export BENCH_GEN_RELOAD="$visorctl update"
export BENCH_GEN_VERSION="/dev/shm/visorctl-bench-$$ --version"
export BENCH_GEN_INSTALL="/dev/shm/visord-bench-$$:/dev/shm/visorctl-bench-$$"
export BENCH_GEN_CONFIG="$top/benches/render_visord.py"

[ $# -gt 0 ] || set -- --only S1,S2,S3,S4,S5,S6,S7,S8,S9,S10,S12 --managers generic --limits
python3 "$work/bench/run.py" --managers generic --out "$work/visord.json" "$@"
python3 "$work/bench/show.py" "$work/visord.json"
