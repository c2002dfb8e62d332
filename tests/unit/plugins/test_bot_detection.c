/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct plugin_setup setup;
static void *shard_state;

static void start(void)
{
    plugin_setup_init(&setup);
    shard_state = calloc(1, bot_detection_plugin.shard_state_size);
    cr_assert(shard_state && bot_detection_plugin.shard_open(NULL, NULL, shard_state) == ERROR_OK);
}

static void stop(void)
{
    bot_detection_plugin.shard_close(shard_state);
    free(shard_state);
    plugin_setup_deinit(&setup);
}

TestSuite(bot_detection, .init = start, .fini = stop);

/* The status of the answer to a request with these agents (NULL: none), 0 when it passes. */
static int judge(const char *text, const char *agent, const char *second)
{
    const void *config = plugin_setup_config(&setup, &bot_detection_plugin, text);
    cr_assert_not_null(config, "%s", text);
    struct exchange *exchange = fake_exchange_open("GET", "/");
    if (agent)
        fake_exchange_header(exchange, "User-Agent", slice_of(agent));
    if (second)
        fake_exchange_header(exchange, "user-agent", slice_of(second));
    fake_exchange_run(exchange, &bot_detection_plugin, PHASE_ACCESS, config, shard_state);
    int status = exchange->status;
    fake_exchange_close(exchange);
    return status;
}

Test(bot_detection, known_bots)
{
    static const char *const bots[] = {
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
        "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
        "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
        "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "Twitterbot/1.0",
        "SomeBot/1.2",
        "MyCrawler/1.0",
        "Scrapy/2.11 (+https://scrapy.org)",
        "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
        "Apache-HttpClient/4.5",
        "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
        "SPIDER 2",
    };
    for (size_t i = 0; i < COUNT_OF(bots); i++)
        cr_assert_eq(judge("{}", bots[i], NULL), 403, "%s", bots[i]);
}

Test(bot_detection, people_and_tools)
{
    static const char *const others[] = {
        "",
        "curl/8.5.0",
        "Wget/1.21",
        "python-requests/2.31",
        "evil42",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:121.0) Gecko/20100101 Firefox/121.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/17.2 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 9; CUBOT NOTE 7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0",
        "Mozilla/5.0 (Linux; Android 6.0; CUBOT) AppleWebKit/537.36",
        "bottle/1.0 botany",
    };
    for (size_t i = 0; i < COUNT_OF(others); i++)
        cr_assert_eq(judge("{}", others[i], NULL), 0, "%s", others[i]);
    cr_assert_eq(judge("{}", NULL, NULL), 0);
}

Test(bot_detection, lists)
{
    static const char lists[] = "{allow: [goodbot, '^Mozilla.*Googlebot'], deny: ['evil\\d+', goodbot/2]}";
    cr_assert_eq(judge(lists, "goodbot/2", NULL), 0);
    cr_assert_eq(judge(lists, "Mozilla/5.0 (compatible; Googlebot/2.1)", NULL), 0);
    cr_assert_eq(judge(lists, "evil42", NULL), 403);
    cr_assert_eq(judge(lists, "EVIL42", NULL), 0);
    cr_assert_eq(judge(lists, "bingbot/2.0", NULL), 403);
}

Test(bot_detection, one_agent_only)
{
    cr_assert_eq(judge("{}", "a", "b"), 400);
}

Test(bot_detection, what_is_wrong_is_reported)
{
    cr_assert_null(plugin_setup_config(&setup, &bot_detection_plugin, "{deny: ['(']}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "deny[0]", "not a valid regex: ("));
}
