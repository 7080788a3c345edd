"""Writes a software bill of materials as SPDX 2.3, from what dpkg-query prints: sbom.py NAME VERSION <packages

A line of a -dev package is of one that is linked into the programs."""
import datetime
import json
import re
import sys
import uuid


def package(name, version, **fields):
    return {"SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name), "name": name, "versionInfo": version,
            "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION", **fields}


def debian_package(line):
    name, version, architecture, maintainer = line.rstrip("\n").split("\t")
    name = name.split(":")[0]
    quoted = version.replace("+", "%2B").replace(":", "%3A")
    purl = f"pkg:deb/debian/{name}@{quoted}?arch={architecture}&distro=debian-12"
    return package(name, version, supplier=f"Organization: {maintainer}", externalRefs=[
        {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}])


def main():
    name, version = sys.argv[1:]
    image = package(name, version, primaryPackagePurpose="CONTAINER", licenseDeclared="Apache-2.0")
    packages = [debian_package(line) for line in sys.stdin]
    if not packages:
        sys.exit("sbom.py: no packages")
    document = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"{name}-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{version}-{uuid.uuid4()}",
        "creationInfo": {"created": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                         "creators": ["Tool: mmsmo-gateway-script/image"]},
        "packages": [image, *packages],
        "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                           "relatedSpdxElement": image["SPDXID"]}] +
                         [{"spdxElementId": image["SPDXID"],
                           "relationshipType": "STATIC_LINK" if one["name"].endswith("-dev") else "CONTAINS",
                           "relatedSpdxElement": one["SPDXID"]} for one in packages]}
    json.dump(document, sys.stdout, indent=1)


main()
