"""Everything in deploy/ that is for Kubernetes: rendered, valid in all versions, and of one mind."""
import copy
import functools
import subprocess
import unittest

import yaml

from tests.kubernetes import schemas

CHART, EXAMPLE = "deploy/helm/mmsmo-gateway", "deploy/helm/example"
STATEFULSET = ("-f", "tests/kubernetes/values/statefulset.yaml")
EVERYTHING = ("-f", "tests/kubernetes/values/everything.yaml")
IN_FRONT = ("--set", "ingress.enabled=false")
HTTPS = ("--set", "http.tlsSecret=mms-http-tls")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def template(chart, *arguments, version="1.33.0"):
    return run("script/helm", "template", "mms", chart, "--kube-version", version, *arguments)


@functools.lru_cache(maxsize=None)
def variants():
    """The manifests of each, by its name."""
    with open("deploy/kubernetes/sidecar.yaml") as file:
        texts = {"sidecar.yaml": file.read()}
    commands = {"kustomize sidecar": ("script/kustomize", "build", "deploy/kustomize/examples/sidecar"),
                "kustomize statefulset": ("script/kustomize", "build", "deploy/kustomize/examples/statefulset")}
    for name, command in commands.items():
        done = run(*command)
        assert done.returncode == 0, done.stderr
        texts[name] = done.stdout
    for name, arguments in {"chart sidecar": (EXAMPLE,), "chart statefulset": (CHART, *STATEFULSET),
                            "chart with HTTPS": (CHART, *STATEFULSET, *HTTPS, *IN_FRONT),
                            "chart with everything": (CHART, *STATEFULSET, *EVERYTHING)}.items():
        done = template(*arguments)
        assert done.returncode == 0, done.stderr
        texts[name] = done.stdout
    return {name: [manifest for manifest in yaml.safe_load_all(text) if manifest] for name, text in texts.items()}


def subscriber():
    with open("deploy/kubernetes/subscriber.yaml") as file:
        return list(yaml.safe_load_all(file))


def of_kind(manifests, kind):
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def pod(manifests):
    return of_kind(manifests, "StatefulSet")[0]["spec"]["template"]["spec"]


def gateway(manifests):
    containers = pod(manifests).get("initContainers", []) + pod(manifests)["containers"]
    return next(container for container in containers if container["name"] == "mmsmo-gateway")


