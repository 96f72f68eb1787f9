"""Checks what a component has made of the chart: `check.py RENDERED.yaml`. The file's name says which component it was.

The schemas of Kubernetes are those of 1.29 (the first with native sidecars) and of the newest that is known; strict, so a
key that does not exist is a fault."""

import pathlib
import sys

import kubernetes_validate
import yaml

SIDECAR = ["kasm-api", "kasm-manager", "kasm-share", "kasm-guac", "kasm-proxy", "rdp-gateway", "rdp-https-gateway"]
LOGS = {name: "/opt/kasm/current/log" for name in SIDECAR} | {"kasm-proxy": "/var/log/external/nginx"}

path = pathlib.Path(sys.argv[1])
name = path.stem
documents = [document for document in yaml.safe_load_all(path.read_text()) if document]
faults = []


def check(holds, what):
    if not holds:
        faults.append(what)


def pods():
    for document in documents:
        template = document.get("spec", {}).get("template")
        if template:
            yield document["metadata"].get("labels", {}).get("app.kubernetes.io/name"), template["spec"]


for document in documents:
    label = f"{document['kind']} {document['metadata']['name']}"
    if document["apiVersion"].startswith("monitoring.coreos.com/"):
        continue
    for version in ("1.29", "1.37"):
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            faults.append(f"{label}, {version}: {error.message}")

for app, pod in pods():
    volumes = [volume["name"] for volume in pod.get("volumes", [])]
    check(len(volumes) == len(set(volumes)), f"{app}: a volume twice")
    init, containers = pod.get("initContainers", []), pod["containers"]
    for container in init + containers:
        mounts = container.get("volumeMounts", [])
        places = [mount["mountPath"] for mount in mounts]
        check(len(places) == len(set(places)), f"{app}/{container['name']}: two mounts at one path")
        for mount in mounts:
            check(mount["name"] in volumes, f"{app}/{container['name']}: no volume {mount['name']}")
    if app not in SIDECAR:
        continue
    main = next(container for container in containers if container["name"] == f"{app}-container")
    mounts = {mount["mountPath"]: mount for mount in main.get("volumeMounts", [])}
    if name in ("logs", "native-sidecar", "plain-sidecar", "shipped"):
        check(mounts[LOGS[app]]["name"] == "kasm-scrub-logs", f"{app}: its log files are not in the volume")
    if name in ("native-sidecar", "shipped"):
        ours = [container for container in init if container["name"] != "kasm-scrub-install"]
        check(ours[0]["name"] == "kasm-scrub", f"{app}: {ours[0]['name']} starts before the sidecar")
        check(ours[0].get("restartPolicy") == "Always", f"{app}: the sidecar is not a native one")
    if name == "plain-sidecar":
        check(containers[0]["name"] == "kasm-scrub", f"{app}: the sidecar is not the first")
        check(all("restartPolicy" not in container for container in init), f"{app}: a native sidecar")
    if name in ("run", "shipped") and app in ("kasm-guac", "rdp-gateway"):
        check(main["command"][:3] == ["/kasm-scrub/kasm-scrub", "run", "--"], f"{app}: it is not wrapped")
        check(mounts["/kasm-scrub"].get("readOnly") is True, f"{app}: it can write to the binary")
        check("kasm-scrub-install" in [container["name"] for container in init], f"{app}: nothing installs the binary")

if name in ("network-policies", "shipped"):
    apps = {app for app, _ in pods()} | {"kasm-db", "kasm-db-init", "kasm-db-upgrade", "kasm-db-backup"}
    policies = [document for document in documents if document["kind"] == "NetworkPolicy"]
    deny = [policy for policy in policies if policy["spec"]["podSelector"] == {} and "ingress" not in policy["spec"]]
    check(any("egress" not in policy["spec"] for policy in deny), "nothing denies by default")
    clients = {}
    for policy in policies:
        spec = policy["spec"]
        selector = spec["podSelector"]
        named = [selector.get("matchLabels", {}).get("app.kubernetes.io/name")]
        for expression in selector.get("matchExpressions", []):
            named += expression["values"]
        for app in filter(None, named):
            known = app in apps or app.startswith("kasm-scrub")
            check(known, f"{policy['metadata']['name']}: selects {app}, which is nowhere")
        for rules, word in ((spec.get("ingress", []), "from"), (spec.get("egress", []), "to")):
            for rule in rules:
                check(rule.get(word) and rule.get("ports"), f"{policy['metadata']['name']}: open to anybody or any port")
        for rule in spec.get("ingress", []):
            for peer in rule["from"]:
                selector = peer.get("podSelector", {})
                for app in filter(None, named):
                    clients.setdefault(app, set()).update(
                        filter(None, [selector.get("matchLabels", {}).get("app.kubernetes.io/name")]),
                        *[expression["values"] for expression in selector.get("matchExpressions", [])],
                    )
    check(clients.get("kasm-redis") == {"kasm-share"}, f"clients of Redis: {clients.get('kasm-redis')}")
    check("kasm-proxy" not in clients.get("kasm-db", set()), "the proxy reaches the database")
    check({"kasm-api", "kasm-manager", "kasm-share", "kasm-db-init"} <= clients.get("kasm-db", set()), "a client of the database is missing")

for fault in faults:
    print(f"{path.name}: {fault}", file=sys.stderr)
sys.exit(1 if faults else 0)
