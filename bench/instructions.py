#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""User-space instructions per request, counted by callgrind.

Steady where times swing: the same binary under the same load gives the same number
within 1 to 4 percent. It sees user space only; what the kernel does is run.py's subject."""
import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.dont_write_bytecode = True

from processes import ROOT, BenchError, Processes, build_tools, choose_cores, raise_file_limit, tell  # noqa: E402
from scenarios import Run, Size, find_scenarios, plugin_scenarios  # noqa: E402
from subjects import DEFAULT_BINARY, peer_subjects, sluice_subject  # noqa: E402

OUTPUT = 'callgrind.%p'
REQUESTS_MIN = 4000     # so many that what the connections themselves cost does not show
LONGEST_S = 10
EDGES_S = (1.0, 4.0, 16.0)  # until all connections are warm; `callgrind_control` itself takes a moment, and long when
                            # the machine is busy: counted is only between two moments under load
PER_REQUEST = 'exchange_open'


def under_callgrind(subject):
    """The same subject, its program run by callgrind. nginx works without its master:
    callgrind cannot be told to start counting in a forked process."""
    plain = subject.argv

    def argv(program, plan, core):
        tool = ['valgrind', '--tool=callgrind', '--fair-sched=yes', '--separate-threads=no',
                f'--callgrind-out-file={plan.directory}/{OUTPUT}']
        return tool + ['daemon off; master_process off;' if word == 'daemon off;' else word
                       for word in plain(program, plan, core)]

    return replace(subject, argv=argv)


def control(pid, flag):
    done = subprocess.run(['callgrind_control', flag, str(pid)], capture_output=True, text=True, check=False)
    if done.returncode != 0 or 'Error' in done.stdout + done.stderr:
        raise BenchError(f'callgrind_control {flag}: {(done.stdout + done.stderr).strip()}')


def own_instructions(path):
    """{function: instructions of its own}. In callgrind's format a `calls=` line is
    followed by the cost of the callee, which is not the caller's own."""
    names, costs = {}, {}
    current = ''
    skip_next = False
    for line in path.read_text(errors='replace').splitlines():
        if line.startswith('fn='):
            key, _, name = line[3:].partition(' ')
            current = names.setdefault(key, name or key)
        elif line.startswith('cfn='):
            key, _, name = line[4:].partition(' ')
            names.setdefault(key, name or key)
        elif line.startswith('calls='):
            skip_next = True
        elif line[:1].isdigit() or line[:1] in ('+', '-', '*'):
            if not skip_next:
                costs[current] = costs.get(current, 0) + int(line.split()[-1])
            skip_next = False
    return costs


def calls_of(path, function):
    """How often it was called; 0: it is not among the functions."""
    names, calls, callee = {}, 0, ''
    for line in path.read_text(errors='replace').splitlines():
        if line.startswith(('fn=', 'cfn=')):
            key, _, name = line.partition('=')[2].partition(' ')
            known = names.setdefault(key, name or key)
            callee = known if line[0] == 'c' else callee
        elif line.startswith('calls=') and callee == function:
            calls += int(line[6:].split()[0])
    return calls


def count_between(run, seconds):
    """Between two moments in which the load ran, and its result."""
    for edge in EDGES_S:
        load = run.start_load(warmup=0, duration=seconds + 2 * edge)
        time.sleep(edge / 2)
        control(run.proxy.pid, '-z')
        time.sleep(seconds)
        control(run.proxy.pid, '-d')
        under_load = load.poll() is None
        result = run.end_load(load)
        if under_load:
            return result
    raise BenchError('callgrind did not answer while the load ran')


def count_whole(run, seconds):
    """From before the load until after it, and its result."""
    control(run.proxy.pid, '-z')
    result = run.load(warmup=0, duration=seconds)
    control(run.proxy.pid, '-d')
    return result


