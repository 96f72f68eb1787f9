#!/usr/bin/env bash
# The sidecar between real peers: OpenTelemetry's SDK for Python on one side, a grpcio server and an HTTP server on the
# other, every protocol to every other, with and without gzip. No planted secret arrives, every mark arrives once, also when
# the upstream was away for a while. Needs Python 3.9 or newer with venv, and its package index. KASM_SCRUB_BIN names the
# binary; without it the release is built.
set -euo pipefail
bin=${KASM_SCRUB_BIN:-}
if [ -n "$bin" ]; then bin=$(realpath "$bin"); fi
cd "$(dirname "${BASH_SOURCE[0]}")"

fail() {
  printf 'otlp.sh: %s\n' "$*" >&2
  tail -n 20 "$work"/*.log >&2 || true
  exit 1
}

work=$(mktemp -d)
# Whatever still runs ends with this.
trap 'kill $(jobs -p) 2> /dev/null || true; rm -rf "$work"' EXIT

command -v python3 > /dev/null || fail "Python is missing; install Python 3.9 or newer"
if [ -z "$bin" ]; then
  (cd ../.. && cargo build --release --locked)
  bin=$(cd ../.. && realpath "${CARGO_TARGET_DIR:-target}/release/kasm-scrub")
fi
python3 -m venv "$work/venv" || fail "python3 -m venv failed; install the venv module"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r otlp/requirements.txt
python="$work/venv/bin/python"

# Ports that were free a moment ago.
mapfile -t port < <(python3 - << 'PYTHON'
import socket
sockets = [socket.socket() for _ in range(8)]
for one in sockets:
    one.bind(("127.0.0.1", 0))
for one in sockets:
    print(one.getsockname()[1])
PYTHON
)
upstream_grpc=${port[0]} upstream_http=${port[1]}

# wait_for WHAT COMMAND…: until the command succeeds.
wait_for() {
  local what=$1
  shift
  for _ in $(seq 100); do
    if "$@" > /dev/null 2>&1; then return; fi
    sleep 0.2
  done
  fail "$what does not come up"
}

start_upstream() {
  "$python" otlp/upstream.py "$upstream_grpc" "$upstream_http" "$work/taken" > "$work/upstream.out" 2> "$work/upstream.log" &
  upstream=$!
  wait_for "the upstream" grep -q ready "$work/upstream.out"
}

# sidecar NAME GRPC HTTP ADMIN OPTION…
sidecar() {
  local name=$1 grpc=$2 http=$3 admin=$4
  shift 4
  "$bin" sidecar --otlp-grpc "127.0.0.1:$grpc" --otlp-http "127.0.0.1:$http" --admin "127.0.0.1:$admin" \
    --log-format json --canary 2s "$@" 2> "$work/$name.log" &
  wait_for "the sidecar" "$python" -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$admin/readyz')"
}

# Put together here, so that nothing in this file is shaped like a live secret.
secret="Dead$(printf 'Beef%.0s' 1 2 3 4)"
start_upstream
sidecar to-grpc "${port[2]}" "${port[3]}" "${port[4]}" --upstream "http://127.0.0.1:$upstream_grpc"
sidecar to-http "${port[5]}" "${port[6]}" "${port[7]}" --upstream "http://127.0.0.1:$upstream_http" \
  --upstream-protocol http/protobuf --upstream-compression gzip
# gRPC's own libraries name the path of the socket as the authority, which is none of HTTP.
"$bin" sidecar --otlp-grpc "unix:$work/grpc.sock" --admin "unix:$work/admin.sock" --upstream "http://127.0.0.1:$upstream_grpc" \
  --log-format json 2> "$work/to-socket.log" &
wait_for "the sidecar at a socket" test -S "$work/grpc.sock"

runs=0
for case in "grpc none ${port[2]} to-grpc" "grpc gzip ${port[2]} to-grpc" "http none ${port[3]} to-grpc" \
  "http gzip ${port[3]} to-grpc" "grpc none ${port[5]} to-http" "grpc gzip ${port[5]} to-http" \
  "http none ${port[6]} to-http" "http gzip ${port[6]} to-http" "grpc none unix:$work/grpc.sock to-socket" \
  "grpc gzip unix:$work/grpc.sock to-socket"; do
  read -r protocol compression to name <<< "$case"
  mark="$protocol-$compression-$name"
  "$python" otlp/client.py "$protocol" "$compression" "$to" "$secret" "$mark" 20 2> "$work/client.log" \
    || fail "the client of $mark failed"
  "$python" otlp/check.py "$work/taken" "$secret" "$mark" 20 || fail "$mark"
  runs=$((runs + 1))
done

# JSON, by hand: no SDK for Python sends it.
for to in "${port[3]}" "${port[6]}"; do
  "$python" - "$to" "$secret" << 'PYTHON' || fail "JSON was not taken"
import json, sys, urllib.request
port, secret = sys.argv[1:]
record = {"body": {"stringValue": f"json-mark-{port} password={secret}"}, "attributes": [
    {"key": "password", "value": {"arrayValue": {"values": [{"stringValue": secret}]}}}]}
body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/logs", json.dumps(body).encode(),
    {"content-type": "application/json", "x-tenant": "kasm"})
with urllib.request.urlopen(request) as answer:
    assert answer.headers["content-type"] == "application/json" and json.load(answer) == {}
PYTHON
  grep -q "json-mark-$to" "$work/taken" || fail "JSON to port $to did not arrive"
done

# The upstream is away: the client is told to try again, and does.
kill "$upstream"
wait "$upstream" 2> /dev/null || true
"$python" otlp/client.py grpc none "${port[2]}" "$secret" away 5 2> "$work/away.log" &
client=$!
sleep 4
start_upstream
wait "$client" || fail "the client failed while the upstream was away"
grep -qi "unavailable" "$work/away.log" || fail "the client was not told that the upstream is away"
"$python" otlp/check.py "$work/taken" "$secret" away 5 || fail "what was sent while the upstream was away"

if grep -rq "$secret" "$work/taken" "$work"/to-*.log; then fail "a secret came through"; fi
for admin in "${port[4]}" "${port[7]}"; do
  "$python" - "$admin" "$secret" << 'PYTHON' || fail "the counts are wrong"
import sys, urllib.request
port, secret = sys.argv[1:]
text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
assert secret not in text
assert any(line.startswith('kasm_scrub_findings_total{rule="password",signal="traces"}') for line in text.splitlines())
assert 'kasm_scrub_events_total{what="canary_failed"} 0' in text
assert 'kasm_scrub_events_total{what="panicked"} 0' in text
PYTHON
done
printf 'otlp.sh: %s runs of the SDK, JSON and an upstream that was away: every mark arrived once, no secret\n' "$runs"
