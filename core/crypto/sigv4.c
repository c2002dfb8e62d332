/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/sigv4.h"

#include "core/crypto/digest.h"
#include "core/crypto/hmac.h"

#include <stdlib.h>
#include <time.h>

enum { DATE_SIZE = 8, SHA256_BYTES = 32 };

static const char algorithm[] = "AWS4-HMAC-SHA256";

/* --- canonical forms ------------------------------------------------------------------------------------ */

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

static struct slice encode_path(struct slice path, struct arena *arena)
{
    static const char digits[] = "0123456789ABCDEF";
    char *text = arena_alloc(arena, path.size * 3 + 1), *end = text;
    if (text == NULL)
        return (struct slice){ NULL, 0 };
    for (size_t i = 0; i < path.size; i++) {
        unsigned char c = (unsigned char)path.data[i];
        if (is_unreserved(path.data[i]) || c == '/') {
            *end++ = path.data[i];
            continue;
        }
        *end++ = '%';
        *end++ = digits[c >> 4];
        *end++ = digits[c & 15];
    }
    return (struct slice){ text, (size_t)(end - text) };
}

static int compare_fields(const void *a, const void *b)
{
    const struct sigv4_field *left = a, *right = b;
    int order = slice_compare(left->name, right->name);
    return order ? order : slice_compare(left->value, right->value);
}

/* By name, then by value; a name alone has an empty value. */
static struct slice sort_query(struct slice query, struct arena *arena)
{
    struct sigv4_field parameters[SIGV4_PARAMETERS_MAX];
    size_t count = 0;
    struct slice rest = query, text = SLICE("");
    while (rest.data) {
        struct slice one = slice_split(rest, '&', &rest), value;
        if (one.size == 0)
            continue;
        if (count == SIGV4_PARAMETERS_MAX)
            return (struct slice){ NULL, 0 };
        struct slice name = slice_split(one, '=', &value);
        parameters[count++] = (struct sigv4_field){ name, value };
    }
    if (count)
        qsort(parameters, count, sizeof(parameters[0]), compare_fields);
    for (size_t i = 0; i < count && text.data; i++)
        text = arena_format(arena, "%.*s%s%.*s=%.*s", SLICE_FORMAT(text), i ? "&" : "",
                            SLICE_FORMAT(parameters[i].name), SLICE_FORMAT(parameters[i].value));
    return text;
}

/* Without spaces around it, and one where there are several. */
static struct slice fold_value(struct slice value, struct arena *arena)
{
    char *text = arena_alloc(arena, value.size + 1), *end = text;
    value = slice_trim(value);
    for (size_t i = 0; text && i < value.size; i++)
        if (value.data[i] != ' ' || value.data[i - 1] != ' ')
            *end++ = value.data[i];
    return (struct slice){ text, (size_t)(end - text) };
}

static struct slice lower(struct slice name, struct arena *arena)
{
    char *text = arena_alloc(arena, name.size + 1);
    for (size_t i = 0; text && i < name.size; i++)
        text[i] = slice_lower(name.data[i]);
    return (struct slice){ text, name.size };
}

struct canonical {
    const struct sigv4_request *request;
    struct arena *arena;
    char date[SIGV4_DATE_SIZE];
    struct sigv4_field fields[SIGV4_FIELDS_MAX];
    size_t count;
    struct slice names; /* of the fields, with ';' between */
};

static bool add_field(struct canonical *canonical, struct slice name, struct slice value)
{
    if (canonical->count == SIGV4_FIELDS_MAX)
        return false;
    struct sigv4_field *field = &canonical->fields[canonical->count++];
    field->name = lower(name, canonical->arena);
    field->value = fold_value(value, canonical->arena);
    return field->name.data && field->value.data;
}

static bool begin(struct canonical *canonical, const struct sigv4_credentials *credentials)
{
    const struct sigv4_request *request = canonical->request;
    time_t time = (time_t)request->time_s;
    struct tm utc;
    if (gmtime_r(&time, &utc) == NULL || strftime(canonical->date, sizeof(canonical->date), "%Y%m%dT%H%M%SZ",
                                                  &utc) != sizeof(canonical->date) - 1)
        return false;
    for (size_t i = 0; i < request->field_count; i++)
        if (!add_field(canonical, request->fields[i].name, request->fields[i].value))
            return false;
    if (!add_field(canonical, SLICE("x-amz-date"), slice_of(canonical->date)))
        return false;
    if (credentials->session_token.data &&
        !add_field(canonical, SLICE("x-amz-security-token"), credentials->session_token))
        return false;
    qsort(canonical->fields, canonical->count, sizeof(canonical->fields[0]), compare_fields);
    canonical->names = SLICE("");
    for (size_t i = 0; i < canonical->count && canonical->names.data; i++)
        canonical->names = arena_format(canonical->arena, "%.*s%s%.*s", SLICE_FORMAT(canonical->names),
                                        i ? ";" : "", SLICE_FORMAT(canonical->fields[i].name));
    return canonical->names.data != NULL;
}

