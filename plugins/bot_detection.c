/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's bot-detection: judges the User-Agent by the configuration's expressions, then by a list of programs
 * that read the web on their own. */
#include "core/base/regex.h"
#include "net/proxy/exchange.h"
#include "plugins/plugins.h"
#include "plugins/regex_state.h"

struct patterns {
    struct regex *items;
    uint32_t count;
};

struct bot_detection_config {
    struct slices allow, deny;
    struct patterns allowed, denied;
    struct regex known[2]; /* bots that are known, by what they are called and by their names */
};

/* What robots call themselves: a word of the trade with a version or a comment behind it.
 * A Cubot is a phone. */
static const char known_words[] =
    "(?:(?<!CU|Cu|cu)(?:[Bb]ot|BOT)|[Ss]pider|SPIDER|[Cc]rawl(?:er|ing)?|CRAWLER|[Ss]crap(?:er|y)"
    "|[Aa]rchiver|[Ff]eedfetcher)(?:[/;, )-]|[ ]?v?[0-9]|$)";

/* Robots whose names do not say what they are. */
static const char known_names[] =
    "(?:facebookexternalhit|Pingdom\\.com_bot|NewRelicPinger|PTST|Nutch|heritrix|Slurp|Teoma|ia_archiver"
    "|Mediapartners-Google|AdsBot-Google|Google-Site-Verification|Google Web Preview|APIs-Google"
    "|BingPreview|bitlybot|Embedly|Quora Link Preview|outbrain|WhatsApp|Yeti|Sogou [a-z]+ spider"
    "|Baiduspider|YandexImages|YandexMetrika|SiteExplorer|Screaming Frog|SEOkicks|MegaIndex|Nikto"
    "|HTTrack|WebCopier|WebZIP|Xenu Link Sleuth|LinkChecker|Wappalyzer|Qwantify|netEstate|CCBot"
    "|Apache-HttpClient|Google-HTTP-Java-Client|Python-urllib|WinHTTP|HttpMonitor|TLSProber|JNLP"
    "|larbin|libwww-perl|Mechanize|Offline Explorer|Teleport Pro|EmailCollector|EmailSiphon|WebBandit)";

static const char *check_pattern(struct slice text)
{
    return regex_check(text, NULL, 0) ? NULL : "not a valid regex: {}";
}

#define OFFSET(member) offsetof(struct bot_detection_config, member)

static const struct field fields[] = {
    { "allow", FIELD_STRINGS, OFFSET(allow), .check = check_pattern, .shown = "",
      .help = "regular expressions; who matches one passes at once" },
    { "deny", FIELD_STRINGS, OFFSET(deny), .check = check_pattern, .shown = "",
      .help = "regular expressions; who matches one is refused" },
};

static void close_regex(void *pointer)
{
    regex_close(pointer);
}

static bool compile(struct regex *regex, struct slice text, struct arena *arena)
{
    *regex = (struct regex){ 0 };
    enum error error = regex_compile(regex, text, REGEX_ANYWHERE, NULL, 0);
    if (error != ERROR_OK)
        return error == ERROR_INVALID; /* that was reported */
    if (arena_on_close(arena, close_regex, regex))
        return true;
    regex_close(regex);
    return false;
}

static bool compile_all(struct patterns *patterns, const struct slices *texts, struct arena *arena)
{
    *patterns =
        (struct patterns){ arena_array(arena, texts->count + 1u, sizeof(struct regex)), texts->count };
    for (uint32_t i = 0; patterns->items && i < texts->count; i++)
        if (!compile(&patterns->items[i], texts->items[i], arena))
            return false;
    return patterns->items != NULL;
}

static void check(void *value, const struct node *node, const struct config_place *place)
{
    struct bot_detection_config *config = value;
    struct arena *arena = place->arena;
    if (!compile_all(&config->allowed, &config->allow, arena) ||
        !compile_all(&config->denied, &config->deny, arena) ||
        !compile(&config->known[0], slice_of(known_words), arena) ||
        !compile(&config->known[1], slice_of(known_names), arena))
        schema_error(place, node, "", "out of memory");
}

static bool matches_one(const struct regex *items, uint32_t count, struct slice agent,
                        struct regex_scratch *scratch)
{
    for (uint32_t i = 0; i < count; i++)
        if (regex_match(&items[i], agent, scratch))
            return true;
    return false;
}

static uint32_t count_agents(const struct message *request)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->header_count; i++)
        count += request->headers[i].id == HEADER_USER_AGENT;
    return count;
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct bot_detection_config *config = call->config;
    const struct message *request = exchange_request(call->exchange);
    struct regex_scratch *scratch = call->shard_state;
    struct slice agent = message_find(request, HEADER_USER_AGENT);
    if (agent.data == NULL)
        return VERDICT_CONTINUE;
    if (count_agents(request) > 1)
        return exchange_respond_error(call->exchange, 400, SLICE("Only one User-Agent header allowed"));
    if (matches_one(config->allowed.items, config->allowed.count, agent, scratch))
        return VERDICT_CONTINUE;
    if (matches_one(config->denied.items, config->denied.count, agent, scratch) ||
        matches_one(config->known, COUNT_OF(config->known), agent, scratch))
        return exchange_respond_error(call->exchange, 403, SLICE("Forbidden"));
    return VERDICT_CONTINUE;
}

const struct plugin bot_detection_plugin = {
    .kind = { .name = "bot-detection",
              .priority = 2500,
              .config = { .name = "bot-detection",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct bot_detection_config),
                          .check = check },
              .forbids_consumer = true },
    .on = { [PHASE_ACCESS] = on_access },
    .shard_state_size = sizeof(struct regex_scratch),
    .shard_open = regex_state_open,
    .shard_close = regex_state_close,
};
