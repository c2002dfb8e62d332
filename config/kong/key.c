/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, each a JSON Web Key or PEM, and the sets they are in. */
#include "core/crypto/certificate.h"

#include "config/kong/index.h"
#include "config/vault.h"
#include "core/crypto/base64.h"

struct kong_key_set {
    struct key_set set;
    struct kong_common common;
};

static const struct field set_fields[] = {
    { "name", FIELD_STRING, offsetof(struct kong_key_set, set.entity.name), .help = "unique" },
    KONG_COMMON_FIELDS(struct kong_key_set, set.entity),
};

static const char *const set_others[] = { "keys", "_comment", "_ignore", NULL };

const struct schema kong_key_set_schema = {
    .name = "key_sets",
    .fields = set_fields,
    .field_count = COUNT_OF(set_fields),
    .struct_size = sizeof(struct kong_key_set),
    .others = set_others,
};

struct pem {
    struct slice public_key, private_key;
};

struct kong_key {
    struct signing_key key;
    struct kong_common common;
    struct pem pem;
};

static const struct field pem_fields[] = {
    { "private_key", FIELD_STRING, offsetof(struct pem, private_key), .flags = FIELD_SECRET | FIELD_VAULT },
    { "public_key", FIELD_STRING, offsetof(struct pem, public_key), .flags = FIELD_VAULT },
};
static const struct schema pem_schema = { "pem", pem_fields, COUNT_OF(pem_fields), sizeof(struct pem) };

static const struct field key_fields[] = {
    { "name", FIELD_STRING, offsetof(struct kong_key, key.entity.name), .help = "unique" },
    { "kid", FIELD_STRING, offsetof(struct kong_key, key.kid), .flags = FIELD_REQUIRED,
      .help = "the key's id, unique in its set" },
    { "jwk", FIELD_STRING, offsetof(struct kong_key, key.jwk), .flags = FIELD_SECRET | FIELD_VAULT,
      .help = "a JSON Web Key as text; its kid must be the same" },
    { "pem", FIELD_RECORD, offsetof(struct kong_key, pem), .flags = FIELD_OPTIONAL, .record = &pem_schema,
      .help = "instead of jwk" },
    KONG_COMMON_FIELDS(struct kong_key, key.entity),
};

static const char *const key_others[] = { "set", "_comment", "_ignore", NULL };

const struct schema kong_key_schema = {
    .name = "keys",
    .fields = key_fields,
    .field_count = COUNT_OF(key_fields),
    .struct_size = sizeof(struct kong_key),
    .others = key_others,
};

void kong_read_key_set(struct kong_reader *reader, const struct node *node, const struct config_place *place,
                       const struct kong_parent *parent)
{
    struct model *model = reader->model;
    struct kong_key_set *wide = kong_take(reader, &model->arena, sizeof(*wide));
    struct key_set **items =
        model_reserve(model, model->key_sets.items, model->key_sets.count, &model->key_sets.capacity);
    (void)parent;
    if (wide == NULL || items == NULL) {
        kong_fail_memory(reader);
        return;
    }
    struct key_set *set = &wide->set;
    schema_read(&kong_key_set_schema, node, place, wide);
    model->key_sets.items = items;
    set->entity.index = model->key_sets.count;
    items[model->key_sets.count++] = set;
    struct kong_identity identity = { &reader->key_sets, &set->entity, &wide->common, set->entity.name,
                                      "name" };
    kong_identify(reader, &identity, node, place);
    struct kong_parent inner = { .key_set = set };
    struct config_place deeper = kong_place(reader, place, "keys");
    kong_read_array(reader, node_find(node, "keys"), &deeper, kong_read_key, &inner);
}

static bool is_base64url(const struct node *jwk, const char *member, struct arena *arena)
{
    const struct node *value = node_find(jwk, member);
    size_t size;
    if (value == NULL || value->kind != NODE_STRING || value->text.size == 0)
        return false;
    char *bytes = arena_alloc(arena, base64_decoded_bound(value->text.size));
    return bytes != NULL && base64_decode(BASE64_URL, value->text, bytes, &size);
}

/* The members that each type of key must have (RFC 7518 section 6, RFC 8037 section 2). */
static bool is_jwk(const struct node *jwk, struct arena *arena)
{
    static const struct {
        const char *type, *curves, *members[3];
    } rows[] = {
        { "RSA", NULL, { "n", "e" } },
        { "EC", "P-256 P-384 P-521 secp256k1", { "x", "y" } },
        { "OKP", "Ed25519 Ed448 X25519 X448", { "x" } },
        { "oct", NULL, { "k" } },
    };
    const struct node *type = node_find(jwk, "kty"), *curve = node_find(jwk, "crv");
    for (size_t i = 0; type && type->kind == NODE_STRING && i < COUNT_OF(rows); i++) {
        if (!slice_equal(type->text, slice_of(rows[i].type)))
            continue;
        bool good = rows[i].curves == NULL || (curve && curve->kind == NODE_STRING && curve->text.size > 4 &&
                                               strstr(rows[i].curves, curve->text.data) != NULL);
        for (const char *const *member = rows[i].members; good && *member; member++)
            good = is_base64url(jwk, *member, arena);
        return good;
    }
    return false;
}

