#!/usr/bin/env bash
# gitleaks' own default configuration, as its released Go module has it, loads unchanged and finds what it shall.
# Needs Go and its module proxy. KASM_SCRUB_BIN names the binary; without it the release is built.
set -euo pipefail
bin=${KASM_SCRUB_BIN:-}
if [ -n "$bin" ]; then bin=$(realpath "$bin"); fi
cd "$(dirname "${BASH_SOURCE[0]}")"

fail() {
  printf 'gitleaks.sh: %s\n' "$*" >&2
  exit 1
}

command -v go > /dev/null || fail "Go is missing; install Go 1.24 or newer"
if [ -z "$bin" ]; then
  (cd ../.. && cargo build --release --locked)
  bin=$(cd ../.. && realpath "${CARGO_TARGET_DIR:-target}/release/kasm-scrub")
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd gitleaks && go run .) > "$work/gitleaks.toml"

# How often a pattern stands in a file.
count() { grep -cE "$1" "$2" || true; }
equal() { [ "$2" = "$3" ] || fail "$1: want $2, got $3"; }

# Every rule loads but those that are said to be skipped, and every part that has no meaning here is said.
"$bin" rules list --rules "$work/gitleaks.toml" --no-builtin > "$work/list" 2> "$work/notes" || fail "$(cat "$work/notes")"
written=$(count '^\[\[rules\]\]' "$work/gitleaks.toml")
skipped=$(count 'the whole rule is skipped' "$work/notes")
[ "$written" -gt 200 ] || fail "the configuration has only $written rules"
equal "rules that load" "$((written - skipped))" "$(count . "$work/list")"
equal "rules with a path that are told" "$(count '^path = ' "$work/gitleaks.toml")" \
  "$(count ': path is not looked at|the whole rule is skipped' "$work/notes")"
equal "allowlists with paths that are told" "$(count '^paths = ' "$work/gitleaks.toml")" \
  "$(count 'paths are not looked at' "$work/notes")"

"$bin" rules test --no-builtin "$work/gitleaks.toml" > "$work/test" || fail "rules test: $(tail -n 1 "$work/test")"
equal "what rules test says" \
  "$((written - skipped)) rules, 0 examples, 0 failures, $((written - skipped)) rules without examples" \
  "$(tail -n 1 "$work/test")"

# Bodies are put together here, so that nothing in this file is shaped like a live token.
body=0Dead1Beef2Cafe3Dead4Beef5Cafe6Dead7Beef
printf 'push ghp_%s to glpat-%s; paid with sk_live_%s trace_id=%s\n' "${body:0:36}" "${body:0:20}" "${body:0:24}" \
  4bf92f3577b34da6a3ce929d0e0e4736 > "$work/line"
"$bin" filter --rules "$work/gitleaks.toml" --no-builtin < "$work/line" > "$work/clean" 2> "$work/filter-notes"
equal "the cleaned line" \
  "push [REDACTED:github-pat] to [REDACTED:gitlab-pat]; paid with [REDACTED:stripe-access-token] trace_id=4bf92f3577b34da6a3ce929d0e0e4736" \
  "$(cat "$work/clean")"
cmp -s "$work/notes" "$work/filter-notes" || fail "filter does not say what rules list says of the file"

printf 'gitleaks.sh: %s of %s rules load, %s skipped\n' "$((written - skipped))" "$written" "$skipped"
