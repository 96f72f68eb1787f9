"""Checks what a component has made of the chart: `check.py RENDERED.yaml`. The file's name says which component it was.

The schemas of Kubernetes are those of 1.29 (the first with native sidecars) and of the newest that is known; strict, so a
key that does not exist is a fault."""

import pathlib
import sys

import kubernetes_validate
import yaml

SIDECAR = ["kasm-api", "kasm-manager", "kasm-share", "kasm-guac", "kasm-proxy", "rdp-gateway", "rdp-https-gw"]
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
        program = main["command"]
        check(program[:2] == ["/kasm-scrub/kasm-scrub", "run"] and "--" in program[:-1], f"{app}: it is not wrapped")
        given = {variable["name"] for variable in main.get("env", [])}
        learned = {word.split("=")[1] for word in program if word.startswith("--learn-env=")}
        check(learned and learned <= given, f"{app}: it learns {learned} and is given {given}")
        check(mounts["/kasm-scrub"].get("readOnly") is True, f"{app}: it can write to the binary")
        check("kasm-scrub-install" in [container["name"] for container in init], f"{app}: nothing installs the binary")

if name == "gateways":
    kinds = {(document["kind"], document["metadata"]["name"]): document["spec"] for document in documents if "spec" in document}
    check(kinds["Service", "kasm-scrub-gateway"]["type"] == "LoadBalancer", "the gateway is not reachable from outside")
    peers = [peer for rule in kinds["NetworkPolicy", "kasm-scrub-gateway"]["ingress"] for peer in rule["from"]]
    check(any("ipBlock" in peer for peer in peers), "nobody from outside is let in at the gateway")
    for app, pod in pods():
        if app in SIDECAR:
            sidecar = next(container for container in pod["initContainers"] if container["name"] == "kasm-scrub")
            given = {variable["name"]: variable["value"] for variable in sidecar["env"]}
            mounts = [mount["mountPath"] for mount in sidecar["volumeMounts"]]
            check(given["OTEL_EXPORTER_OTLP_ENDPOINT"].startswith("https://kasm-scrub-gateway:"), f"{app}: it does not send to the gateway")
            check(all(any(given[key].startswith(place + "/") for place in mounts) for key in given if "CERT" in key or "KEY" in key),
                  f"{app}: its certificate is in no mount")

if name == "node-agent":
    pod = next(document for document in documents if document["kind"] == "DaemonSet")["spec"]["template"]["spec"]
    hosts = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"] if "hostPath" in volume}
    seen = {hosts[mount["name"]]: mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] in hosts}
    for path_of_node, mount in seen.items():
        writable = path_of_node == "/var/lib/kasm-scrub"
        check(mount.get("readOnly", False) is not writable, f"{path_of_node}: it may write there, or may not where it has to")
        # Links of cri-dockerd name places of the node.
        check(writable or mount["mountPath"] == path_of_node, f"{path_of_node}: it is elsewhere in the container")
    check({"/var/log/pods", "/var/lib/docker/containers"} <= set(seen), f"it sees only {sorted(seen)}")

LABEL = "app.kubernetes.io/name"
# In the same namespace, and not of the chart.
NEIGHBOURS = {"kasm-db", "kasm-db-init", "kasm-db-upgrade", "kasm-db-backup", "kasm-otel-collector"}


def selected(selector):
    """The apps that a selector names; None: every pod."""
    if not selector:
        return None
    named = {selector["matchLabels"][LABEL]} if LABEL in selector.get("matchLabels", {}) else set()
    return named.union(*[expression["values"] for expression in selector.get("matchExpressions", [])])


def ways(policies, direction, word, nobody):
    """Who is let where: (selected app, app in the same namespace, port) of each rule."""
    for policy in policies:
        apps = selected(policy["spec"]["podSelector"])
        for rule in policy["spec"].get(direction, []):
            for peer in rule[word]:
                if "podSelector" not in peer or "namespaceSelector" in peer:
                    continue
                for app in apps if apps is not None else nobody:
                    for other in selected(peer["podSelector"]) or nobody:
                        for port in rule["ports"]:
                            yield app, other, port["port"]


