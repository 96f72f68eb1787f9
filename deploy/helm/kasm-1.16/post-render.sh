#!/usr/bin/env bash
# Puts kasm-scrub into the rendered chart kasm-single-zone (Kasm 1.16), which has no hooks for it:
#
#   helm upgrade --install kasm ./kasm-single-zone --post-renderer deploy/helm/kasm-1.16/post-render.sh
#   helm template kasm ./kasm-single-zone | deploy/helm/kasm-1.16/post-render.sh > kasm.yaml
#
# Covers: the containers, routes and files of the components that kustomization.yaml beside it names. Helm does not hand over
# hooks (kasm-db-init, if it is one) to a post-renderer: `helm template … | post-render.sh` sees them.
#
# Nothing comes out unless every workload that these components are for has what they put in: a chart that names or labels
# one of them otherwise would leave it as it was, and no line of kustomize's would say so. Nor does it where a workload has
# an image of Kasm's and no component is for it. What is missing is named, and the exit code is 1.
#   KASM_SCRUB_ABSENT         labels (app.kubernetes.io/name) of components that are not deployed: "kasm-share rdp-gateway"
#   KASM_SCRUB_EXPECT         which forms must be there: "sidecar run" (what the kustomization beside it has), or one of
#                             them, or "none"
#   KASM_SCRUB_UNCOVERED      labels of workloads with Kasm's images that stay as they are; of the database and its Jobs
#                             it is known
#   KASM_SCRUB_KUSTOMIZATION  another kustomization.yaml than the one beside it
#
# What is added goes into the chart's namespace (its value global.namespace), unless the kustomization names one.
#
# Needs kubectl 1.27 or newer; no cluster.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
fail() { printf 'post-render.sh: %s\n' "$*" >&2; exit 1; }
command -v kubectl > /dev/null || fail "kubectl is missing"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A kustomization may only name files below itself, and components beside it.
mkdir -p "$work/helm/kasm-1.16"
cp -R "$here/../../kubernetes" "$work/kubernetes"
cp "${KASM_SCRUB_KUSTOMIZATION:-$here/kustomization.yaml}" "$work/helm/kasm-1.16/kustomization.yaml"

# The chart has keys twice (`type` of four Secrets), which kustomize refuses. kubectl takes the last of them, as the server
# does, and writes what it took; it puts no line between documents. The label it is told to remove is on nothing.
kubectl label --local --filename - kasm-scrub/none- --output yaml \
  | awk '/^apiVersion:/ { print "---" } { print }' > "$work/helm/kasm-1.16/rendered.yaml"

# The chart says its namespace in each object; what is added must be in the same.
if ! grep -q '^namespace:' "$work/helm/kasm-1.16/kustomization.yaml"; then
  namespace=$(kubectl label --local --filename "$work/helm/kasm-1.16/rendered.yaml" kasm-scrub/none- --output go-template='
{{- if .spec }}{{ with .metadata.namespace }}{{ . }}{{ "\n" }}{{ end }}{{ end }}' | sort -u)
  case $namespace in
    "") ;;
    *[!a-z0-9-]*) fail "the chart is for more than one namespace: $(echo $namespace); render one at a time" ;;
    *) printf '\nnamespace: %s\n' "$namespace" >> "$work/helm/kasm-1.16/kustomization.yaml" ;;
  esac
fi
kubectl kustomize "$work/helm/kasm-1.16" > "$work/out.yaml"

# What must be there, as the components themselves say it, a line each: sidecar APP; mount APP CONTAINER; run APP CONTAINER.
for form in ${KASM_SCRUB_EXPECT-sidecar run}; do
  components=$work/kubernetes/components
  case $form in
    sidecar)
      sed -n 's/.*labelSelector: app.kubernetes.io\/name in (\(.*\)).*/\1/p' "$components/native-sidecar/kustomization.yaml" \
        | tr -d ' ' | tr ',' '\n' | sed 's/^/sidecar /'
      word=mount from=$components/logs/kustomization.yaml
      ;;
    run) word=run from=$components/run/kustomization.yaml ;;
    none) continue ;;
    *) fail "KASM_SCRUB_EXPECT has $form in it; it takes sidecar, run or none" ;;
  esac
  awk -v word="$word" '
    match($0, /labelSelector: app.kubernetes.io\/name=[a-z-]+/) { app = substr($0, RSTART, RLENGTH); sub(/.*=/, "", app) }
    /^ *- name: [a-z-]+-container$/ { print word, app, $NF }
  ' "$from"
