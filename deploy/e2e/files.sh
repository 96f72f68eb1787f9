#!/usr/bin/env bash
# Archives made by the programs that users have go through `files` and are unpacked by the same programs: no secret is
# left, all other lines are there, names and modes are the same. What is not installed (zip, zstd) is left out and said.
# KASM_SCRUB_BIN names the binary; without it the release is built.
set -euo pipefail
bin=${KASM_SCRUB_BIN:-}
if [ -n "$bin" ]; then bin=$(realpath "$bin"); fi
cd "$(dirname "${BASH_SOURCE[0]}")"

fail() {
  printf 'files.sh: %s\n' "$*" >&2
  exit 1
}

if [ -z "$bin" ]; then
  (cd ../.. && cargo build --release --locked)
  bin=$(cd ../.. && realpath "${CARGO_TARGET_DIR:-target}/release/kasm-scrub")
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# A tree with a long name, a link of each kind, an empty file and modes.
long=$(printf 'folder-%.0s' {1..12})/$(printf 'name-%.0s' {1..12}).log
mkdir -p "logs/${long%/*}"
for name in a.log "$long"; do
  printf 'first line\nlogin ok password=%s from 10.0.0.7\nlast line\n' 'DeadBeef'4242x > "logs/$name"
done
: > logs/empty.log
chmod 640 logs/a.log
ln -s a.log logs/soft
ln logs/a.log logs/hard

# The tree, scrubbed by the filter, file by file.
cp -a logs want
for name in a.log hard "$long"; do
  rm "want/$name"
  "$bin" filter < "logs/$name" > "want/$name"
done
chmod 640 want/a.log want/hard

# Makes an archive of the tree, scrubs it, unpacks it and compares.
check() {
  local archive=$1 pack=$2 unpack=$3
  (eval "$pack")
  "$bin" files "$archive" -o "clean-$archive" > summary
  rm -rf got
  mkdir got
  (cd got && eval "$unpack")
  diff -r --no-dereference want got/logs || fail "$archive is not what the filter makes of its files"
  [ "$(stat -c %a got/logs/a.log)" = 640 ] || fail "$archive: a.log has another mode"
  [ "$(readlink got/logs/soft)" = a.log ] || fail "$archive: a link is gone"
  if grep -rq 'DeadBeef' got; then fail "$archive holds the secret"; fi
  echo "$archive: ok"
}

for format in gnu ustar pax; do
  check "$format.tar" "tar --format=$format -cf $format.tar logs" "tar -xf ../clean-$format.tar"
done
check some.tar.gz "tar -czf some.tar.gz logs" "tar -xzf ../clean-some.tar.gz"
if command -v zstd > /dev/null; then
  check some.tar.zst "tar -cf - logs | zstd -q > some.tar.zst" "zstd -qdc ../clean-some.tar.zst | tar -xf -"
else
  echo "zstd is not installed: .tar.zst is left out"
fi
if command -v zip > /dev/null && command -v unzip > /dev/null; then
  check some.zip "zip -qry some.zip logs" "unzip -q ../clean-some.zip"
else
  echo "zip or unzip is not installed: .zip is left out"
fi
