#!/usr/bin/env bash
# A real pod: podman and runc play deploy/e2e/pod/pod.yaml with images that are built from nothing but a static binary. An init
# container installs the binary; two containers run under it, one of which is stopped in the middle of what it says; one writes
# files, a FIFO and syslog, one sends OTLP; the sidecar takes all that, learns a value and keeps an audit trail; a sink that is not ours is
# upstream. Then: no planted secret in the log of any container, in the sink, or anywhere in the storage of the containers; every
# line once and in order, and those without a secret byte for byte; the exit status of the application kept; the trail whole,
# with as many findings as there are markers.
#
# Needs root and podman 4.3 or newer with runc (or Debian, to install them), no network and no registry.
# KASM_SCRUB_STATIC_BIN names a static binary; without it deploy/build.sh makes one.
# KASM_SCRUB_KEEP=1 leaves the working folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD

say() { printf 'pod.sh: %s\n' "$*" >&2; }
fail() {
  say "$*"
  if [ -n "${work:-}" ] && [ -d "$work/store" ]; then
    timeout 20 podman ps --all --format '{{.Names}} {{.Status}}' >&2 || true
    for log in "$work"/logs/*; do [ -f "$log" ] && { echo "-- $log"; tail -n 15 "$log"; } >&2; done
  fi
  exit 1
}

[ "$(id -u)" = 0 ] || fail "playing a pod with these checks of its storage needs root"
missing=()
for pair in podman:podman runc:runc conmon:conmon catatonit:catatonit busybox:busybox-static; do
  command -v "${pair%%:*}" > /dev/null || [ -x "/usr/libexec/podman/${pair%%:*}" ] || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get > /dev/null || fail "${missing[*]} missing; install them (this is not Debian)"
  say "installing ${missing[*]}"
  apt-get update -qq > /dev/null || fail "apt-get update failed; install ${missing[*]} by hand"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null \
    || fail "cannot install ${missing[*]}; install them by hand"
fi
busybox=$(command -v busybox)
if ldd "$busybox" 2>&1 | grep -q '=>'; then fail "busybox is not static; install busybox-static"; fi

# The binary: with musl, as the image has it, where Rust has that target; with glibc, linked statically, otherwise.
bin=${KASM_SCRUB_STATIC_BIN:-}
if [ -z "$bin" ]; then
  target=x86_64-unknown-linux-musl
  if ! [ -d "$(rustc --print target-libdir --target $target)" ] || ! command -v musl-gcc > /dev/null; then
    target=x86_64-unknown-linux-gnu
  fi
  say "building for $target"
  bin=$root/target/static/kasm-scrub
  TARGET=$target env -u CARGO_TARGET_DIR deploy/build.sh "$bin"
fi

work=$(mktemp -d)
mkdir -p "$work"/{store,run,tmp,logs,image,app}
export CONTAINERS_CONF=$work/containers.conf CONTAINERS_STORAGE_CONF=$work/storage.conf TMPDIR=$work/tmp
clean_up() {
  # Nothing of the pod may be left, whatever happened.
  timeout 60 podman pod rm --all --force --time 0 > /dev/null 2>&1 || true
  timeout 30 podman rm --all --force --time 0 > /dev/null 2>&1 || true
  timeout 30 podman volume rm --all --force > /dev/null 2>&1 || true
  # Mounts that are left, the innermost first.
  awk -v below="$work/" 'index($2, below) == 1 { print $2 }' /proc/mounts | tac | xargs -r umount --lazy || true
  if [ "${KASM_SCRUB_KEEP:-}" = 1 ]; then say "left: $work"; else rm -rf "$work"; fi
}
trap clean_up EXIT

# No limits that a machine without CAP_SYS_RESOURCE cannot set, nor cgroups that it does not have.
cat > "$CONTAINERS_CONF" << 'CONF'
[containers]
pids_limit = 0
default_ulimits = ["nofile=1024:1024","nproc=1000:1000"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/store"\nrunroot = "%s/run"\n' "$work" "$work" > "$CONTAINERS_STORAGE_CONF"

# build NAME FOLDER DOCKERFILE: an image from scratch; nothing is pulled.
build() {
  timeout 120 podman build --quiet --network none --pull-never --tag "localhost/$1:e2e" --file "$3" "$2" \
    > "$work/logs/build-$1" 2>&1 || fail "cannot build the image $1"
}
# The last stage of the Dockerfile that is shipped, with the binary that is here.
install -m 0755 "$bin" "$work/image/kasm-scrub"
awk '/^FROM scratch/ { last = 1 } last' deploy/Dockerfile | sed 's/^COPY --from=build [^ ]* /COPY kasm-scrub /' \
  > "$work/image/Dockerfile"
build kasm-scrub "$work/image" "$work/image/Dockerfile"
user=$(podman image inspect --format '{{.User}}' localhost/kasm-scrub:e2e)
[ "$user" = 65532:65532 ] || fail "the image's user is $user"
cp -R deploy/e2e/pod/app deploy/e2e/pod/www "$work/app/"
install -m 0755 "$busybox" "$work/app/busybox"
build kasm-app "$work/app" deploy/e2e/pod/Dockerfile.app

# What every planted secret contains, put together here as the applications do; and its base64, whatever stands before it.
needle=De''ad
needle=${needle}Ka''sm
needle=${needle}Be''ef
needles=("$needle")
for shift in "" x xx; do
  # The characters at both ends also depend on the neighbours.
  encoded=$(printf '%s%s' "$shift" "$needle" | base64 | tr -d '=')
  needles+=("${encoded:4:${#encoded}-6}")
done
# found PLACE…: the files of these that hold one of them, what is mounted below left out.
found() {
  local arguments=()
  for one in "${needles[@]}"; do arguments+=(-e "$one"); done
  find "$@" -xdev -type f -print0 | xargs -0 -r grep --text --fixed-strings --files-with-matches "${arguments[@]}" || true
}

# A search that finds nothing must be able to find something: a container says a secret raw.
timeout 30 podman run --rm=false --network none --name control localhost/kasm-app:e2e \
  /bin/busybox sh -c '. /app/lines.sh; line control 100001' > /dev/null 2>&1 || fail "the control does not run"
[ -n "$(found "$work/store" "$work/run")" ] || fail "the search of the storage does not find what is in it"
timeout 30 podman rm control > /dev/null
[ -z "$(found "$work/store" "$work/run")" ] || fail "an image or what the control left holds a secret: $(found "$work/store" "$work/run")"

# This podman does not know `medium: Memory`; a volume of that name which is there already is used.
for name in logs secrets; do
  podman volume create --opt type=tmpfs --opt device=tmpfs --opt o=mode=1777,nodev,nosuid "$name" > /dev/null
done
podman volume create audit-key > /dev/null
key=$(podman volume inspect --format '{{.Mountpoint}}' audit-key)/key
head -c 32 /dev/urandom | base64 > "$key"
# A volume in memory is there while somebody has it: until the pod does, this holds it.
secrets=$(podman volume mount secrets)
printf '%sQ7xV2mZ9\n' "$needle" > "$secrets/token"
timeout 120 podman kube play --network none deploy/e2e/pod/pod.yaml > "$work/logs/play" 2>&1 || fail "the pod cannot be played"
volume=$(podman volume inspect --format '{{.Mountpoint}}' logs)

# ends NAME STATUS: the container comes to its end by itself, with this status.
ends() {
  local status
  status=$(timeout 180 podman wait "kasm-$1") || fail "container $1 does not end"
  [ "$status" = "$2" ] || fail "container $1 ended with $status, not $2"
}
logs() {
  for name in install wrapped burst writer client sidecar sink; do
    timeout 30 podman logs "kasm-$name" > "$work/logs/$name.out" 2> "$work/logs/$name.err" || fail "no logs of $name"
  done
}
trap 'logs 2> /dev/null || true; clean_up' EXIT
# As a pod is stopped that is deleted: SIGTERM, and time to end.
tries=0
until [ "$(timeout 30 podman logs kasm-burst 2> /dev/null | wc -l)" -gt 3000 ]; do
  tries=$((tries + 1))
  [ $tries -le 300 ] || fail "burst says too little"
  sleep 0.1
done
timeout 60 podman stop --time 45 kasm-burst > /dev/null || fail "burst does not stop"
ends burst 3
ends wrapped 7
ends writer 0
ends client 0
[ "$(stat --file-system --format %T "$volume")" = tmpfs ] || fail "the volume of raw files is on a disk"
grep -rqF "$needle" "$volume" || fail "the raw files hold no secret: there is nothing to be tested"
# As Kubernetes ends a native sidecar: after all others, by SIGTERM, and with its time to drain.
timeout 60 podman stop --time 45 kasm-sidecar > /dev/null || fail "the sidecar does not stop"
ends sidecar 0
timeout 30 podman kill kasm-sink > /dev/null || true
logs

# numbered WHAT NAME NUMBER…: what stands on stdin has these numbers behind the name, each once and in order.
numbered() {
  local what=$1 name=$2
  shift 2
  if ! diff <(printf '%s\n' "$@") <(grep --text --only-matching --perl-regexp "(?<![a-z])$name \\K[0-9]{6}(?![0-9])") \
    > "$work/diff"; then
    head -n 5 "$work/diff" >&2
    fail "$what: not every line once and in order"
  fi
}
sink=$(podman volume inspect --format '{{.Mountpoint}}' sink)
mapfile -t parts < <(for part in 1 2 3 4; do seq "10${part}001" "10${part}999"; done)
numbered "stdout of wrapped" out $(seq 100001 104001) < "$work/logs/wrapped.out"
numbered "stderr of wrapped" err $(seq 100001 104000) < "$work/logs/wrapped.err"
numbered "the FIFO" fifo $(seq 100001 102001) < "$work/logs/sidecar.out"
numbered "the file, renamed four times" file "${parts[@]}" < "$work/logs/sidecar.out"
numbered "syslog" syslog $(seq 100001 101000) < "$work/logs/sidecar.out"
numbered "logs at the sink" otlp $(seq 100001 100100) < "$sink/logs"
numbered "traces at the sink" span $(seq 100001 100100) < "$sink/traces"
# What the one that was stopped says of itself is true of what came out.
for stream in out err; do
  said=$(sed -n 's/^the last was //p' "$work/logs/burst.$stream")
  [ "${said:-0}" -gt 101500 ] || fail "burst was stopped after '$said'"
  numbered "std$stream of burst, which was stopped" burst $(seq 100001 "$said") < "$work/logs/burst.$stream"
done

# harmless WHAT FORM NUMBER…: stdin is the harmless lines of these numbers (every other one has a secret), byte for byte; FORM
# is that of printf.
harmless() {
  local what=$1 form=$2
  shift 2
  if ! cmp <(printf "$form\\n" "$@") - > "$work/diff" 2>&1; then
    cat "$work/diff" >&2
    fail "$what: harmless lines are not as they were"
  fi
}
even() { seq "$1" 2 "$2"; }
line='harmless, with a quote " and an ümlaut'
harmless "stdout of wrapped" "out %s $line" $(even 100002 104000) < <(grep ' harmless, ' "$work/logs/wrapped.out")
harmless "stderr of wrapped" "err %s $line" $(even 100002 104000) < <(grep ' harmless, ' "$work/logs/wrapped.err")
for stream in out err; do
  said=$(sed -n 's/^the last was //p' "$work/logs/burst.$stream")
  harmless "std$stream of burst" "burst %s $line" $(even 100002 "$said") < <(grep ' harmless, ' "$work/logs/burst.$stream")
done
# Records of the sidecar are JSON, and so are requests to it; there a quote stands behind a backslash.
message='harmless, with a quote \\" and an ümlaut'
records() { grep --only-matching "\"message\":\"$1 [0-9]* harmless, .*ümlaut\"," "$work/logs/sidecar.out"; }
harmless "the FIFO" "\"message\":\"fifo %s $message\"," $(even 100002 102000) < <(records fifo)
harmless "the file" "\"message\":\"file %s $message\"," $(for part in 1 2 3 4; do even "10${part}002" "10${part}998"; done) < <(records file)
harmless "syslog" "\"message\":\"syslog %s $message\"," $(even 100002 101000) < <(records syslog)
for signal in logs traces; do
  harmless "$signal at the sink" "\"harmless %s, ${message#*, }\"" $(seq 100001 100100) \
    < <(grep --text --only-matching '"harmless [0-9]*, .*ümlaut"' "$sink/$signal")
done
# Of the other lines only the secret is not as it was.
scrubbed=$(grep -cx 'out [0-9]* login of kasm_user password=\[REDACTED:[a-z-]*\] took 3 ms' "$work/logs/wrapped.out") || true
[ "$scrubbed" = 400 ] || fail "$scrubbed of 400 logins of wrapped are scrubbed as they should be"

grep -q 'fifo 102001 was started with \[REDACTED:learned-secret\] and runs' "$work/logs/sidecar.out" \
  || fail "a learned value is not found where nothing else gives it away"

# The audit trail of the sidecar: whole and closed, with a finding for each marker that came out; and one that was changed is
# told from it.
audit=$(podman volume inspect --format '{{.Mountpoint}}' audit)
"$bin" audit verify --key "$key" "$audit"/trail.jsonl* > "$work/logs/audit" 2>&1 || fail "the audit trail is not whole: $(cat "$work/logs/audit")"
grep -q '^ok: ' "$work/logs/audit" || fail "the audit trail: $(cat "$work/logs/audit")"
if grep -q 'not closed' "$work/logs/audit"; then fail "the audit trail is not closed"; fi
# Of OTLP a request that its client sends again, because nobody upstream took it, counts again.
count() { grep --text --only-matching -E '(\[|%5B)REDACTED:' "$@" | wc -l; }
shown=$("$bin" audit show "$audit"/trail.jsonl*)
sum() { printf '%s\n' "$shown" | awk -v otlp="$1" '($3 ~ /^otlp\//) == otlp { sum += $1 } END { print sum + 0 }'; }
audited=$(sum 0) && again=$(sum 1)
[ "$audited" = "$(count -h "$work/logs/sidecar.out")" ] || fail "findings in the audit trail are not those in the output: $shown"
[ "$again" -ge "$(count -h "$sink/logs" "$sink/traces")" ] || fail "findings of OTLP are not in the audit trail: $shown"
audited=$((audited + again))
sed '/"kind":"found"/ { s/"count":[0-9]*/"count":4711/; :rest n; b rest }' "$audit/trail.jsonl" > "$work/changed.jsonl"
if cmp --silent "$audit/trail.jsonl" "$work/changed.jsonl"; then fail "nothing of the audit trail was changed"; fi
changed=0
"$bin" audit verify --key "$key" "$work/changed.jsonl" > /dev/null 2>&1 || changed=$?
[ "$changed" = 1 ] || fail "a changed audit trail is taken for what was written ($changed)"

# Nowhere: not in logs, not at the sink, not in any layer, volume, state or log file of the storage.
raw=$(found "$work/logs" "$work/store" "$work/run")
[ -z "$raw" ] || fail "a planted secret is in: $raw"
searched=$(find "$work/store" "$work/run" -xdev -type f | wc -l)

say "every line of 7 routes and 2 signals once and in order, the harmless ones byte for byte; $audited findings in the audit trail;"
say "no secret in any of it or in the $searched files of the storage"
