"""Checks the values for chart kasm-helm (Kasm 1.19) against what is known of its two layouts: `values.py FOLDER`.

The chart's schema takes no component or hook that it does not know, so a file for one layout is refused by the other."""

import pathlib
import sys

import yaml

HOOKS = {"extraContainers", "extraInitContainers", "extraVolumes", "extraVolumeMounts"}
# The components of each layout, and the volumes that the chart has in their pods for what is read here.
PROXY = {"proxy": {"kasm-proxy-log-tmp"}}
LAYOUTS = {
    "values-released.yaml": {
        "api": set(),
        "manager": set(),
        **PROXY,
        "guac": {"kasm-guac-nginx-log-tmp"},
        "rdpGateway": {"kasm-rdp-gateway-data", "kasm-rdp-gateway-nginx-log-tmp"},
        "rdpHttpsGateway": {"kasm-rdp-https-gateway-data", "kasm-rdp-https-gateway-nginx-log-tmp"},
    },
    "values-connection-proxy.yaml": {
        "api": set(),
        "manager": set(),
        **PROXY,
        "connectionProxy": {
            "kasm-connection-proxy-nginx-log-tmp",
            "kasm-connection-proxy-rdp-gateway-data",
            "kasm-connection-proxy-rdp-https-gateway-data",
        },
    },
}
# Who talks to agents; the others to desktops.
TO_AGENTS = {"api", "manager", "proxy"}

folder = pathlib.Path(sys.argv[1])
faults = []
read = {name: yaml.safe_load((folder / name).read_text()) for name in LAYOUTS}


def check(holds, what):
    if not holds:
        faults.append(what)


def ports(rules):
    return {port["port"] for rule in rules for port in rule["ports"]}


check({path.name for path in folder.glob("*.yaml")} == set(LAYOUTS), "a file of values that nothing is known of")
for name, layout in LAYOUTS.items():
    values = read[name]
    check(set(values["components"]) == set(layout), f"{name}: components {sorted(values['components'])}")
    policies = values["networkPolicies"]["components"]
    check(set(policies) == set(layout), f"{name}: policies for {sorted(policies)}")
    for component, of_chart in layout.items():
        at = f"{name}: {component}"
        hooks = values["components"].get(component, {})
        check(set(hooks) <= HOOKS, f"{at}: {sorted(set(hooks) - HOOKS)} are no hooks of the chart")
        sidecars = hooks.get("extraInitContainers", [])
        check([one["name"] for one in sidecars] == ["kasm-scrub"], f"{at}: not one sidecar")
        volumes = {volume["name"] for volume in hooks.get("extraVolumes", [])}
        check(not volumes & of_chart, f"{at}: a volume that the chart has")
        for mount in sidecars[0]["volumeMounts"] + hooks.get("extraVolumeMounts", []):
            check(mount["name"] in volumes | of_chart, f"{at}: nothing is known of a volume {mount['name']}")
            check(mount["name"] not in of_chart or mount.get("readOnly"), f"{at}: it may write to {mount['name']}")
        check(of_chart <= {mount["name"] for mount in sidecars[0]["volumeMounts"]}, f"{at}: log files that it does not read")
        # All is closed, so the sidecar's own ways have to be opened.
        allowed = policies.get(component, {})
        egress, ingress = ports(allowed.get("extraEgress", [])), ports(allowed.get("extraIngress", []))
        check(4317 in egress, f"{at}: the sidecar does not reach the collector")
        check((443 if component in TO_AGENTS else 3389) in egress, f"{at}: no way to agents or desktops")
        check(9464 in ingress, f"{at}: Prometheus does not reach the sidecar")
        for rule in allowed.get("extraEgress", []) + allowed.get("extraIngress", []):
            check(rule.get("to") or rule.get("from"), f"{at}: open to anybody")
    check(values["networkPolicies"]["externalEgress"] == {"enabled": False}, f"{name}: anybody may go out of the cluster")

# What the layouts have in common is said twice, since helm does not join lists; it is the same.
one, other = read.values()
for component in ("api", "manager", "proxy"):
    check(one["components"][component] == other["components"][component], f"{component} differs between the two files")
check(one["extraObjects"] == other["extraObjects"], "the configuration differs between the two files")

for fault in faults:
    print(f"kasm-1.19: {fault}", file=sys.stderr)
sys.exit(1 if faults else 0)
