#!/usr/bin/env bash
# Builds the static binary that the image holds, so that the same sources give the same bytes: dependencies locked, paths
# of the sources, the registry and the toolchain mapped away, no time stamps, symbols stripped (the release profile does).
#
#   deploy/build.sh OUT                                          musl: what the image is built from
#   TARGET=x86_64-unknown-linux-gnu deploy/build.sh OUT          glibc, linked statically, where no musl target is to be had
#
# Needs Rust with that target, and a C compiler for it (for ring): musl-gcc is in Debian's musl-tools.
set -euo pipefail
out=${1:?name the file to write}
case $out in /*) ;; *) out=$PWD/$out ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${TARGET:-x86_64-unknown-linux-musl}

if ! [ -d "$(rustc --print target-libdir --target "$target")" ]; then
  echo "build.sh: Rust's library for $target is missing; rustup target add $target" >&2
  exit 2
fi
if [ "$target" = x86_64-unknown-linux-musl ] && ! command -v musl-gcc > /dev/null; then
  echo "build.sh: musl-gcc is missing; install musl-tools" >&2
  exit 2
fi

# What differs between two builders is where things are. (A path that contains another comes last: the last match counts.)
flags=(
  -Ctarget-feature=+crt-static
  "--remap-path-prefix=$(rustc --print sysroot)=/rust"
  "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
  "--remap-path-prefix=$PWD=/src"
)
# Flags are joined by this byte, since paths may hold spaces.
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; printf '%s' "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS
# The C of ring: its messages quote files.
export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$PWD=/src -ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=/cargo"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}
# None of these belongs to a build that is compared with another.
unset RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_INCREMENTAL

cargo build --release --locked --bin kasm-scrub --target "$target"
install -D -m 0755 "${CARGO_TARGET_DIR:-target}/$target/release/kasm-scrub" "$out"

if ldd "$out" 2>&1 | grep -q '=>'; then
  echo "build.sh: $out needs shared libraries; it would not start in an empty image" >&2
  exit 1
fi
