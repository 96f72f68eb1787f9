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

mkdir "$work/rendered"
chart=tests/data/kasm-1.16.yaml
post_render=deploy/helm/kasm-1.16/post-render.sh
# render NAME COMPONENT…: the chart with these components.
render() {
  local name=$1 expect=none
  shift
  case " $* " in
    *-sidecar\ *) expect=sidecar ;;
    *\ run\ *) expect=run ;;
  esac
  {
    printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n'
    printf 'resources:\n- rendered.yaml\n- ../../kubernetes/base\ncomponents:\n'
    printf -- '- ../../kubernetes/components/%s\n' "$@"
  } > "$work/kustomization.yaml"
  KASM_SCRUB_EXPECT=$expect KASM_SCRUB_KUSTOMIZATION=$work/kustomization.yaml "$post_render" < "$chart" > "$work/rendered/$name.yaml" \
    || fail "$name does not render"
}
for path in deploy/kubernetes/components/*/; do
  name=$(basename "$path")
  # These go into a sidecar or a gateway that is there.
  case $name in learned | audit | gateway-*) continue ;; esac
  render "$name" "$name"
done
render learned-and-audit native-sidecar learned audit run
render learned-plain plain-sidecar learned
render policies-and-gateway network-policies gateway
render gateways native-sidecar gateway gateway-external gateway-client
"$post_render" < "$chart" > "$work/rendered/shipped.yaml" || fail "what is shipped for 1.16 does not render"

# refuses WORD WHAT [ABSENT]: a chart that is not as the components think, on stdin, does not come out, and what is not
# covered is named.
refuses() {
  if KASM_SCRUB_ABSENT=${3-} "$post_render" > "$work/refused.yaml" 2> "$work/refused.log"; then fail "$2 comes out"; fi
  [ ! -s "$work/refused.yaml" ] || fail "$2: something comes out all the same"
  grep -q -- "$1" "$work/refused.log" || fail "$2: $1 is not named: $(cat "$work/refused.log")"
}
without() { awk -v name="$1" 'BEGIN { RS = ORS = "---\n" } index($0, name) == 0' "$chart"; }
relabelled=$(sed 's/app.kubernetes.io\/name: kasm-guac/app.kubernetes.io\/name: kasm/' "$chart")
refuses 'Deployment/kasm-guac-deployment.*no container kasm-scrub' "guac with another label" <<< "$relabelled"
refuses 'kasm-guac-container does not run' "guac with another label, said to be absent" kasm-guac <<< "$relabelled"
refuses 'kasm-guac-container has no image' "a container of another name" < <(sed 's/name: kasm-guac-container/name: guac/' "$chart")
refuses 'kasm-share: no workload' "a chart without kasm-share" < <(without kasm-share)
refuses 'has kasm-gauc in it' "a component that there is not, said to be absent" kasm-gauc < "$chart"
renamed=$(sed 's/rdp-https-gw/rdp-https/' "$chart")
refuses 'Deployment/rdp-https-deployment.*label rdp-https;' "a gateway of another name, said to be absent" rdp-https-gw <<< "$renamed"
refuses 'more than one namespace: kasm other' "a chart in two namespaces" < <(awk '/namespace: kasm/ && ++seen > 3 { sub(/: kasm/, ": other") } { print }' "$chart")
sed 's/namespace: kasm/namespace: other/' "$chart" | "$post_render" > "$work/elsewhere.yaml" || fail "a chart in another namespace does not render"
[ "$(grep -c '^  namespace: other$' "$work/elsewhere.yaml")" = "$(grep -c '^kind:' "$work/elsewhere.yaml")" ] \
  || fail "what is added is in another namespace than the chart"
without kasm-share | KASM_SCRUB_ABSENT=kasm-share "$post_render" > /dev/null || fail "a component that is said to be absent is asked for"

# What the README says of Kustomize, as it says it: the chart made readable, and the kustomization.
mkdir -p "$work/readme/kasm-scrub/deploy"
cp -R deploy/kubernetes "$work/readme/kasm-scrub/deploy/kubernetes"
section=$(sed -n '/^## With Kustomize/,/^## /p' deploy/README.md)
awk '/^```yaml/ { inside = 1; next } /^```/ { inside = 0 } inside' <<< "$section" > "$work/readme/kustomization.yaml"
awk '/^```sh/ { inside = 1; next } /^```/ { inside = 0 } inside' <<< "$section" > "$work/readme/lines.sh"
(
  helm() { cat "$OLDPWD/$chart"; }
  cd "$work/readme"
  . ./lines.sh
) || fail "the line of the README for Kustomize does not work"
kubectl kustomize "$work/readme" > "$work/rendered/readme.yaml" || fail "the README's kustomization does not render"

count=0
for rendered in "$work"/rendered/*.yaml; do
  count=$((count + 1))
  # kubectl reads every object, needs no server for that, and gives back as many.
  wrote=$(grep -c '^kind:' "$rendered")
  took=$(kubectl label --local --filename "$rendered" kasm-scrub/none- --output name 2> "$work/kubectl.log" | wc -l) \
    || fail "kubectl does not take $rendered: $(cat "$work/kubectl.log")"
  [ "$wrote" = "$took" ] || fail "$(basename "$rendered"): kubectl took $took of $wrote objects"
  "$work/venv/bin/python" deploy/e2e/manifests/check.py "$rendered" || fail "$(basename "$rendered") is not as it should be"
done
"$work/venv/bin/python" deploy/e2e/manifests/values.py deploy/helm/kasm-1.19 || fail "the values for 1.19 are not as they should be"
printf 'manifests.sh: %s renderings of the components and of what is shipped for 1.16 are taken by kubectl and the schemas\n' "$count"
