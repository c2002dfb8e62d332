# SPDX-License-Identifier: Apache-2.0
"""Load by other people's generators, nghttp2's h2load and wrk: they know nothing of the proxy, whose time is read here
around their whole run."""
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from processes import BenchError, tree_members, tree_resident_bytes

CONNECTIONS, STREAMS = 4, 32 # of HTTP/2
TICKS = os.sysconf('SC_CLK_TCK')
PERCENTILES = {'p50_us': 50, 'p90_us': 90, 'p99_us': 99, 'p99_9_us': 99.9, 'max_us': 100}

# Runs once, after the load. wrk's latencies are in microseconds.
WRK_REPORT = '''\
done = function(summary, latency)
    local errors, wanted, found = 0, {%s}, {}
    for _, count in pairs(summary.errors) do errors = errors + count end
    for index, percentile in ipairs(wanted) do found[index] = latency:percentile(percentile) end
    io.stderr:write(string.format('{"requests": %%d, "errors": %%d, "times": [%%s]}',
                                  summary.requests, errors, table.concat(found, ',')))
end
'''


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


def finish(run, argv):
    """(standard output, standard error) of a generator that has done its work."""
    load = run.processes.start(argv, run.cores.load, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, complaint = load.communicate(timeout=120)
    run.processes.stop(load)
    if load.returncode != 0:
        raise BenchError(f'{argv[0]} failed: {complaint.decode()}{output.decode()}')
    return output, complaint


def address(run, scheme):
    return f'{scheme}://127.0.0.1:{run.plan.listen_port}' + run.target_path.read_text().split('\n', 1)[0]


def h2load(run, seconds, folder):
    """(requests, errors, PERCENTILES of their times in microseconds)"""
    log = Path(folder, 'log')
    argv = ['h2load', '-c', CONNECTIONS, '-m', STREAMS, '-t', 1, '-D', max(round(seconds), 1), '--log-file', log,
            address(run, 'https')]
    output, complaint = finish(run, argv)
    found = re.search(rb'(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout', output)
    good = re.search(rb'status codes: (\d+) 2xx', output)
    if not found or not good or b'protocol: h2' not in output:
        raise BenchError(f'h2load: {complaint.decode()}{output.decode()}')
    succeeded, failed = int(found[1]), int(found[2])
    # A line per request; the last field is the time of its answer.
    times = sorted(int(line.split('\t')[2]) for line in log.read_text(encoding='ascii').splitlines())
    log.unlink()
    return (succeeded, failed + succeeded - int(good[1]),
            [times[min(int(len(times) * share / 100), len(times) - 1)] for share in PERCENTILES.values()])


def wrk(run, seconds, folder):
    """The same."""
    script = Path(folder, 'report.lua')
    script.write_text(WRK_REPORT % ', '.join(str(share) for share in PERCENTILES.values()), encoding='ascii')
    argv = ['wrk', '--threads', 1, '--connections', run.scenario.connections, '--duration', max(round(seconds), 1),
            '--script', script, address(run, 'http')]
    output, complaint = finish(run, argv)
    try:
        told = json.loads(complaint)
    except ValueError as error:
        raise BenchError(f'wrk: {complaint.decode()}{output.decode()}') from error
    return told['requests'], told['errors'], told['times']


def measured_by(generator):
    """The `measure` function of a scenario whose load is made by `generator`."""
    def measure(run):
        with tempfile.TemporaryDirectory() as folder:
            generator(run, run.size.warmup_s, folder)
            before, begin = used_seconds(run.proxy.pid), time.monotonic()
            requests, errors, times = generator(run, run.size.seconds, folder)
            elapsed, after = time.monotonic() - begin, used_seconds(run.proxy.pid)
        exact, user, system = (late - early for late, early in zip(after, before, strict=True))
        each = max(requests, 1)
        return dict(zip(PERCENTILES, times, strict=True)) | {
            'cpu_us': exact * 1e6 / each, 'user_us': user * 1e6 / each, 'system_us': system * 1e6 / each,
            'rps': requests / elapsed, 'rss_mib': tree_resident_bytes(run.proxy.pid) / 2**20,
            'core_share': exact / elapsed, 'requests': requests, 'errors': errors, 'error_kinds': '',
        }
    return measure