def measure(run):
    """Only the steady state is counted: warm connections, none of which begins or ends meanwhile. The gateway's
    requests are those that it began; peers are divided by the generator's count."""
    own = run.subject.says_ready
    warm = run.load(duration=run.size.seconds / 2)
    seconds = min(max(run.size.seconds, REQUESTS_MIN / max(warm['rps'], 1)), LONGEST_S)
    result = (count_between if own else count_whole)(run, seconds)
    if result['errors']['total'] or not result['requests']:
        raise BenchError(f'errors under callgrind: {result["errors"]}')
    dump = max(Path(run.plan.directory).glob(f'callgrind.{run.proxy.pid}*'), key=lambda path: path.stat().st_mtime)
    requests = calls_of(dump, PER_REQUEST) if own else result['requests']
    if not requests:
        raise BenchError(f'no calls of {PER_REQUEST} in {dump}')
    return dump, requests


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('scenario', nargs='*', help='closed-loop scenarios of run.py (plain), or plugins')
    parser.add_argument('--binary', type=Path, default=DEFAULT_BINARY)
    parser.add_argument('--subject', default='sluice', help='sluice, or a peer such as nginx or haproxy')
    parser.add_argument('--seconds', type=float, default=2.0)
    parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE', help='gateway setting')
    parser.add_argument('--top', type=int, default=25, help='functions to list')
    parser.add_argument('--guard', type=float, metavar='RATIO',
                        help="count nginx too, and fail if the gateway takes more than RATIO of its instructions")
    parser.add_argument('--plugins', action='store_true', help='what each plugin adds to a request instead')
    parser.add_argument('--plugins-guard', type=float, metavar='COUNT',
                        help='the same, and fail if one adds COUNT instructions or more')
    return parser.parse_args()


def count(processes, tools, arguments, scenario, subject):
    """Instructions per request, and the dump they were read from as {function: instructions per request}."""
    # valgrind knows of poll(2) that it blocks, and lets other threads run meanwhile
    settings = {'ring_wait': 'polled', **dict(text.split('=', 1) for text in arguments.set)}
    size = Size(warmup_s=0.5, seconds=arguments.seconds)
    with Run(processes, tools, choose_cores(None), size, scenario, under_callgrind(subject), settings) as run:
        dump, requests = measure(run)
        costs = {name: cost / requests for name, cost in own_instructions(dump).items()}
    total = sum(costs.values())
    print(f'{scenario.name}: {subject.name}: {total:,.0f} instructions per request ({requests} requests)')
    return total, costs


def guard(processes, tools, arguments, scenario, subject):
    """The ratio holds wherever it is taken: both programs meet the same compiler's libc and the same load."""
    ours, _ = count(processes, tools, arguments, scenario, subject)
    theirs, _ = count(processes, tools, arguments, scenario, peer_subjects()['nginx'])
    good = ours <= arguments.guard * theirs
    print(f'{scenario.name}: {ours / theirs:.2f} of nginx, at most {arguments.guard:.2f}')
    return good


def show(processes, tools, arguments, scenario, subject):
    _, costs = count(processes, tools, arguments, scenario, subject)
    for name, cost in sorted(costs.items(), key=lambda item: -item[1])[:arguments.top]:
        print(f'{cost:10,.0f}  {name}')
    return True


def plugins(processes, tools, arguments, subject):
    """Whatever the plugin makes other parts do counts: one more header to write, a longer request to send. One count is
    good to some 50 instructions: who is above the guard is counted twice more, and the median decides."""
    totals = {}

    def total(scenario, fresh):
        if fresh or scenario.name not in totals:
            totals[scenario.name], _ = count(processes, tools, arguments, scenario, subject)
        return totals[scenario.name]

    good = True
    for name, with_it, without in plugin_scenarios(arguments.scenario):
        added = [total(with_it, False) - total(without, False)]
        if arguments.plugins_guard and added[0] >= arguments.plugins_guard:
            added += [total(with_it, True) - total(without, True) for _ in range(2)]
        middle = statistics.median(added)
        good = good and not (arguments.plugins_guard and middle >= arguments.plugins_guard)
        print(f'{name}: {middle:,.0f} instructions per request')
    return good


def measure_all(processes, tools, arguments):
    good = True
    build_tools(tools)
    subject = (sluice_subject('sluice', arguments.binary.resolve()) if arguments.subject == 'sluice'
               else peer_subjects()[arguments.subject])
    if not subject.path():
        raise BenchError(f'{subject.program} is missing')
    if arguments.plugins or arguments.plugins_guard:
        return plugins(processes, tools, arguments, subject)
    for scenario in find_scenarios(arguments.scenario or ['plain']):
        good = (guard if arguments.guard else show)(processes, tools, arguments, scenario, subject) and good
    return good


def main():
    arguments = parse_arguments()
    tools = ROOT / 'build' / 'bench-tools'
    processes = Processes()
    raise_file_limit()
    try:
        good = measure_all(processes, tools, arguments)
    except BenchError as error:
        tell(f'instructions: {error}')
        return 1
    finally:
        processes.stop_all()
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
