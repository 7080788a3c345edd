"""The cluster's provisioner: every claim gets a folder of the node, which goes when the claim is deleted."""
import os
import shutil

from tests.kubernetes.cluster import STATE, Watch, apply, end_with_threads, kubectl


def folder_of(volume):
    return f"{STATE}/volumes/{volume}"


def provide(_, claim):
    meta, spec = claim["metadata"], claim["spec"]
    volume = "pvc-" + meta["uid"]
    if claim["status"].get("phase") != "Pending" or os.path.exists(folder_of(volume)):
        return
    # fsGroup does not apply to a hostPath, which its owner here makes up for.
    os.makedirs(folder_of(volume))
    os.chown(folder_of(volume), 65532, 65532)
    apply("default", [{
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
        "spec": {"capacity": spec["resources"]["requests"], "accessModes": spec["accessModes"],
                 "hostPath": {"path": folder_of(volume)},
                 "claimRef": {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}}}])


def take_back(_, volume):
    name = volume["metadata"]["name"]
    if volume.get("status", {}).get("phase") == "Released":
        kubectl("delete", "persistentvolume", name, "--wait=false", "--ignore-not-found")
        shutil.rmtree(folder_of(name), ignore_errors=True)


end_with_threads()
for watch in (Watch("/api/v1/persistentvolumeclaims", provide), Watch("/api/v1/persistentvolumes", take_back)):
    watch.join()
