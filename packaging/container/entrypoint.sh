#!/bin/sh
# Entry point of a container: visord as PID 1, which reaps orphans, passes signals on and ends with the exit code of the
# program that has essential=daemon.
#
#   COPY packaging/container/entrypoint.sh packaging/container/visord.conf /etc/visor/
#   ENTRYPOINT ["/etc/visor/entrypoint.sh"]
#
# What follows is run before: with arguments, those are the essential program instead of that of the file.
set -eu
directory=$(dirname "$(readlink -f "$0")")
configuration=${VISOR_CONF:-$directory/visord.conf}
if [ $# -gt 0 ]; then
    made=$(mktemp)
    printf '[supervisord]\nnodaemon = true\nlogfile = /dev/null\npidfile = %s.pid\n' "$made" >"$made"
    printf '[program:main]\nessential = daemon\nstdout_logfile = /dev/stdout\nstdout_logfile_maxbytes = 0\n' >>"$made"
    printf 'stderr_logfile = /dev/stderr\nstderr_logfile_maxbytes = 0\ncommand =' >>"$made"
    for word; do printf " '%s'" "$(printf %s "$word" | sed "s/%/%%/g; s/'/'\\\\''/g")"; done >>"$made"
    printf '\n' >>"$made"
    configuration=$made
fi
exec visord -n -c "$configuration"
