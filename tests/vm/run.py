# SPDX-License-Identifier: Apache-2.0
"""kTLS for real: boots Debian's stock kernel in a virtual machine, in software, and runs the gateway inside.

run.py [--binary PATH] [--kernel FOLDER] [--only TEXT] [--megabytes N] [-v]

The initramfs is made here: busybox, the gateway with its libraries, curl, openssl, peer.c, the modules that kTLS
needs, and init.sh, which has the cases. The kernel's package is fetched with apt and unpacked below build/vm, never
installed; --kernel names one that is unpacked already. Without qemu the step is skipped, and says why.
The last line is `N passed, N failed[, N skipped]`.
"""
import argparse
import glob
import lzma
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
sys.dont_write_bytecode = True

from tests.support import certs  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(ROOT, "build/vm")
IMAGE = "linux-image-cloud-amd64"
MODULES = ["tls", "aesni-intel", "ghash-clmulni-intel", "gcm", "ghash-generic", "ctr", "chacha20poly1305",
           "chacha-x86_64", "poly1305-x86_64", "chacha_generic", "poly1305_generic", "ccm", "cmac"]
QEMU = "qemu-system-x86_64"
SECONDS = 900

BACK = """_format_version: "3.0"
services:
  - name: plain
    url: http://127.0.0.1:8000
    routes: [{name: plain, paths: [/]}]
  - name: sum
    url: http://127.0.0.1:8001
    routes: [{name: sum, paths: [/sum]}]
"""
CONFIG = BACK + """  - name: back
    url: https://a.test:9443
    routes: [{name: back, paths: [/back]}]
  - name: openssl
    url: https://b.test:9444
    routes: [{name: openssl, paths: [/openssl]}]
"""


class Skip(Exception):
    pass


def say(text):
    print(text, flush=True)


def output(*command, **kw):
    done = subprocess.run(command, capture_output=True, text=True, **kw)
    if done.returncode:
        raise AssertionError("%s: %s" % (" ".join(command), done.stderr.strip() or done.stdout.strip()))
    return done.stdout