class ManifestsTest(unittest.TestCase):
    def test_every_version_takes_them(self):
        self.assertEqual([version.rpartition(".")[0] for version in schemas.versions()],
                         ["1.29", "1.30", "1.31", "1.32", "1.33"])
        for version in schemas.versions():
            for name, manifests in {**variants(), "subscriber.yaml": subscriber()}.items():
                for manifest in manifests:
                    with self.subTest(f"{version}: {name}, {manifest['kind']}"):
                        self.assertEqual(schemas.errors(version, manifest), [])

    def test_a_mistake_is_found(self):
        for spoil in (lambda pod: pod.update(terminationGracePeriod=1), lambda pod: pod.pop("containers"),
                      lambda pod: pod.update(volumes="none"),
                      lambda pod: pod["initContainers"][0]["ports"][0].pop("containerPort")):
            manifest = copy.deepcopy(of_kind(variants()["sidecar.yaml"], "StatefulSet")[0])
            spoil(manifest["spec"]["template"]["spec"])
            self.assertEqual(len(schemas.errors("1.29.6", manifest)), 1)
        self.assertTrue(schemas.errors("1.33.13", {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget"}))

    def test_they_are_of_one_mind(self):
        def truths(manifests):
            container = {**gateway(manifests), "imagePullPolicy": "IfNotPresent"}
            spec = {key: value for key, value in pod(manifests).items() if key not in ("volumes", "serviceAccountName")}
            for key in ("initContainers", "containers"):
                spec[key] = [container if one["name"] == "mmsmo-gateway" else {**one, "args": [], "command": []}
                             for one in spec.get(key, [])]
            services = [{**service["spec"], "selector": {}} for service in of_kind(manifests, "Service")]
            policy = of_kind(manifests, "NetworkPolicy")[0]["spec"]["ingress"]
            workload = of_kind(manifests, "StatefulSet")[0]["spec"]
            annotations = {key: value for key, value in workload["template"]["metadata"]["annotations"].items()
                           if key.startswith("prometheus.io/")}
            claims = [claim["spec"] for claim in workload["volumeClaimTemplates"]]
            budget = of_kind(manifests, "PodDisruptionBudget")[0]["spec"]["maxUnavailable"]
            return (spec, services, policy, claims, workload["podManagementPolicy"], workload["replicas"], annotations,
                    budget)
        self.maxDiff = None
        for names in (("sidecar.yaml", "kustomize sidecar", "chart sidecar"),
                      ("kustomize statefulset", "chart statefulset")):
            for name in names[1:]:
                with self.subTest(name):
                    for one, other in zip(truths(variants()[names[0]]), truths(variants()[name])):
                        self.assertEqual(one, other)

    def test_selectors_find_the_pods_and_no_others(self):
        for name, manifests in variants().items():
            labels = of_kind(manifests, "StatefulSet")[0]["spec"]["template"]["metadata"]["labels"]
            others = [manifest["metadata"]["labels"] for manifest in of_kind(manifests, "Pod")]
            for manifest in manifests:
                spec = manifest.get("spec", {})
                selector = {"Service": lambda: spec["selector"],
                            "NetworkPolicy": lambda: spec["podSelector"]["matchLabels"],
                            "PodDisruptionBudget": lambda: spec["selector"]["matchLabels"],
                            "StatefulSet": lambda: spec["selector"]["matchLabels"]}.get(manifest["kind"])
                if selector is not None:
                    with self.subTest(f"{name}: {manifest['kind']}"):
                        self.assertTrue(selector())
                        self.assertLessEqual(selector().items(), labels.items())
                        self.assertFalse([other for other in others if selector().items() <= other.items()])

    def test_what_each_of_them_keeps_to(self):
        for name, manifests in variants().items():
            with self.subTest(name):
                for service in of_kind(manifests, "Service"):
                    for port in service["spec"]["ports"]:
                        self.assertIsInstance(port["targetPort"], int)
                self.assertIs(pod(manifests)["automountServiceAccountToken"], False)
                for volume in pod(manifests)["volumes"]:
                    secret = volume.get("secret") or volume.get("projected")
                    self.assertTrue(secret is None or secret["defaultMode"] == 0o440, volume)
                if "--insecure=http" in gateway(manifests)["args"]:
                    self.assertTrue(of_kind(manifests, "Ingress") and of_kind(manifests, "NetworkPolicy"))
                    self.assertIn("[[endpoint]]", of_kind(manifests, "ConfigMap")[0]["data"]["gateway.toml"])


class ChartTest(unittest.TestCase):
    def test_lint(self):
        for arguments in ((CHART, *STATEFULSET), (CHART, *STATEFULSET, *EVERYTHING), (EXAMPLE,)):
            done = run("script/helm", "lint", "--strict", *arguments)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_what_is_unsafe_or_wrong_is_refused(self):
        for said, arguments in {
            "an [[endpoint]]": ("--set", "config="),
            "an [[identity]]": ("--set", "config=[[endpoint]]"),
            "http.tlsSecret: needed": IN_FRONT,
            "http.tlsSecret: needed unless": ("--set", "networkPolicy.enabled=false"),
            "grpc.tlsSecret: needed": ("--set", "grpc.tlsSecret="),
            "sidecar.podLabels": ("--set", "mode=sidecar"),
            "mode must be one of": ("--set", "mode=deployment"),
            "Additional property secret is not allowed": ("--set", "secret=a"),
            "ingress.host": ("--set", "ingress.host="),
            "journal.storage": ("--set", "journal.storage=12GiB"),
            "journal.accessMode": ("--set", "journal.accessMode=ReadWriteMany"),
        }.items():
            with self.subTest(arguments[1]):
                done = template(CHART, *STATEFULSET, *arguments)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(said, done.stderr)
        self.assertIn("kubeVersion", template(CHART, *STATEFULSET, version="1.28.0").stderr)

    def test_only_the_gateway_drains_where_it_is_alone(self):
        self.assertEqual(pod(variants()["chart statefulset"])["terminationGracePeriodSeconds"], 5 + 10 + 10)
        self.assertEqual(pod(variants()["chart sidecar"])["terminationGracePeriodSeconds"], 30 + 5 + 10 + 10)
        self.assertEqual(pod(variants()["chart with everything"])["terminationGracePeriodSeconds"], 7 + 8 + 10)


if __name__ == "__main__":
    unittest.main()