done > "$work/expected"
[ -s "$work/expected" ] || [ "${KASM_SCRUB_EXPECT-sidecar run}" = none ] || fail "the components do not say whom they are for"

# What there is, a line for each workload and each of its containers.
kubectl label --local --filename "$work/out.yaml" kasm-scrub/none- --output go-template='
{{- $kind := .kind }}{{ $name := .metadata.name }}{{ $app := "-" }}
{{- with .metadata.labels }}{{ with index . "app.kubernetes.io/name" }}{{ $app = . }}{{ end }}{{ end }}
{{- with .spec }}{{ if eq (printf "%T" .) "map[string]interface {}" }}{{ with .template }}{{ with .spec }}{{ if .containers }}
{{- "workload " }}{{ $kind }}/{{ $name }} {{ $app }}{{ "\n" }}
{{- range .initContainers }}{{ "init " }}{{ $kind }}/{{ $name }} {{ $app }} {{ .name }} {{ or .image "-" }} {{ "-" }} {{ "-" }}{{ "\n" }}{{ end }}
{{- range .containers }}{{ "main " }}{{ $kind }}/{{ $name }} {{ $app }} {{ .name }} {{ or .image "-" }} {{ "" }}
{{- range $i, $w := .command }}{{ if lt $i 2 }}{{ printf "%q" $w }},{{ end }}{{ else }}-{{ end }} {{ "" }}
{{- range .volumeMounts }}{{ .name }},{{ else }}-{{ end }}{{ "\n" }}{{ end }}
{{- end }}{{ end }}{{ end }}{{ end }}{{ end }}' > "$work/found"

# Whose workload one is, its label says or the name of its container: a label that was changed makes nobody absent.
awk -v absent=" ${KASM_SCRUB_ABSENT-} " -v expect="${KASM_SCRUB_EXPECT-sidecar run}" \
  -v uncovered=" kasm-db kasm-db-init kasm-db-upgrade kasm-db-backup ${KASM_SCRUB_UNCOVERED-} " '
  FILENAME == ARGV[1] { expected[FNR] = $0; known[$2] = 1; last = FNR; next }
  $1 == "workload" { workloads[$2] = 1; if ($3 in known) of[$3, $2] = 1; next }
  { app = $4; if (sub(/-container$/, "", app) && app in known) of[app, $2] = 1 }
  $1 == "main" && $5 ~ /(^|\/)kasmweb\// { kasm[$2, $3] = $4 " has image " $5 }
  $5 == "-" { print $2 ": container " $4 " has no image: the chart has no container of this name, a patch does" }
  $4 == "kasm-scrub" { sidecar[$2] = 1 }
  $6 ~ /^"\/kasm-scrub\/kasm-scrub","run",/ { run[$2, $4] = 1 }
  index("," $7, ",kasm-scrub-logs,") { mount[$2, $4] = 1 }
  END {
    for (both in kasm) {
      split(both, part, SUBSEP)
      if (!index(" " expect " ", " sidecar ") || part[2] in known || index(uncovered, " " part[2] " ")) continue
      print part[1] ": container " kasm[both] ", and nothing here is for a workload with label " part[2] "; if its text may stay raw, say so: KASM_SCRUB_UNCOVERED=\"" part[2] "\""
    }
    count = split(absent, words, " ")
    for (i = 1; i <= count; i++)
      if (words[i] in known) away[words[i]] = 1
      else print "KASM_SCRUB_ABSENT has " words[i] " in it, which is no component that this is for"
    for (i = 1; i <= last; i++) {
      split(expected[i], want, " ")
      app = want[2]; there = 0
      for (workload in workloads) {
        if (!((app, workload) in of)) continue
        there = 1
        if (want[1] == "sidecar" && !(workload in sidecar)) print workload " (" app ") has no container kasm-scrub"
        if (want[1] == "run" && !((workload, want[3]) in run)) print workload " (" app "): container " want[3] " does not run under `run`"
        if (want[1] == "mount" && !((workload, want[3]) in mount)) print workload " (" app "): container " want[3] " has its log files elsewhere"
      }
      if (!there && !(app in away) && !(app in told)) {
        told[app] = 1
        print app ": no workload has this label or a container " app "-container; if it is not deployed, say so: KASM_SCRUB_ABSENT=\"" app "\""
      }
    }
  }
' "$work/expected" "$work/found" | sort > "$work/wrong"
if [ -s "$work/wrong" ]; then
  sed 's/^/post-render.sh: /' "$work/wrong" >&2
  fail "nothing is rendered: text of what is named here would stay as it is"
fi
cat "$work/out.yaml"