def need(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        raise Skip("not installed, and needed for a virtual machine: " + ", ".join(missing))


# --- the kernel ---------------------------------------------------------------------------------------------

def package_of_image():
    """The package with the kernel itself, of which IMAGE is only a name."""
    depends = output("apt-cache", "depends", IMAGE)
    found = re.search(r"Depends: (linux-image-\S+)", depends)
    if not found:
        raise Skip("apt knows no %s: apt-get update may help" % IMAGE)
    return found.group(1)


def fetch_kernel():
    need("apt-get", "apt-cache", "dpkg")
    package = package_of_image()
    folder = os.path.join(BUILD, package)
    if os.path.isdir(os.path.join(folder, "boot")):
        return folder
    download = os.path.join(BUILD, "download")
    shutil.rmtree(download, ignore_errors=True)
    os.makedirs(download)
    say("fetching %s" % package)
    try:
        output("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package, cwd=download)
    except AssertionError as e:
        raise Skip("the kernel's package cannot be fetched: %s" % e) from e
    output("dpkg", "-x", glob.glob(download + "/*.deb")[0], folder + ".new")
    if not os.path.exists(folder + ".new/lib"):     # Debian 13 has its modules in /usr
        os.symlink("usr/lib", folder + ".new/lib")
    os.rename(folder + ".new", folder)
    shutil.rmtree(download)
    return folder


def modules_of(kernel):
    """Paths of the modules that are wanted and there, each behind those it needs."""
    version = os.listdir(os.path.join(kernel, "lib/modules"))[0]
    folder = os.path.join(kernel, "lib/modules", version)
    if not os.path.exists(os.path.join(folder, "modules.dep")):
        output("depmod", "-b", kernel, version, env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
    needs = {}
    with open(os.path.join(folder, "modules.dep"), encoding="utf-8") as f:
        for line in f:
            path, rest = line.split(":")
            needs[path] = rest.split()
    by_name = {os.path.basename(path).split(".ko")[0]: path for path in needs}
    order = []
    for name in MODULES:
        path = by_name.get(name)
        for one in ([*reversed(needs[path]), path] if path else []):
            if one not in order:
                order.append(one)
    return [os.path.join(folder, path) for path in order]


# --- the initramfs ------------------------------------------------------------------------------------------

def install(source, target, mode=0o755):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)
    os.chmod(target, mode)


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def install_program(root, source, target):
    install(source, root + target)
    if shutil.which("strip"):
        subprocess.run(["strip", root + target], stderr=subprocess.DEVNULL, check=False)
    for library in re.findall(r"(?:=> )?(/\S+) \(0x", output("ldd", source)):
        if not os.path.exists(root + library):
            install(os.path.realpath(library), root + library)


def install_modules(root, kernel):
    names = []
    for path in modules_of(kernel):
        name = os.path.basename(path).split(".ko")[0] + ".ko"
        if path.endswith(".xz"):
            with lzma.open(path) as f:
                data = f.read()
            os.makedirs(root + "/modules", exist_ok=True)
            with open(root + "/modules/" + name, "wb") as f:
                f.write(data)
        else:
            install(path, root + "/modules/" + name)
        names.append(name)
    if "tls.ko" not in names:
        raise AssertionError("%s has no module tls" % kernel)
    write(root + "/modules/order", "\n".join(names) + "\n")


def install_certificates(root):
    authority = certs.Authority()
    pair = authority.issue("a.test", "b.test")
    write(root + "/ca.pem", authority.cert)
    write(root + "/server.pem", pair.cert)
    write(root + "/server.key", pair.key)


def make_root(options, kernel, settings):
    root = os.path.join(BUILD, "root")
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("bin", "etc", "proc", "sys", "dev", "tmp"):
        os.makedirs(os.path.join(root, folder))
    install(shutil.which("busybox"), root + "/bin/busybox")
    os.symlink("busybox", root + "/bin/sh")
    install_program(root, options.binary, "/sluice")
    install_program(root, options.peer, "/peer")
    install_program(root, shutil.which("curl"), "/usr/bin/curl")
    install_program(root, shutil.which("openssl"), "/usr/bin/openssl")
    install_modules(root, kernel)
    install_certificates(root)
    install(HERE + "/init.sh", root + "/init")
    write(root + "/settings", settings)
    write(root + "/front.yml", CONFIG)
    write(root + "/back.yml", BACK)
    os.makedirs(root + "/www")
    return root


def make_initramfs(root):
    path = os.path.join(BUILD, "initramfs")
    names = "\n".join(sorted(os.path.relpath(os.path.join(at, name), root)
                             for at, folders, files in os.walk(root) for name in folders + files))
    with open(path, "wb") as f:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=root, input=names.encode(),
                       stdout=f, check=True)
    return path


# --- the machine --------------------------------------------------------------------------------------------

class Results:
    def __init__(self, verbose):
        self.verbose, self.passed, self.failed, self.skipped, self.done = verbose, 0, 0, 0, False

    def line(self, line):
        found = re.match(r"CASE (ok|failed|skipped) (.*)", line)
        if found and found.group(1) == "ok":
            self.passed += 1
            if self.verbose:
                say("ok   " + found.group(2))
        elif found and found.group(1) == "failed":
            self.failed += 1
            say("FAIL " + found.group(2))
        elif found:
            self.skipped += 1
            say("skip " + found.group(2))
        elif line.startswith("NOTE "):
            say(line[5:])
        elif line.startswith("DONE "):
            self.done = True
        elif line.startswith("LOG "):
            say("     " + line[4:])


def boot(kernel, initramfs, results):
    image = glob.glob(os.path.join(kernel, "boot/vmlinuz-*"))[0]
    processors = min(2, os.cpu_count() or 1)
    command = [QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1536", "-smp", str(processors), "-nographic",
               "-no-reboot", "-nic", "none", "-kernel", image, "-initrd", initramfs,
               "-append", "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on"]
    log_path = os.path.join(BUILD, "console.log")
    with open(log_path, "w", encoding="utf-8") as log:
        process = subprocess.Popen(["timeout", str(SECONDS), *command], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   errors="replace")
        for line in process.stdout:
            log.write(line)
            results.line(line.strip())
        status = process.wait()
    if not results.done:
        results.failed += 1
        say("FAIL the machine stopped before the last case (status %d); %s ends with:" % (status, log_path))
        with open(log_path, encoding="utf-8") as log:
            say("".join(log.readlines()[-15:]))


def run(options):
    need(QEMU, "cpio", "busybox", "depmod", "curl", "openssl")
    if os.uname().machine != "x86_64":
        raise Skip("the machine is made for x86_64")
    os.makedirs(BUILD, exist_ok=True)
    kernel = options.kernel or fetch_kernel()
    settings = "MEGABYTES=%d\nREKEYS=%s\nONLY='%s'\n" % (options.megabytes, "yes" if options.rekeys else "no",
                                                        options.only)
    initramfs = make_initramfs(make_root(options, kernel, settings))
    results = Results(options.verbose)
    started = time.monotonic()
    boot(kernel, initramfs, results)
    say("%d s in the machine" % (time.monotonic() - started))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(ROOT, "build/sluice"))
    parser.add_argument("--peer", default=os.path.join(ROOT, "build/release/tests/vm_peer"), help="made of peer.c")
    parser.add_argument("--kernel", help="a folder with boot/ and lib/modules/")
    parser.add_argument("--rekeys", action="store_true", help="the kernel can change keys (6.14)")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name has this text")
    parser.add_argument("--megabytes", type=int, default=100, help="sent each way")
    parser.add_argument("-v", dest="verbose", action="store_true", help="name every case")
    options = parser.parse_args()
    try:
        results = run(options)
    except Skip as e:
        say("skip %s" % e)
        say("0 passed, 0 failed, 1 skipped")
        return 0
    tail = ", %d skipped" % results.skipped if results.skipped else ""
    say("%d passed, %d failed%s" % (results.passed, results.failed, tail))
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
