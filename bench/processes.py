# SPDX-License-Identifier: Apache-2.0
"""Starting, pinning and stopping the processes of a benchmark, each by its own id."""
import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NICE = -15
LOWEST = 19
PR_SET_PDEATHSIG = 1
TOOLS = {
    'origin': ['origin.c', 'answer.c', 'wire.c'],
    'flood': ['flood.c', 'wire.c'],
    'load': ['load.c', 'load_engine.c', 'load_result.c', 'load_ring.c', 'load_tls.c', 'answer.c', 'histogram.c',
             'process_sample.c', 'wire.c'],
    'tap': ['tap.c', 'histogram.c'],
}
LIBRARIES = {'load': ['-lssl', '-lcrypto', '-luring']}


class BenchError(Exception):
    """Something that makes the run meaningless; its text is for the user."""


def free_port():
    """A port nobody listens on now. The short race until its use is accepted:
    nginx and HAProxy cannot report a port they picked."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def build_tools(directory):
    """Compiles the origin and the load generator if they are older than their source."""
    directory.mkdir(parents=True, exist_ok=True)
    headers = list((ROOT / 'bench').glob('*.h'))
    for name, sources in TOOLS.items():
        program = directory / name
        inputs = [ROOT / 'bench' / source for source in sources]
        newest = max(path.stat().st_mtime for path in inputs + headers)
        if program.exists() and program.stat().st_mtime > newest:
            continue
        compiler = os.environ.get('CC', 'cc')
        command = [compiler, '-std=gnu17', '-D_GNU_SOURCE', '-O2', f'-I{ROOT}', '-o', str(program)]
        subprocess.run(command + [str(path) for path in inputs] + ['-lm', *LIBRARIES.get(name, [])], check=True)


def raise_file_limit():
    """The soft limit to the hard one; returns it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Processes:
    """All processes of one run. stop_all() leaves none behind."""

    def __init__(self):
        self.running = []
        self.libc = ctypes.CDLL(None, use_errno=True)

    def start(self, argv, core, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=None, nice=NICE):
        def prepare():
            self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.sched_setaffinity(0, {core})
            if os.geteuid() == 0:
                os.setpriority(os.PRIO_PROCESS, 0, nice)

        process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=stdout,
                                   stderr=stderr, cwd=cwd, preexec_fn=prepare, start_new_session=True)
        self.running.append(process)
        return process

    def stop(self, process, signal_number=signal.SIGTERM):
        if process in self.running:
            self.running.remove(process)
        if process.poll() is None:
            process.send_signal(signal_number)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        try:  # workers of a master that did not end them; the group is our own
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return process.returncode

    def stop_all(self):
        for process in list(self.running):
            self.stop(process)


def wait_until(condition, process, what, log_path=None, timeout_s=30.0):
    """Polls `condition`; the process must stay alive meanwhile."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        died = process.poll() is not None
        if died or time.monotonic() > deadline:
            log = log_path.read_text(errors='replace')[-2000:] if log_path else ''
            state = f'ended with status {process.returncode}' if died else 'was not ready in time'
            raise BenchError(f'{what} {state}\n{log}')
        time.sleep(0.005)


def is_listening(port):
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(('127.0.0.1', port)) == 0


def status_number(text, name):
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0


def tree(root):
    """{pid: the text of its status} of a process and all its descendants."""
    parents, texts = {}, {}
    for entry in Path('/proc').iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / 'status').read_text()
        except OSError:
            continue
        parents[int(entry.name)] = status_number(text, 'PPid:')
        texts[int(entry.name)] = text
    members = {root}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in members} - members
        members |= more
        grown = bool(more)
    return {pid: texts.get(pid, '') for pid in members}


def tree_members(root):
    return sorted(tree(root))


def tree_resident_bytes(root, name='VmRSS:'):
    """Of a process and all its descendants. VmHWM: the most it ever was."""
    return sum(status_number(text, name) * 1024 for text in tree(root).values())


@dataclass
class Cores:
    proxy: int
    origin: int
    load: int


def choose_cores(text):
    """Cores this process may use; on a single one everything shares it."""
    if text:
        return Cores(*(int(word) for word in text.split(',')))
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[min(1, len(allowed) - 1)], allowed[min(2, len(allowed) - 1)])


def tell(text):
    print(text, file=sys.stderr, flush=True)