static struct slice write_canonical(const struct canonical *canonical)
{
    const struct sigv4_request *request = canonical->request;
    struct arena *arena = canonical->arena;
    char body[DIGEST_HEX_MAX];
    struct slice path = encode_path(request->path, arena), query = sort_query(request->query, arena);
    struct slice fields = SLICE("");
    for (size_t i = 0; i < canonical->count && fields.data; i++)
        fields =
            arena_format(arena, "%.*s%.*s:%.*s\n", SLICE_FORMAT(fields),
                         SLICE_FORMAT(canonical->fields[i].name), SLICE_FORMAT(canonical->fields[i].value));
    if (path.data == NULL || query.data == NULL || fields.data == NULL ||
        !digest_hex(DIGEST_SHA256, request->body, body))
        return (struct slice){ NULL, 0 };
    return arena_format(arena, "%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%s", SLICE_FORMAT(request->method),
                        SLICE_FORMAT(path), SLICE_FORMAT(query), SLICE_FORMAT(fields),
                        SLICE_FORMAT(canonical->names), body);
}

struct slice sigv4_canonical(const struct sigv4_request *request, const struct sigv4_credentials *credentials,
                             struct arena *arena, struct slice *signed_names)
{
    struct canonical canonical = { .request = request, .arena = arena };
    if (!begin(&canonical, credentials))
        return (struct slice){ NULL, 0 };
    *signed_names = canonical.names;
    return write_canonical(&canonical);
}

/* --- signing -------------------------------------------------------------------------------------------- */

static void derive(unsigned char key[SHA256_BYTES], struct slice secret, struct slice message)
{
    struct hmac_key hmac;
    hmac_key_init(&hmac, HMAC_SHA256, secret);
    hmac_sign(&hmac, message, key);
    explicit_bzero(&hmac, sizeof(hmac));
}

/* The last of the keys signs the text. */
static bool sign(const struct canonical *canonical, struct slice secret, struct slice text,
                 unsigned char out[SHA256_BYTES])
{
    const struct sigv4_request *request = canonical->request;
    struct slice parts[] = {
        { canonical->date, DATE_SIZE }, request->region, request->service, SLICE("aws4_request"), text
    };
    size_t size = secret.size + 4;
    char *first = arena_alloc(canonical->arena, size);
    if (first == NULL)
        return false;
    memcpy(first, "AWS4", 4);
    memcpy(first + 4, secret.data, secret.size);
    derive(out, (struct slice){ first, size }, parts[0]);
    explicit_bzero(first, size);
    for (size_t i = 1; i < COUNT_OF(parts); i++) {
        unsigned char next[SHA256_BYTES];
        derive(next, (struct slice){ (const char *)out, SHA256_BYTES }, parts[i]);
        memcpy(out, next, sizeof(next));
    }
    return true;
}

bool sigv4_sign(const struct sigv4_request *request, const struct sigv4_credentials *credentials,
                struct arena *arena, struct sigv4_signature *signature)
{
    struct canonical canonical = { .request = request, .arena = arena };
    unsigned char mac[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1], digest[DIGEST_HEX_MAX];
    if (!begin(&canonical, credentials))
        return false;
    struct slice text = write_canonical(&canonical);
    if (text.data == NULL || !digest_hex(DIGEST_SHA256, text, digest))
        return false;
    struct slice scope = arena_format(arena, "%.8s/%.*s/%.*s/aws4_request", canonical.date,
                                      SLICE_FORMAT(request->region), SLICE_FORMAT(request->service));
    if (scope.data == NULL)
        return false;
    struct slice to_sign =
        arena_format(arena, "%s\n%s\n%.*s\n%s", algorithm, canonical.date, SLICE_FORMAT(scope), digest);
    if (to_sign.data == NULL || !sign(&canonical, credentials->secret, to_sign, mac))
        return false;
    for (size_t i = 0; i < sizeof(mac); i++) {
        hex[2 * i] = "0123456789abcdef"[mac[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[mac[i] & 15];
    }
    hex[2 * sizeof(mac)] = '\0';
    signature->date = arena_copy(arena, slice_of(canonical.date));
    signature->token = credentials->session_token;
    signature->authorization = arena_format(
        arena, "%s Credential=%.*s/%.*s, SignedHeaders=%.*s, Signature=%s", algorithm,
        SLICE_FORMAT(credentials->key_id), SLICE_FORMAT(scope), SLICE_FORMAT(canonical.names), hex);
    return signature->date.data && signature->authorization.data;
}