if name == "learned-and-audit":
    for app, pod in pods():
        if app not in SIDECAR:
            continue
        sidecar = next(container for container in pod["initContainers"] if container["name"] == "kasm-scrub")
        mounts = {mount["mountPath"]: mount for mount in sidecar["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        config = volumes[mounts["/etc/kasm-scrub"]["name"]]
        sources = config.get("projected", {}).get("sources", [])
        check({"configMap", "secret"} == {key for source in sources for key in source}, f"{app}: no Secret beside the configuration")
        check(mounts["/etc/kasm-scrub"].get("readOnly") is True, f"{app}: it can write to its Secret")
        check(any(word.startswith("--audit=/audit/") for word in sidecar["args"]), f"{app}: it keeps no audit trail")
        check(mounts["/audit"]["name"] != mounts["/audit-key"]["name"], f"{app}: the trail's key lies where the trail lies")
if name in ("learned-and-audit", "learned-plain"):
    base = pathlib.Path("deploy/kubernetes/base/configmap.yaml")
    maps = [document for document in documents if document["kind"] == "ConfigMap" and document["metadata"]["name"] == "kasm-scrub"]
    said, learning = yaml.safe_load(base.read_text())["data"]["sidecar.yaml"], maps[0]["data"]["sidecar.yaml"]
    check(learning.startswith(said), "what learns is configured otherwise than what does not")
    check(yaml.safe_load(learning).get("learn") == {"files": ["secrets/*"]}, "nothing is learned")

if name in ("network-policies", "policies-and-gateway", "shipped"):
    apps = {app for app, _ in pods()} | NEIGHBOURS
    policies = [document for document in documents if document["kind"] == "NetworkPolicy"]
    deny = [policy for policy in policies if policy["spec"]["podSelector"] == {} and "ingress" not in policy["spec"]]
    check(any("egress" not in policy["spec"] for policy in deny), "nothing denies by default")
    for policy in policies:
        spec = policy["spec"]
        for app in selected(spec["podSelector"]) or set():
            known = app in apps or app.startswith("kasm-scrub")
            check(known, f"{policy['metadata']['name']}: selects {app}, which is nowhere")
        for rules, word in ((spec.get("ingress", []), "from"), (spec.get("egress", []), "to")):
            for rule in rules:
                check(rule.get(word) and rule.get("ports"), f"{policy['metadata']['name']}: open to anybody or any port")

    # All is closed, so a way needs both ends: who may send has somebody who lets it in, and the other way round. The gateway
    # is a peer also where it is not deployed.
    apps |= {"kasm-scrub-gateway"} if name == "policies-and-gateway" else set()
    leaving = set(ways(policies, "egress", "to", apps))
    coming = {(other, app, port) for app, other, port in ways(policies, "ingress", "from", apps)}
    for source, target, port in sorted(leaving - coming):
        check(target not in apps, f"{source} may go to {target}:{port}, and nothing lets it in there")
    for source, target, port in sorted(coming - leaving):
        # The gateway lets in anybody of its namespace who has a way.
        check(target == "kasm-scrub-gateway" or source not in apps, f"{target}:{port} lets {source} in, which may not go there")
    for port in (4317, 4318):
        for app in SIDECAR:
            check((app, "kasm-otel-collector", port) in leaving & coming, f"{app} does not reach the collector at {port}")
    if name == "policies-and-gateway":
        check(("kasm-scrub-gateway", "kasm-otel-collector", 4317) in leaving & coming, "the gateway does not reach the collector")
        check(("kasm-api", "kasm-scrub-gateway", 4317) in leaving & coming, "the API does not reach the gateway")

    def clients(target):
        return {source for source, to, _ in coming if to == target}

    check(clients("kasm-redis") == {"kasm-share"}, f"clients of Redis: {clients('kasm-redis')}")
    check("kasm-proxy" not in clients("kasm-db"), "the proxy reaches the database")
    check({"kasm-api", "kasm-manager", "kasm-share", "kasm-db-init"} <= clients("kasm-db"), "a client of the database is missing")

for fault in faults:
    print(f"{path.name}: {fault}", file=sys.stderr)
sys.exit(1 if faults else 0)
