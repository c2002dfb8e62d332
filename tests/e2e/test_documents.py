# SPDX-License-Identifier: Apache-2.0
"""Every configuration shown in the documentation loads, and the commands of those who operate a gateway work."""
import os
import re
import shutil
import subprocess

from tests.support import gateway, net, origin
from tests.support.gateway import Folder, Gateway, run, simple_config
from tests.support.runner import Skip

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BLOCK = re.compile(r"^```(yaml|json|hcl)\n(.*?)^```", re.M | re.S)
ENDINGS = {"yaml": "yaml", "json": "json", "hcl": "tf"}
ADDRESS = re.compile(r"\b(?:localhost|127\.0\.0\.1):(8001|8007)\b")
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


test_examples_load.seconds = 120


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def commands(path):
    """The lines of its shell blocks, but for those that start a gateway."""
    blocks = re.findall(r"^```sh\n(.*?)^```", read(path), re.M | re.S)
    text = "".join(blocks).replace("\\\n", " ")
    return [line for line in text.splitlines() if not line.startswith("sluice run")]


def test_commands(t):
    """On a gateway whose addresses are others than those in the text."""
    with origin.Origin() as upstream, Folder() as folder:
        for path, config, more in (("core/app/OPERATIONS.md", simple_config(upstream.url), {}),
                                   ("core/app/ADMIN.md", {"_format_version": "3.0"},
                                    {"store": "sqlite:" + folder.file("store.db")})):
            places = {port: "%s:%d" % (net.own_host(), net.free_port()) for port in ("8001", "8007")}
            settings = {"admin_listen": places["8001"], "pid_file": folder.file("pid"),
                        "status_listen": places["8007"], **more}
            with Gateway(config, settings):
                found = commands(path)
                assert len(found) > 2, found
                for line in found:
                    with t.case("%s: %s" % (path, line[:60])):
                        text = ADDRESS.sub(lambda match: places[match[1]], line)
                        text = re.sub(r"^sluice (\w+)", r"'%s' \1 --pid '%s'" % (gateway.BINARY, settings["pid_file"])
                                      if line.startswith("sluice status") else r"'%s' \1" % gateway.BINARY, text)
                        done = subprocess.run(["bash", "-o", "pipefail", "-c", text], capture_output=True, text=True,
                                              env=gateway.environment(), timeout=30 * net.SLOW_FACTOR)
                        assert done.returncode == 0 and done.stdout, (text, done)
                        assert '"code":' not in done.stdout, (text, done)


def test_prometheus_files(t):
    if not shutil.which("promtool"):
        raise Skip("promtool is not installed")
    blocks = [match[2] for match in BLOCK.finditer(read("core/app/OPERATIONS.md"))]
    with Folder() as folder:
        for name, mark, words in (("configuration", "scrape_configs:", ("config",)), ("rules", "groups:", ("rules",))):
            with t.case(name):
                (text,) = [block for block in blocks if block.startswith(mark)]
                done = subprocess.run(["promtool", "check", *words, folder.file(name + ".yml", text)],
                                      capture_output=True, text=True)
                assert done.returncode == 0, done
        with t.case("what they ask for is there"), origin.Origin() as upstream:
            status = "%s:%d" % (net.own_host(), net.free_port())
            with Gateway(simple_config(upstream.url), {"status_listen": status}):
                done = subprocess.run(["curl", "-sS", "http://%s/metrics" % status], capture_output=True, text=True)
                for name in set(re.findall(r"sluice_\w+(?=\[)", read("core/app/OPERATIONS.md"))):
                    assert re.search("^%s \\d" % name, done.stdout, re.M), name
