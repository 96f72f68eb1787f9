#!/usr/bin/env bash
# Puts kasm-scrub into the rendered chart kasm-single-zone (Kasm 1.16), which has no hooks for it:
#
#   helm upgrade --install kasm ./kasm-single-zone --post-renderer deploy/helm/kasm-1.16/post-render.sh
#   helm template kasm ./kasm-single-zone | deploy/helm/kasm-1.16/post-render.sh > kasm.yaml
#
# Covers: the containers, routes and files of the components that kustomization.yaml beside it names. Helm does not hand over
# hooks (kasm-db-init, if it is one) to a post-renderer: `helm template … | post-render.sh` sees them.
#
# Needs kubectl 1.27 or newer; no cluster. KASM_SCRUB_KUSTOMIZATION names another kustomization.yaml than the one beside it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
command -v kubectl > /dev/null || { echo "post-render.sh: kubectl is missing" >&2; exit 1; }

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
kubectl kustomize "$work/helm/kasm-1.16"
