/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_result.h"

#include "bench/wire.h"

void load_result_begin(struct load_result *result, const pid_t *pids, size_t pid_count)
{
    result->own_cpu_ns = process_own_cpu_ns();
    result->interval_ns = wire_now_ns();
    process_sample_read(&result->start, pids, pid_count);
}

void load_result_end(struct load_result *result, const pid_t *pids, size_t pid_count)
{
    process_sample_read(&result->end, pids, pid_count);
    result->interval_ns = wire_now_ns() - result->interval_ns;
    result->own_cpu_ns = process_own_cpu_ns() - result->own_cpu_ns;
}

bool load_result_is_good(unsigned status)
{
    return status >= 200 && status < 300;
}

void load_result_status(struct load_result *result, unsigned status)
{
    if (!load_result_is_good(status))
        result->errors_status[status]++;
}

void load_result_answer(struct load_result *result, const struct schedule *schedule, unsigned status,
                        uint64_t intended_ns, uint64_t now_ns)
{
    if (schedule_counts(schedule, now_ns))
        result->responses++;
    if (load_result_is_good(status) && schedule_counts(schedule, schedule->rate > 0 ? intended_ns : now_ns))
        histogram_add(&result->latency, now_ns - intended_ns);
}

void load_result_unanswered(struct load_result *result, struct schedule *schedule, size_t outstanding)
{
    result->errors_timeout += outstanding;
    for (; schedule_owes(schedule); schedule->started++)
        result->errors_timeout++;
}
