#!/usr/bin/env bash
# What is shipped in deploy/kubernetes and deploy/helm, as kubectl reads it, with no cluster: every component renders over a
# stand-in for the chart, what comes out is taken by kubectl and by the schemas of Kubernetes, and holds what it should.
#
# Needs kubectl 1.27 or newer, and Python 3.9 or newer with venv and its package index for the schemas.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { printf 'manifests.sh: %s\n' "$*" >&2; exit 1; }

command -v kubectl > /dev/null || fail "kubectl is missing; install 1.27 or newer"
kubectl kustomize --help > /dev/null 2>&1 || fail "this kubectl has no kustomize; install 1.27 or newer"
command -v python3 > /dev/null || fail "Python is missing; install Python 3.9 or newer"
python3 -m venv "$work/venv" || fail "python3 -m venv failed; install the venv module"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r deploy/e2e/manifests/requirements.txt

chart=tests/data/kasm-1.16.yaml
# render NAME COMPONENT…: the chart with these components.
render() {
  local name=$1
  shift
  {
    printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n'
    printf 'resources:\n- rendered.yaml\n- ../../kubernetes/base\ncomponents:\n'
    printf -- '- ../../kubernetes/components/%s\n' "$@"
  } > "$work/kustomization.yaml"
  KASM_SCRUB_KUSTOMIZATION=$work/kustomization.yaml deploy/helm/kasm-1.16/post-render.sh < "$chart" > "$work/$name.yaml" \
    || fail "$name does not render"
}
for path in deploy/kubernetes/components/*/; do render "$(basename "$path")" "$(basename "$path")"; done
deploy/helm/kasm-1.16/post-render.sh < "$chart" > "$work/shipped.yaml" || fail "what is shipped for 1.16 does not render"

for rendered in "$work"/{logs,native-sidecar,plain-sidecar,run,node-agent,gateway,network-policies,monitoring,shipped}.yaml; do
  # kubectl reads every object, needs no server for that, and gives back as many.
  wrote=$(grep -c '^kind:' "$rendered")
  took=$(kubectl label --local --filename "$rendered" kasm-scrub/none- --output name 2> "$work/kubectl.log" | wc -l) \
    || fail "kubectl does not take $rendered: $(cat "$work/kubectl.log")"
  [ "$wrote" = "$took" ] || fail "$(basename "$rendered"): kubectl took $took of $wrote objects"
  "$work/venv/bin/python" deploy/e2e/manifests/check.py "$rendered" || fail "$(basename "$rendered") is not as it should be"
done
printf 'manifests.sh: 8 components and what is shipped for 1.16 render, and kubectl and the schemas take them\n'
