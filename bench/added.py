# SPDX-License-Identifier: Apache-2.0
"""What each of the common plugins adds to a plain request, beside what comes nearest to it in nginx.

The same load runs with and without it, all in turn within a round; what is told is the median of the
differences within single rounds. Instructions are the gateway's, in user space (instructions.py)."""
from statistics import median
from types import SimpleNamespace

import instructions
from processes import ROOT, BenchError, Processes, build_tools, choose_cores, raise_file_limit, tell
from scenarios import Run, Size, plugin_scenarios
from subjects import peer_subjects, sluice_subject


def find_subjects(arguments):
    found = [sluice_subject('sluice', arguments.binary.resolve())]
    if not found[0].path():
        raise BenchError(f'{arguments.binary} is missing: build first')
    nginx = peer_subjects()['nginx']
    return found + [nginx] if 'nginx' in arguments.peers.split(',') and nginx.path() else found


def measure_round(processes, tools, arguments, subjects, scenarios):
    """{(subject, scenario): CPU us per request}"""
    size = Size(warmup_s=arguments.warmup, seconds=arguments.seconds)
    settings = dict(text.split('=', 1) for text in arguments.set)
    costs = {}
    for scenario in scenarios:
        for subject in subjects:
            with Run(processes, tools, choose_cores(arguments.cores), size, scenario, subject, settings) as run:
                metrics = scenario.measure(run)
            if metrics['errors']:
                raise BenchError(f'{scenario.name}: {subject.name}: {metrics["errors"]} errors')
            costs[subject.name, scenario.name] = metrics['cpu_us']
    return costs


def count_instructions(processes, tools, arguments, scenarios):
    options = SimpleNamespace(set=arguments.set, seconds=1.0)
    subject = sluice_subject('sluice', arguments.binary.resolve())
    return {scenario.name: instructions.count(processes, tools, options, scenario, subject)[0]
            for scenario in scenarios}


def show(triples, subjects, rounds, counts):
    print(f'{"plugin":16} {"instructions":>12}' + ''.join(f' {subject.name + " us":>22}' for subject in subjects))
    for name, with_it, without in triples:
        line = f'{name:16} {counts[with_it.name] - counts[without.name]:12,.0f}'
        for subject in subjects:
            added = [costs[subject.name, with_it.name] - costs[subject.name, without.name] for costs in rounds]
            line += f' {median(added):+7.2f} ({min(added):+.2f} {max(added):+.2f})'.rjust(23)
        print(line)


def run(arguments, names):
    tools = ROOT / 'build' / 'bench-tools'
    processes = Processes()
    raise_file_limit()
    triples = plugin_scenarios(names)
    scenarios = list({scenario.name: scenario for triple in triples for scenario in triple[1:]}.values())
    subjects = find_subjects(arguments)
    try:
        build_tools(tools)
        rounds = []
        for number in range(arguments.rounds):
            tell(f'plugins: round {number + 1} of {arguments.rounds}')
            turn = number % len(scenarios)
            order = scenarios[turn:] + scenarios[:turn]
            rounds.append(measure_round(processes, tools, arguments, subjects, order))
        counts = count_instructions(processes, tools, arguments, scenarios)
    finally:
        processes.stop_all()
    show(triples, subjects, rounds, counts)
    return 0
