//! What `deploy` ships is right, as far as this can be told without a cluster: it parses, says what it covers, asks for no
//! more than it needs, and our program takes every argument and configuration in it.

mod arguments;
mod files;
mod metrics;

use std::collections::BTreeSet;

use serde_json::Value;

use files::{all_documents, containers, documents, files, read, root, strings};

/// Manifests, and not what belongs to the tests end to end.
fn is_shipped(path: &std::path::Path) -> bool {
    !path.starts_with(root().join("deploy/e2e"))
}

#[test]
fn every_manifest_says_what_it_covers() {
    let mut silent = Vec::new();
    for path in files(".yaml") {
        let text = read(&path);
        for (number, document) in text.split("\n---\n").enumerate() {
            let comment: String = document.lines().take_while(|line| line.starts_with('#')).collect();
            if !comment.contains("Covers:") && !comment.contains("Covers, ") {
                silent.push(format!("{}, document {}", path.display(), number + 1));
            }
        }
    }
    assert!(silent.is_empty(), "say in a comment at the top what is covered:\n{}", silent.join("\n"));
}

#[test]
fn kustomizations_name_all_files_beside_them_and_none_that_is_not_there() {
    let mut wrong = Vec::new();
    for path in files("kustomization.yaml").iter().filter(|path| is_shipped(path)) {
        let folder = path.parent().unwrap();
        let document = documents(path).remove(0);
        let mut named: BTreeSet<String> = BTreeSet::from(["kustomization.yaml".to_owned()]);
        let patches = document["patches"].as_array().into_iter().flatten();
        let generated = document["configMapGenerator"].as_array().into_iter().flatten();
        named.extend(patches.filter_map(|patch| patch["path"].as_str()).map(str::to_owned));
        named.extend(generated.flat_map(|one| strings(one.get("files"))).map(str::to_owned));
        for list in ["resources", "components"] {
            named.extend(strings(document.get(list)).into_iter().map(str::to_owned));
        }
        // What Helm has rendered comes into being beside it.
        named.remove("rendered.yaml");
        for name in named.iter().filter(|name| !folder.join(name).exists()) {
            wrong.push(format!("{}: {name} is not there", path.display()));
        }
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            if name.ends_with(".yaml") && !named.contains(&name) {
                wrong.push(format!("{}: {name} is not named", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn our_containers_may_do_no_more_than_restricted_pods() {
    let mut seen = 0;
    for (path, document) in all_documents() {
        for container in containers(&document) {
            seen += 1;
            let at = format!("{}: {}", path.display(), container["name"]);
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false, "{at}");
            assert_eq!(security["readOnlyRootFilesystem"], true, "{at}");
            assert_eq!(strings(security["capabilities"].get("drop")), ["ALL"], "{at}");
            assert!(security["capabilities"].get("add").is_none(), "{at}");
            if is_shipped(&path) {
                assert!(container["resources"]["requests"]["memory"].is_string(), "{at} has no request");
                assert!(container["resources"]["limits"]["memory"].is_string(), "{at} has no limit");
            }
            let pod = &document["spec"]["template"]["spec"]["securityContext"];
            let pod = if pod.is_null() { &document["spec"]["securityContext"] } else { pod };
            let effective = |name: &str| if security[name].is_null() { &pod[name] } else { &security[name] };
            assert_eq!(effective("seccompProfile")["type"], "RuntimeDefault", "{at}");
            // The node agent reads files that are root's.
            if document["kind"] != "DaemonSet" {
                assert_eq!(effective("runAsNonRoot"), true, "{at}");
                assert_eq!(effective("runAsUser"), 65532, "{at}");
            }
        }
    }
    assert!(seen >= 8, "only {seen} containers were looked at");
}

#[test]
fn nobody_gets_a_token_of_the_api_server() {
    for (path, document) in all_documents() {
        let at = path.display();
        match document["kind"].as_str() {
            Some("ServiceAccount") => assert_eq!(document["automountServiceAccountToken"], false, "{at}"),
            Some("Deployment" | "DaemonSet")
                if document["spec"]["template"]["spec"]["containers"].is_array() =>
            {
                let pod = &document["spec"]["template"]["spec"];
                // A patch goes into a pod that is the chart's.
                if pod["serviceAccountName"].is_string() {
                    assert_eq!(pod["automountServiceAccountToken"], false, "{at}");
                }
            }
            Some("Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding") => {
                panic!("{at}: nothing needs a role")
            }
            _ => {}
        }
    }
}

#[test]
fn raw_files_are_in_memory_and_every_volume_has_a_limit() {
    for (path, document) in all_documents() {
        let at = path.display();
        files::objects(&document, &mut |object| {
            let Some(Value::Object(volume)) = object.get("emptyDir") else { return };
            if is_shipped(&path) {
                assert!(volume.contains_key("sizeLimit"), "{at}: {}", object["name"]);
            }
            if object["name"] == "kasm-scrub-logs" || object["name"] == "logs" {
                assert_eq!(volume.get("medium").and_then(Value::as_str), Some("Memory"), "{at}");
            }
        });
    }
}

#[test]
fn the_dashboard_is_whole() {
    let path = root().join("deploy/kubernetes/components/monitoring/dashboard.json");
    let dashboard: Value = serde_json::from_str(&read(&path)).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "two panels have one id");
    let mut taken = BTreeSet::new();
    for panel in panels {
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{}", panel["title"]);
        assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{}", panel["title"]);
        let (x, y) = (panel["gridPos"]["x"].as_u64().unwrap(), panel["gridPos"]["y"].as_u64().unwrap());
        assert!(x + panel["gridPos"]["w"].as_u64().unwrap() <= 24, "{} is too wide", panel["title"]);
        assert!(taken.insert((x, y)), "{} stands on another", panel["title"]);
    }
}
