# SPDX-License-Identifier: Apache-2.0
"""What floods do to others: a bystander's latency while somebody floods the same shard, beside nginx' worker.

The proxy has a core for itself. The bystander asks by the clock over connections of its own, before the flood and
during it; the flood takes what the other core has left, at the lowest priority, and so does the origin of the long
answers that it asks for: the bystander's generator and origin do not wait for them. Whoever is closed connects again
at once. What is compared is of the same round."""
import json
import signal
import subprocess
from dataclasses import dataclass
from statistics import median

from processes import BenchError, Processes, build_tools, choose_cores, raise_file_limit, tell, tree_resident_bytes
from processes import LOWEST, ROOT
from scenarios import Run, Scenario, Size, one_target
from subjects import peer_subjects, sluice_subject

RATE, CONNECTIONS = 500, 8
BEGUN_S = 0.5       # of the flood, before it is judged
HTTP2, TLS, HTTP1 = 'http2', 'ssl', ''


@dataclass
class Flood:
    kind: str
    listener: str = HTTP2
    connections: int = 8

    def argv(self, tools, port, seconds):
        if self.kind == 'handshakes':
            return [tools / 'load', '--tls', '--close', '--port', port, '--connections', self.connections,
                    '--warmup', 0, '--duration', seconds]
        return [tools / 'flood', '--kind', self.kind, '--port', port, '--connections', self.connections,
                '--duration', seconds]


FLOODS = [*map(Flood, ('rapid-reset', 'provoked-reset', 'refused-streams', 'continuation', 'empty-continuation',
                       'settings', 'settings-deaf', 'ping', 'ping-deaf', 'ping-stubborn', 'priority',
                       'unknown-frames', 'empty-data', 'tiny-data', 'hpack-bomb', 'hpack-trailers',
                       'cookie-crumbs', 'hpack-table', 'window-changes',
                       'tiny-windows', 'no-window', 'slow-readers')),
          Flood('slowloris', HTTP1, 5000), Flood('half-open-tls', TLS, 5000), Flood('handshakes', TLS, 64)]


def find_floods(names):
    known = {flood.kind: flood for flood in FLOODS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BenchError(f'unknown flood {unknown[0]}; known: {", ".join(known)}')
    return [known[name] for name in names] if names else FLOODS


def bystander(run, seconds, warmup):
    result = run.load(rate=RATE, connections=CONNECTIONS, duration=seconds, warmup=warmup)
    return result['latency_us'] | {'errors': result['errors']['total'], 'lag': result['lag_us']['p99']}


def measure(processes, tools, arguments, subject, flood):
    size = Size(warmup_s=0, seconds=arguments.seconds, idle=flood.connections)
    scenario = Scenario('floods', '', one_target(128), second=flood.listener)
    settings = dict(text.split('=', 1) for text in arguments.set)
    with Run(processes, tools, choose_cores(arguments.cores), size, scenario, subject, settings) as run:
        calm = bystander(run, arguments.seconds / 2, 0.3)
        before = tree_resident_bytes(run.proxy.pid, 'VmHWM:')
        argv = flood.argv(tools, run.plan.second_port, BEGUN_S + arguments.seconds + 0.3)
        attacker = processes.start(argv, run.cores.load, stdout=subprocess.PIPE, nice=LOWEST)
        run.started.append((attacker, signal.SIGTERM))
        during = bystander(run, arguments.seconds, BEGUN_S)
        grown = tree_resident_bytes(run.proxy.pid, 'VmHWM:') - before
        output, _ = attacker.communicate(timeout=60)
    said = json.loads(output)
    if flood.kind == 'handshakes':
        said = {'connects': said['tls']['handshakes'], 'sent_bytes': 0, 'longest_bytes': 0}
    elapsed = BEGUN_S + arguments.seconds + 0.3
    return {'calm': calm['p99'], 'p50': during['p50'], 'p99': during['p99'], 'max': during['max'],
            'lag': during['lag'], 'errors': calm['errors'] + during['errors'], 'grown_mib': grown / 2**20,
            'connects': said['connects'] / elapsed, 'mb': said['sent_bytes'] / elapsed / 1e6,
            'longest_kib': said['longest_bytes'] / 1024}


COLUMNS = (('calm', 'calm p99', 9, '.0f'), ('p50', 'p50', 7, '.0f'), ('p99', 'p99', 8, '.0f'), ('max', 'max', 8, '.0f'),
           ('grown_mib', 'MiB', 6, '.1f'), ('connects', 'conn/s', 7, '.0f'), ('mb', 'MB/s', 6, '.0f'),
           ('longest_kib', 'KiB/conn', 9, '.0f'), ('errors', 'err', 4, '.0f'))


def show_head():
    titles = ''.join(f'{title:>{width}}' for _, title, width, _ in COLUMNS)
    print(f'{"flood":20} {"subject":8}{titles}   p99 / nginx')


def show(flood, results):
    """`results`: {subject: [metrics of each round]}"""
    for name, rounds in results.items():
        line = f'{flood.kind:20} {name:8}'
        line += ''.join(f'{median(one[key] for one in rounds):{width}{form}}' for key, _, width, form in COLUMNS)
        peer = results.get('nginx')
        if peer and name != 'nginx':
            ratios = [ours['p99'] / theirs['p99'] for ours, theirs in zip(rounds, peer, strict=True)]
            line += f'   {median(ratios):.2f} ({min(ratios):.2f} {max(ratios):.2f})'
        print(line, flush=True)


def find_subjects(arguments):
    found = [] if arguments.skip_sluice else [sluice_subject('sluice', arguments.binary.resolve())]
    if arguments.against:
        found.append(sluice_subject('other', arguments.against.resolve()))
    for subject in found:
        if not subject.path():
            raise BenchError(f'{subject.program} is missing: build first')
    nginx = peer_subjects()['nginx']
    return found + [nginx] if 'nginx' in arguments.peers.split(',') and nginx.path() else found


def run(arguments, names):
    tools = ROOT / 'build' / 'bench-tools'
    processes, bad = Processes(), 0
    raise_file_limit()
    floods, subjects = find_floods(names), find_subjects(arguments)
    rounds = 1 if arguments.check else arguments.rounds
    try:
        build_tools(tools)
        show_head()
        for flood in floods:
            results = {subject.name: [] for subject in subjects}
            for number in range(rounds):
                for subject in subjects if number % 2 == 0 else reversed(subjects):
                    results[subject.name].append(measure(processes, tools, arguments, subject, flood))
            show(flood, results)
            bad += sum(one['errors'] for one in results.get('sluice', []))
    finally:
        processes.stop_all()
    if bad:
        tell(f'FAILED floods: {bad} requests of the bystander were not answered')
    return 1 if bad else 0
