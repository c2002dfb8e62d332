# SPDX-License-Identifier: Apache-2.0
"""Every configuration shown in the documentation loads."""
import os
import re

from tests.support.gateway import Folder, run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BLOCK = re.compile(r"^```(yaml|json|hcl)\n(.*?)^```", re.M | re.S)
ENDINGS = {"yaml": "yaml", "json": "json", "hcl": "tf"}
PROTO = re.compile(r"^```proto\n// /etc/sluice/(\S+)\n(.*?)^```", re.M | re.S)
KINDS = re.compile(r"_format_version|^sluice:|^apiVersion:|^resource |\"openapi\"|^openapi:", re.M)


def documents():
    for folder, _, names in os.walk(ROOT):
        if not re.search(r"/(build|\.git)(/|$)", folder + "/"):
            yield from (os.path.join(folder, name) for name in names if name.endswith(".md"))


def test_examples_load(t):
    count = 0
    with Folder() as folder:
        for path in sorted(documents()):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            for match in PROTO.finditer(text):
                folder.file(match[1], match[2])
            for match in BLOCK.finditer(text):
                if not KINDS.search(match[2]):
                    continue
                line = text[:match.start()].count("\n") + 1
                count += 1
                with t.case("%s:%d" % (os.path.relpath(path, ROOT), line)):
                    example = match[2].replace("/etc/sluice/shop.proto", folder.file("shop.proto"))
                    name = folder.file("example%d.%s" % (count, ENDINGS[match[1]]), example)
                    done = run("check", "-c", name)
                    assert done.returncode == 0, done.stdout + done.stderr
    assert count > 10, count
