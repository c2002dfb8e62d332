# SPDX-License-Identifier: Apache-2.0
"""Runs the gateway under test: starts it on a free port, watches it, and checks that it ends well."""
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile

from tests.support import client, net

BINARY = os.path.abspath("build/sluice")
START_SECONDS, STOP_SECONDS = 20, 15
SANITIZER = re.compile(r"(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:")
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:quarantine_size_mb=8:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "exitcode=99",
}
SETTINGS = {"admin_listen": "off", "status_listen": "off", "proxy_access_log": "off", "shards": "2"}


def set_binary(path):
    global BINARY
    BINARY = os.path.abspath(path)


def environment(extra=None):
    """The caller's environment without settings for the gateway, plus sanitizer options."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SLUICE_", "KONG_"))}
    for name, value in SANITIZER_OPTIONS.items():
        env.setdefault(name, value)
    return {**env, **(extra or {})}


def run(*arguments, env=None, seconds=20, cwd=None):
    """Runs `sluice ARGUMENTS` to its end; the result has returncode, stdout and stderr as text."""
    done = subprocess.run([BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", env=environment(env), timeout=seconds * net.SLOW_FACTOR,
                          cwd=cwd)
    check_output(done.stderr)
    return done


def check_output(text):
    match = SANITIZER.search(text)
    if match:
        raise AssertionError("sanitizer report:\n" + text[max(0, match.start() - 200):match.start() + 3000])


class Folder:
    """A temporary folder that others may read; removed by close()."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="sluice-test-")
        os.chmod(self.path, 0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def file(self, name, text=None):
        path = os.path.join(self.path, name)
        if text is not None:
            # in one step, so that a reload never sees half a file
            with open(path + ".new", "w", encoding="utf-8", errors="surrogateescape") as f:
                f.write(text)
            os.rename(path + ".new", path)
        return path

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)


def config_text(config):
    return config if isinstance(config, str) else json.dumps(config, indent=1)


def simple_config(url, **route):
    """A service at `url` with one route that takes everything unless `route` says otherwise."""
    fields = {"name": "r1", "paths": ["/"], "strip_path": False, **route}
    return {"_format_version": "3.0",
            "services": [{"name": "s1", "url": url, "retries": 0, "routes": [fields]}]}


def set_options(settings):
    return [word for name, value in settings.items() for word in ("--set", "%s=%s" % (name, value))]


class Running:
    """A gateway started with `arguments`; its files go to `folder`, which is removed in the end.

    Use it in a `with`: leaving it stops the gateway, and fails if that was not clean.
    """

    def __init__(self, arguments, folder=None, env=None, max_files=None):
        def limit():
            if max_files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (max_files, max_files))

        self.folder, self.ended = folder or Folder(), False
        # Without a function to call Python does not fork, for which grpcio in Debian 13 waits until its threads idle.
        before = limit if max_files else None
        with open(self.folder.file("stdout"), "wb") as out, open(self.folder.file("stderr"), "wb") as err:
            self.process = subprocess.Popen([BINARY, *arguments], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=err, env=environment(env), preexec_fn=before)
        self.pid = self.process.pid
        try:
            net.wait_until(self.is_ready, START_SECONDS, lambda: "the ready line; stderr:\n" + self.stderr())
        except BaseException:
            self.kill()
            raise

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError("the gateway ended with %d; stderr:\n%s"
                                 % (self.process.returncode, self.stderr()))
        return re.search("^ready", self.stderr(), re.M)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.kill()

    def send_signal(self, number):
        os.kill(self.pid, number)

    def stderr(self):
        with open(self.folder.file("stderr"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def stdout(self):
        with open(self.folder.file("stdout"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def alive(self):
        return self.process.poll() is None

    def status_kib(self, name="VmRSS"):
        with open("/proc/%d/status" % self.pid) as f:
            return int(re.search(r"^%s:\s+(\d+) kB" % name, f.read(), re.M)[1])

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.pid) as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def wait_end(self, seconds=STOP_SECONDS):
        """Waits for the end that someone else asked for, and checks that it was a clean one."""
        seconds *= net.SLOW_FACTOR
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running after %d s; stderr:\n%s"
                                 % (seconds, self.stderr()[-2000:])) from None
        text = self.stderr()
        self.ended = True
        check_output(text)
        if status != 0:
            raise AssertionError("exit status %d; stderr:\n%s" % (status, text[-2000:]))

    def stop(self, number=signal.SIGTERM):
        """Ends it by a signal, unless a test has done so and called wait_end()."""
        try:
            if self.ended:
                return
            if not self.alive():
                raise AssertionError("the gateway died (%s); stderr:\n%s" % (self.process.returncode,
                                                                            self.stderr()[-4000:]))
            self.send_signal(number)
            self.wait_end()
        finally:
            self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.folder.close()


class Gateway(Running):
    """A gateway with one listener, at `address`.

    `config` is a mapping (written as JSON) or YAML text; `settings` go in as --set, over SETTINGS.
    """

    def __init__(self, config, settings=None, env=None, max_files=None):
        folder = Folder()
        self.config_path = folder.file("kong.yaml" if isinstance(config, str) else "kong.json",
                                       config_text(config))
        self.host, self.port = self.address = net.own_host(), net.free_port()
        merged = {"proxy_listen": "%s:%d" % self.address, **SETTINGS, **(settings or {})}
        super().__init__(["run", "-c", self.config_path, *set_options(merged)], folder, env, max_files)

    def connect(self, **kw):
        return client.Connection(self.address, **kw)

    def get(self, target="/", headers=(), host="test"):
        return client.get(self.address, target, headers, host)

    def request(self, *arguments, **kw):
        return client.request(self.address, *arguments, **kw)

    def write_config(self, config):
        self.folder.file(os.path.basename(self.config_path), config_text(config))

    def reload(self, config):
        self.write_config(config)
        self.send_signal(signal.SIGHUP)
