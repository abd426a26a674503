#!/bin/sh
# Builds Visor and installs it below a directory of yours; needs a Rust toolchain, and no root for a home.
#
#   ./install.sh [--prefix DIR] [--with-supervisor-names] [--uninstall]
#
# DIR is ~/.local by default. With --with-supervisor-names there are supervisord, supervisorctl, pidproxy and
# echo_supervisord_conf, too. BIN_DIR names programs that are built already.
set -eu
prefix=$HOME/.local links=no remove=no
while [ $# -gt 0 ]; do
    case $1 in
        --prefix) prefix=${2:?--prefix needs a directory}; shift ;;
        --prefix=*) prefix=${1#--prefix=} ;;
        --with-supervisor-names) links=yes ;;
        --uninstall) remove=yes ;;
        -h | --help) sed -n '2,/^set -eu/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        *) echo "install.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
    esac
    shift
done
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
cd "$(dirname "$0")"
list=$prefix/share/doc/visord/installed

if [ $remove = yes ]; then
    [ -f "$list" ] || { echo "install.sh: nothing of Visor is installed below $prefix" >&2; exit 1; }
    while IFS= read -r file; do rm -f "$prefix/$file"; done <"$list"
    rm -f "$list"
    rmdir "$prefix/share/doc/visord" 2>/dev/null || :
    echo "removed Visor from $prefix; your programs' files and logs are where they were"
    exit 0
fi

if [ -z "${BIN_DIR:-}" ]; then
    cargo build --release --locked
    BIN_DIR=${CARGO_TARGET_DIR:-target}/release
fi
staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT
BIN_DIR=$BIN_DIR LINKS=$links packaging/stage "$staged" "$prefix"
mkdir -p "$prefix" "$(dirname "$list")"
(cd "$staged$prefix" && find . ! -type d) | sed 's|^\./||' >"$staged/installed"
while IFS= read -r file; do
    mkdir -p "$prefix/$(dirname "$file")"
    # Written beside and moved: a program that runs cannot be written over.
    cp -P "$staged$prefix/$file" "$prefix/$file.new"
    mv -f "$prefix/$file.new" "$prefix/$file"
done <"$staged/installed"
cp "$staged/installed" "$list"
echo "installed Visor below $prefix; a daemon that runs goes on with the old one: visorctl daemon restart"
case :$PATH: in *:"$prefix/bin":*) ;; *) echo "$prefix/bin is not in your PATH: add it in your shell's profile" ;; esac
