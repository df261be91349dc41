"""Reduces the output of cargo-cyclonedx to what ships, adds the C libraries inside crates, checks and writes it.

Called by tools/sbom.sh: COPY FILE, the folder of the copied sources with sbom.json, and the file to write.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

TARGET = "x86_64-unknown-linux-gnu"
# C libraries inside crates: crate, name, license, and where the version is.
C_LIBRARIES = [
    ("libsqlite3-sys", "sqlite", "blessing", "sqlite3/sqlite3.h", r'#define SQLITE_VERSION +"([0-9.]+)"'),
    ("zstd-sys", "zstd", "BSD-3-Clause", "zstd/lib/zstd.h", r"#define ZSTD_VERSION_(?:MAJOR|MINOR|RELEASE) +([0-9]+)"),
    ("libmimalloc-sys", "mimalloc", "MIT", "c_src/mimalloc/v3/include/mimalloc.h", r"#define MI_MALLOC_VERSION ([0-9])([0-9]{2})([0-9]{2})"),
]

copy, file = Path(sys.argv[1]), Path(sys.argv[2])
failures = []


def cargo(*command: str) -> str:
    return subprocess.run(["cargo", *command], check=True, capture_output=True, text=True, cwd=copy).stdout


def crate_of(component: dict) -> tuple[str, str]:
    return component["name"], component["version"]


# The paths of our own crates would depend on the folder.
bom = json.loads((copy / "sbom.json").read_text().replace(str(copy), "/field-notes"))
root = bom["metadata"]["component"]

tree = cargo("tree", "--locked", "--prefix=none", "--format={p}", "--package=field-notes", "--edges=normal,build", f"--target={TARGET}")
ships = {(name, version.removeprefix("v")) for name, version in (line.split()[:2] for line in tree.splitlines())}
listed = {crate_of(component) for component in [root, *bom["components"]]}
failures += [f"{name} {version} ships and is not listed" for name, version in sorted(ships - listed)]

# The tool also lists what only features of tests need.
components = bom["components"] = [component for component in bom["components"] if crate_of(component) in ships]
references = {component["bom-ref"] for component in [root, *components]}
bom["dependencies"] = [
    {"ref": node["ref"], "dependsOn": sorted(references.intersection(node.get("dependsOn", [])))}
    for node in bom["dependencies"]
    if node["ref"] in references
]
if len(references) != len(components) + 1 or len(bom["dependencies"]) != len(references):
    failures.append("a reference occurs twice, or the dependencies of a crate are not listed")

sums = {crate_of(package): package.get("checksum") for package in tomllib.loads((copy / "Cargo.lock").read_text())["package"]}
for component in components:
    sha256 = [entry["content"] for entry in component.get("hashes", []) if entry["alg"] == "SHA-256"]
    expected = sums.get(crate_of(component), "a hash, but it is not in Cargo.lock")
    if sha256 != ([expected] if expected else []):
        failures.append(f"{crate_of(component)} has {sha256}, Cargo.lock has {expected}")
    if not component.get("licenses"):
        failures.append(f"{crate_of(component)} has no license")

manifests = {
    package["name"]: Path(package["manifest_path"]).parent
    for package in json.loads(cargo("metadata", "--locked", "--format-version=1", f"--filter-platform={TARGET}"))["packages"]
}
for crate, name, license, header, pattern in C_LIBRARIES:
    found = re.findall(pattern, (manifests[crate] / header).read_text())
    parts = found[0] if isinstance(found[0], tuple) else found
    version = ".".join(part if "." in part else str(int(part)) for part in parts)
    purl = f"pkg:generic/{name}@{version}"
    components.append(
        {"type": "library", "name": name, "version": version, "bom-ref": purl, "purl": purl, "scope": "required", "licenses": [{"license": {"id": license}}]}
    )
    inside = [component["bom-ref"] for component in components if component["name"] == crate]
    holders = [node for node in bom["dependencies"] if node["ref"] in inside]
    for holder in holders:
        holder["dependsOn"].append(purl)
    bom["dependencies"].append({"ref": purl, "dependsOn": []})
    if len(holders) != 1:
        failures.append(f"{crate}, which contains {name}, is not listed once")

if (bom["bomFormat"], bom["specVersion"]) != ("CycloneDX", "1.5") or "serialNumber" in bom:
    failures.append("not a reproducible CycloneDX 1.5 document")
if failures:
    sys.exit("sbom: " + "\nsbom: ".join(failures))
file.write_text(json.dumps(bom, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
print(f"{file}: {len(components)} components")
