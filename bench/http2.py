# SPDX-License-Identifier: Apache-2.0
"""Load by nghttp2's h2load, which speaks HTTP/2; it knows nothing of the proxy, whose time is read here."""
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from processes import BenchError, tree_members, tree_resident_bytes

CONNECTIONS, STREAMS = 4, 32
TICKS = os.sysconf('SC_CLK_TCK')


def used_seconds(root):
    """(exactly, user, system) of all threads of a process and its descendants."""
    exact = user = system = 0
    for pid in tree_members(root):
        try:
            for task in Path(f'/proc/{pid}/task').iterdir():
                exact += int((task / 'schedstat').read_text().split()[0])
            fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        except OSError:
            continue
        user, system = user + int(fields[11]), system + int(fields[12])
    return exact / 1e9, user / TICKS, system / TICKS


def h2load(run, seconds, log=None):
    target = run.target_path.read_text().split('\n', 1)[0]
    argv = ['h2load', '-c', CONNECTIONS, '-m', STREAMS, '-t', 1, '-D', max(round(seconds), 1),
            *(['--log-file', log] if log else []), f'https://127.0.0.1:{run.plan.listen_port}{target}']
    load = run.processes.start(argv, run.cores.load, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, complaint = load.communicate(timeout=120)
    run.processes.stop(load)
    found = re.search(rb'(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout', output)
    good = re.search(rb'status codes: (\d+) 2xx', output)
    if load.returncode != 0 or not found or not good or b'protocol: h2' not in output:
        raise BenchError(f'h2load failed: {complaint.decode()}{output.decode()}')
    succeeded, failed = int(found[1]), int(found[2])
    return succeeded, failed + succeeded - int(good[1])


def latencies(log):
    """Of the requests in h2load's log, in order: their last field is the time of the answer in microseconds."""
    with open(log, encoding='ascii') as lines:
        return sorted(int(line.split('\t')[2]) for line in lines)


def measure_h2load(run):
    h2load(run, run.size.warmup_s)
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, 'log')
        before, begin = used_seconds(run.proxy.pid), time.monotonic()
        requests, errors = h2load(run, run.size.seconds, log)
        elapsed, after = time.monotonic() - begin, used_seconds(run.proxy.pid)
        times = latencies(log)
    exact, user, system = (late - early for late, early in zip(after, before, strict=True))

    def at(share):
        return times[min(int(len(times) * share), len(times) - 1)]

    each = max(requests, 1)
    return {
        'cpu_us': exact * 1e6 / each, 'user_us': user * 1e6 / each, 'system_us': system * 1e6 / each,
        'rps': requests / elapsed, 'p50_us': at(.5), 'p90_us': at(.9), 'p99_us': at(.99), 'p99_9_us': at(.999),
        'max_us': at(1), 'rss_mib': tree_resident_bytes(run.proxy.pid) / 2**20, 'core_share': exact / elapsed,
        'requests': requests, 'errors': errors, 'error_kinds': '',
    }
