#!/usr/bin/env bash
# The same sources give the same binary: deploy/build.sh builds it in this tree and in a copy of it at another place, with
# another folder for what is compiled, and both have the same bytes. Needs what deploy/build.sh needs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${TARGET:-x86_64-unknown-linux-musl}
if ! [ -d "$(rustc --print target-libdir --target "$target")" ]; then
  # As e2e/pod.sh: where Rust has no musl, glibc is linked statically.
  target=x86_64-unknown-linux-gnu
fi
export TARGET=$target

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
first=$PWD/target/static/kasm-scrub
env -u CARGO_TARGET_DIR deploy/build.sh "$first"

# A longer path, and no trace of the first build. What git does not know is no source.
copy=$work/another/place/of-the-sources
mkdir -p "$copy"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --target-directory "$copy"
(cd "$copy" && env -u CARGO_TARGET_DIR deploy/build.sh "$work/second")

one=$(sha256sum < "$first")
two=$(sha256sum < "$work/second")
if [ "$one" != "$two" ]; then
  echo "reproducible.sh: two builds differ: ${one%% *} and ${two%% *}" >&2
  cmp "$first" "$work/second" | head -n 1 >&2 || true
  exit 1
fi
# Where it was built is nobody's business either.
for place in "$PWD" "$copy" "${CARGO_HOME:-$HOME/.cargo}" "$(rustc --print sysroot)"; do
  if grep -qaF "$place" "$first"; then
    echo "reproducible.sh: the binary names $place" >&2
    exit 1
  fi
done
echo "reproducible.sh: two builds for $target at two places, one sha256: ${one%% *}"
