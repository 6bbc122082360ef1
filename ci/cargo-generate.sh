#!/bin/sh
# Prints the path of a cargo-generate that works here. If there is none, the script builds one first.
#
#   sh ci/cargo-generate.sh            any version from 0.23.14 on: the installed one, otherwise NEWEST
#   sh ci/cargo-generate.sh 0.23.14    exactly this version, built into target/tools
#
# Progress goes to stderr, and only the path goes to stdout. Nothing is installed into the user's cargo home.
set -eu

NEWEST=0.26.0 # the newest release these scripts were tested with
repo=$(cd "$(dirname "$0")/.." && pwd)
wanted=${1:-}

# "0.26.0" -> 26: every release so far is 0.MINOR.PATCH.
installed_minor() {
    cargo generate --version 2>/dev/null | sed -n 's/^cargo.generate[a-z-]* 0\.\([0-9]*\)\.\([0-9]*\).*/\1 \2/p'
}

if [ -z "$wanted" ]; then
    # shellcheck disable=SC2046 # two words on purpose: minor and patch
    set -- $(installed_minor)
    if [ $# -eq 2 ] && { [ "$1" -gt 23 ] || { [ "$1" -eq 23 ] && [ "$2" -ge 14 ]; }; }; then
        command -v cargo-generate && exit 0
    fi
    wanted=$NEWEST
fi

root=$repo/target/tools/cargo-generate-$wanted
if [ -x "$root/bin/cargo-generate" ]; then
    echo "$root/bin/cargo-generate"
    exit 0
fi

echo "Building cargo-generate $wanted once, into target/tools (about two minutes) ..." >&2
mkdir -p "$root"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# From version 0.24 on, cargo-generate's own lock file needs a newer compiler than the oldest one that is supported here.
# `cargo install` cannot be told to choose older crates, but `cargo generate-lockfile` can. So this script fetches the
# published sources through an empty crate, writes a new lock file for this compiler, and installs from there.
mkdir -p "$work/fetch/src"
: >"$work/fetch/src/lib.rs"
cat >"$work/fetch/Cargo.toml" <<END
[package]
name = "fetch"
edition = "2021"
[workspace]
[dependencies]
cargo-generate = { version = "=$wanted", default-features = false }
END
manifest=$(cd "$work/fetch" && cargo metadata --format-version 1 2>/dev/null |
    tr ',' '\n' | sed -n 's/.*"manifest_path":"\(.*cargo-generate-[0-9.]*\/Cargo.toml\)".*/\1/p' | head -n 1)
if [ -z "$manifest" ]; then
    echo "cargo-generate $wanted could not be fetched from the package registry. Try: cargo install cargo-generate" >&2
    exit 1
fi
cp -R "$(dirname "$manifest")" "$work/src"
cd "$work/src"
case $wanted in
0.23.*) features= ;; # its lock file is old enough; it needs libgit2 (bundled) and OpenSSL (of the system)
*)
    # Without the feature `git` it is pure Rust and needs no OpenSSL and no C library. `--path` works without git.
    features=--no-default-features
    rm Cargo.lock
    CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS=fallback cargo generate-lockfile >&2
    ;;
esac
# shellcheck disable=SC2086 # empty or one flag
CARGO_TARGET_DIR=$work/target cargo install --path . --locked --debug $features --root "$root" --no-track >&2
echo "$root/bin/cargo-generate"