/* NULL, or what is wrong with it. */
static const char *check_jwk(struct kong_reader *reader, const struct signing_key *key)
{
    struct report report;
    struct documents documents;
    report_init(&report); /* would quote the key */
    struct document_reading reading = { &document_default_limits, &reader->scratch, &report };
    bool good = document_read_text(key->jwk, "jwk.json", &reading, &documents) && documents.count == 1;
    report_deinit(&report);
    if (!good)
        return "could not json decode jwk string";
    const struct node *kid = node_find(documents.items[0], "kid");
    if (kid == NULL || kid->kind != NODE_STRING || !slice_equal(kid->text, key->kid))
        return "kid in jwk.kid must be equal to keys.kid";
    return is_jwk(documents.items[0], &reader->scratch) ? NULL : "could not load JWK, likely not a valid key";
}

static void check_pem(const struct kong_key *wide, const struct node *node, const struct config_place *place)
{
    char reason[CERTIFICATE_REASON_SIZE];
    struct key_facts public_facts, private_facts;
    const struct node *pem = node_find(node, "pem");
    struct slice public_key = wide->pem.public_key, private_key = wide->pem.private_key;
    bool has_public = public_key.size > 0, has_private = private_key.size > 0;
    if (!kong_is_given(pem, "public_key") && !kong_is_given(pem, "private_key")) {
        struct config_place deeper = schema_place(place, "pem");
        schema_error(&deeper, pem, "",
                     "at least one of these fields must be non-empty: 'private_key', 'public_key'");
    } else if (has_public && !certificate_read_public_key(public_key, &public_facts, reason)) {
        schema_error(place, node, "pem", "could not load public key");
    } else if (has_private && !certificate_read_private_key(private_key, &private_facts, reason)) {
        schema_error(place, node, "pem", "could not load private key%s", reason);
    } else if (has_public && has_private &&
               memcmp(public_facts.public_key, private_facts.public_key, CERTIFICATE_DIGEST_SIZE) != 0) {
        schema_error(place, node, "pem", "public key does not match private key");
    }
}

static void check_key(struct kong_reader *reader, struct kong_key *wide, const struct node *node,
                      const struct config_place *place)
{
    struct signing_key *key = &wide->key;
    bool has_jwk = kong_is_given(node, "jwk"), has_pem = kong_is_given(node, "pem");
    key->public_key = wide->pem.public_key;
    key->private_key = wide->pem.private_key;
    if (has_jwk && has_pem)
        schema_error(place, node, "", "only one or none of these fields must be set: 'jwk', 'pem'");
    if (!has_jwk && !has_pem)
        schema_error(place, node, "", "at least one of these fields must be non-empty: 'jwk', 'pem'");
    if (key->jwk.size > 0 && key->kid.data != NULL) {
        const char *reason = check_jwk(reader, key);
        if (reason != NULL)
            schema_error(place, node, "", "%s", reason);
    }
    if (has_pem)
        check_pem(wide, node, place);
}

/* When its set is known: a kid stands once in it. A key written the same way has the same id, and was
 * reported. */
static void check_unique(struct kong_reader *reader, const struct kong_later *later)
{
    struct kong_key *wide = later->entity;
    const struct signing_key *key = &wide->key;
    struct config_place place = { reader->report, &reader->scratch, later->path, NULL };
    struct slice value = arena_format(&reader->scratch, "%.*s:%s", SLICE_FORMAT(key->kid),
                                      key->set ? key->set->entity.id : "");
    const struct kong_key *first = value.data ? map_find(&reader->kids.names, value) : NULL;
    struct kong_unique unique = { &reader->kids.names, "keys", "kid", "kid, set", value, wide };
    bool reported = first != NULL && strcmp(first->key.entity.id, key->entity.id) == 0;
    if (value.data == NULL)
        kong_fail_memory(reader);
    else if (key->kid.data != NULL && !reported)
        kong_unique(reader, &unique, later->node, &place);
}

void kong_read_key(struct kong_reader *reader, const struct node *node, const struct config_place *place,
                   const struct kong_parent *parent)
{
    struct model *model = reader->model;
    struct kong_key *wide = kong_take(reader, &model->arena, sizeof(*wide));
    struct signing_key **items =
        model_reserve(model, model->keys.items, model->keys.count, &model->keys.capacity);
    if (wide == NULL || items == NULL) {
        kong_fail_memory(reader);
        return;
    }
    struct signing_key *key = &wide->key;
    schema_read(&kong_key_schema, node, place, wide);
    check_key(reader, wide, node, place);
    model->keys.items = items;
    key->entity.index = model->keys.count;
    items[model->keys.count++] = key;
    key->set = parent->key_set;
    struct kong_foreign foreign = { &reader->key_sets, "set", &key->set };
    kong_refer(reader, &foreign, node, place);
    const struct kong_key_part parts[] = {
        { "kid", NULL },
        { "set", parent->key_set ? &parent->key_set->entity : NULL },
    };
    struct kong_identity identity = { &reader->keys, &key->entity, &wide->common,
                                      kong_composite_key(reader, "keys", node, parts, COUNT_OF(parts)),
                                      "name" };
    kong_identify(reader, &identity, node, place);
    kong_later(reader, &(struct kong_later){ NULL, check_unique, wide, node, place->path });
}
