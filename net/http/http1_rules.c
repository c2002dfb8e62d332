/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/http1_rules.h"

#include "net/http/start_line.h"
#include "net/http/token.h"

/* The fields that are looked at, as they were found. */
struct seen {
    uint32_t hosts, lengths, codings, authorizations;
    struct slice host, length, coding;
    bool close, keep_alive, upgrade;
    bool continues, other_expectation;
};

static void see_connection(struct seen *seen, struct slice list)
{
    while (list.data != NULL) {
        struct slice rest, option = slice_trim(slice_split(list, ',', &rest));
        seen->close |= slice_equal_nocase(option, SLICE("close"));
        seen->keep_alive |= slice_equal_nocase(option, SLICE("keep-alive"));
        seen->upgrade |= slice_equal_nocase(option, SLICE("upgrade"));
        list = rest;
    }
}

static void see(struct seen *seen, const struct header *header)
{
    switch (header->id) {
    case HEADER_HOST:
        seen->hosts++;
        seen->host = header->value;
        break;
    case HEADER_CONTENT_LENGTH:
        seen->lengths++;
        seen->length = header->value;
        break;
    case HEADER_TRANSFER_ENCODING:
        seen->codings++;
        seen->coding = header->value;
        break;
    case HEADER_AUTHORIZATION: seen->authorizations++; break;
    case HEADER_CONNECTION: see_connection(seen, header->value); break;
    case HEADER_EXPECT:
        if (slice_equal_nocase(header->value, SLICE("100-continue")))
            seen->continues = true;
        else
            seen->other_expectation = true;
        break;
    default: break;
    }
}

#define BIT(id) (UINT64_C(1) << HEADER_##id)

static struct seen look(const struct message *message)
{
    static const uint64_t looked_at = BIT(HOST) | BIT(CONTENT_LENGTH) | BIT(TRANSFER_ENCODING) |
                                      BIT(AUTHORIZATION) | BIT(CONNECTION) | BIT(EXPECT);
    struct seen seen = { 0 };
    for (uint32_t i = 0; i < message->header_count; i++)
        if (looked_at >> message->headers[i].id & 1)
            see(&seen, &message->headers[i]);
    return seen;
}

/* --- framing -------------------------------------------------------------------------------------------- */

/* Other codings than chunked are known by nobody here (501), but a list must be one, and chunked in it only
 * last and once: otherwise somebody may read another end of the body out of it.
 * RFC 9112 sections 6.1 and 7. */
static enum http1_refusal judge_coding(struct slice list)
{
    enum http1_refusal refusal = HTTP1_REFUSED_NONE;
    while (list.data != NULL) {
        struct slice rest, coding = slice_trim(slice_split(list, ',', &rest));
        if (!token_is(coding))
            return HTTP1_REFUSED_CODING;
        if (!slice_equal_nocase(coding, SLICE("chunked")))
            refusal = HTTP1_REFUSED_CODING_UNKNOWN;
        else if (rest.data != NULL)
            return HTTP1_REFUSED_CODING;
        list = rest;
    }
    return refusal;
}

/* RFC 9112 section 6.3, but a message with two readings is refused, not repaired. */
static enum http1_refusal judge_framing(struct message *message, const struct seen *seen)
{
    if (seen->codings > 0) {
        if (seen->lengths > 0)
            return HTTP1_REFUSED_LENGTH_AND_CODING;
        if (message->version_minor == 0)
            return HTTP1_REFUSED_CODING_VERSION;
        if (seen->codings > 1)
            return HTTP1_REFUSED_CODING;
        message->framing = BODY_CHUNKED;
        return judge_coding(seen->coding);
    }
    if (seen->lengths > 1)
        return HTTP1_REFUSED_LENGTH_TWICE;
    if (seen->lengths == 1) {
        if (!slice_to_u64(seen->length, &message->body_bytes) || message->body_bytes > INT64_MAX)
            return HTTP1_REFUSED_LENGTH;
        message->framing = BODY_LENGTH;
    }
    return HTTP1_REFUSED_NONE;
}

/* RFC 9112 section 9.3 */
static bool is_kept_alive(const struct message *message, const struct seen *seen)
{
    return !seen->close && (message->version_minor > 0 || seen->keep_alive);
}

/* --- requests ------------------------------------------------------------------------------------------- */

static enum http1_refusal judge_host(const struct message *message, const struct seen *seen)
{
    if (seen->hosts > 1)
        return HTTP1_REFUSED_HOST_TWICE;
    if (seen->hosts == 0)
        return message->version_minor > 0 ? HTTP1_REFUSED_HOST_MISSING : HTTP1_REFUSED_NONE;
    return start_line_is_authority(seen->host) ? HTTP1_REFUSED_NONE : HTTP1_REFUSED_HOST;
}

/* RFC 9112 section 3.2.2: the target's authority wins over the field. */
static bool take_authority(struct message *message, struct slice authority)
{
    return authority.data == NULL || message_set(message, SLICE("Host"), authority);
}

enum http1_refusal http1_rules_request(struct message *message, struct slice authority)
{
    struct seen seen = look(message);
    enum http1_refusal refusal = judge_host(message, &seen);
    if (refusal == HTTP1_REFUSED_NONE)
        refusal = judge_framing(message, &seen);
    if (refusal != HTTP1_REFUSED_NONE)
        return refusal;
    if (seen.authorizations > 1)
        return HTTP1_REFUSED_AUTHORIZATION_TWICE;
    if (seen.other_expectation)
        return HTTP1_REFUSED_EXPECTATION;
    if (!take_authority(message, authority))
        return HTTP1_REFUSED_MEMORY;
    bool body = message->framing == BODY_CHUNKED || message->body_bytes > 0;
    message->keep_alive = is_kept_alive(message, &seen);
    /* HTTP/1.0 knows neither (RFC 9110 sections 7.8 and 10.1.1). */
    message->expects_continue = seen.continues && body && message->version_minor > 0;
    message->upgrade = seen.upgrade && message_has(message, HEADER_UPGRADE) && message->version_minor > 0;
    return HTTP1_REFUSED_NONE;
}

/* --- responses ------------------------------------------------------------------------------------------ */

static bool has_body(int status, enum http1_answer_to answer_to)
{
    return answer_to != HTTP1_TO_HEAD && status >= 200 && status != 204 && status != 304;
}

enum http1_refusal http1_rules_response(struct message *message, enum http1_answer_to answer_to)
{
    struct seen seen = look(message);
    enum http1_refusal refusal = judge_framing(message, &seen);
    if (refusal != HTTP1_REFUSED_NONE)
        return refusal;
    if (!has_body(message->status, answer_to)) {
        message->framing = BODY_NONE;
        message->body_bytes = 0;
    } else if (message->framing == BODY_NONE) {
        message->framing = BODY_UNTIL_CLOSE;
    }
    message->keep_alive = is_kept_alive(message, &seen) && message->framing != BODY_UNTIL_CLOSE;
    message->upgrade = seen.upgrade && message_has(message, HEADER_UPGRADE);
    return HTTP1_REFUSED_NONE;
}
