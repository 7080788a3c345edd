"""What Kubernetes' API servers take, by the schemas of their versions."""
import functools
import glob
import json
import os

import jsonschema

DIRECTORY = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "mmsmo-gateway",
                         "kubernetes-schemas")
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


def versions():
    return sorted(os.path.basename(path)[:-len(".json")] for path in glob.glob(os.path.join(DIRECTORY, "*.json")))


@functools.lru_cache(maxsize=None)
def schema(version):
    """The version's definitions, in which a field that is not declared is an error."""
    with open(os.path.join(DIRECTORY, version + ".json")) as file:
        whole = json.load(file)
    for name, definition in whole["definitions"].items():
        if name in (INT_OR_STRING, QUANTITY):
            definition["type"] = ["string", "number"]
        elif "properties" in definition:
            definition.setdefault("additionalProperties", False)
    return whole


@functools.lru_cache(maxsize=None)
def kinds(version):
    """By apiVersion and kind."""
    return {("/".join(filter(None, (kind["group"], kind["version"]))), kind["kind"]): name
            for name, definition in schema(version)["definitions"].items()
            for kind in definition.get("x-kubernetes-group-version-kind", ())}


def errors(version, manifest):
    """What is wrong with a manifest, in words; none where nothing is."""
    name = kinds(version).get((manifest.get("apiVersion"), manifest.get("kind")))
    if name is None:
        return [f"{manifest.get('apiVersion')} has no {manifest.get('kind')}"]
    whole = schema(version)
    validator = jsonschema.Draft4Validator(whole["definitions"][name], resolver=jsonschema.RefResolver("", whole))
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
            for error in validator.iter_errors(manifest)]
