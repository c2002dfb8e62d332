/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, the names they are for, and the authorities that are trusted. */
#include "core/crypto/certificate.h"

#include "config/kong/index.h"

struct kong_certificate {
    struct certificate certificate;
    struct kong_common common;
};

#define AT(member) offsetof(struct kong_certificate, member)

static const struct field certificate_fields[] = {
    { "cert", FIELD_STRING, AT(certificate.cert), .flags = FIELD_REQUIRED | FIELD_VAULT,
      .help = "PEM, the server's certificate first" },
    { "key", FIELD_STRING, AT(certificate.key), .flags = FIELD_REQUIRED | FIELD_SECRET | FIELD_VAULT,
      .help = "PEM" },
    { "cert_alt", FIELD_STRING, AT(certificate.cert_alt), .flags = FIELD_VAULT,
      .help = "PEM, with a key of another type" },
    { "key_alt", FIELD_STRING, AT(certificate.key_alt), .flags = FIELD_SECRET | FIELD_VAULT },
    KONG_COMMON_FIELDS(struct kong_certificate, certificate.entity),
};

static const char *const certificate_others[] = { "snis", "_comment", "_ignore", NULL };

const struct schema kong_certificate_schema = {
    .name = "certificates",
    .fields = certificate_fields,
    .field_count = COUNT_OF(certificate_fields),
    .struct_size = sizeof(struct kong_certificate),
    .others = certificate_others,
};

struct kong_sni {
    struct sni sni;
    struct kong_common common;
};

static const struct field sni_fields[] = {
    { "name", FIELD_STRING, offsetof(struct kong_sni, sni.entity.name), .flags = FIELD_REQUIRED,
      .check = kong_check_wildcard_host, .help = "unique; * may be its first or last label" },
    KONG_COMMON_FIELDS(struct kong_sni, sni.entity),
};

static const char *const sni_others[] = { "certificate", "_comment", "_ignore", NULL };

const struct schema kong_sni_schema = {
    .name = "snis",
    .fields = sni_fields,
    .field_count = COUNT_OF(sni_fields),
    .struct_size = sizeof(struct kong_sni),
    .others = sni_others,
};

struct kong_ca_certificate {
    struct ca_certificate authority;
    struct kong_common common;
    struct slice digest;
};

static const struct field ca_fields[] = {
    { "cert", FIELD_STRING, offsetof(struct kong_ca_certificate, authority.cert), .flags = FIELD_REQUIRED,
      .help = "PEM, one certificate" },
    { "cert_digest", FIELD_STRING, offsetof(struct kong_ca_certificate, digest),
      .help = "SHA-256 in hex, unique; derived from cert" },
    KONG_COMMON_FIELDS(struct kong_ca_certificate, authority.entity),
};

static const char *const ca_others[] = { "_comment", "_ignore", NULL };

const struct schema kong_ca_certificate_schema = {
    .name = "ca_certificates",
    .fields = ca_fields,
    .field_count = COUNT_OF(ca_fields),
    .struct_size = sizeof(struct kong_ca_certificate),
    .others = ca_others,
};

struct entry_place {
    const struct node *node;
    const struct config_place *place;
};

/* One certificate with its key, and what messages call them. */
struct pair {
    const char *cert_name, *key_name;
    struct slice cert, key;
    const char *mismatch;
};

/* False when there is nothing to compare: it is missing, came from nowhere, or was reported. */
static bool read_pair(const struct pair *pair, const struct node *node, const struct config_place *place,
                      struct certificate_facts *facts)
{
    char reason[CERTIFICATE_REASON_SIZE];
    struct key_facts key;
    bool good_cert = pair->cert.size > 0, good_key = pair->key.size > 0;
    if (good_cert && !certificate_read(pair->cert, facts, reason)) {
        schema_error(place, node, pair->cert_name, "invalid certificate: %s", reason);
        good_cert = false;
    }
    if (good_key && !certificate_read_private_key(pair->key, &key, reason)) {
        schema_error(place, node, pair->key_name, "invalid key: %s", reason);
        good_key = false;
    }
    if (good_cert && good_key && memcmp(facts->public_key, key.public_key, sizeof(key.public_key)) != 0)
        schema_error(place, node, "", "%s", pair->mismatch);
    return good_cert;
}

static void check_certificate(struct kong_reader *reader, struct certificate *certificate,
                              const struct node *node, const struct config_place *place)
{
    struct certificate_facts facts, alternative;
    const struct pair first = { "cert", "key", certificate->cert, certificate->key,
                                "certificate does not match key" };
    const struct pair second = { "cert_alt", "key_alt", certificate->cert_alt, certificate->key_alt,
                                 "alternative certificate does not match key" };
    if (kong_is_given(node, "cert_alt") != kong_is_given(node, "key_alt"))
        schema_error(place, node, "", "all or none of these fields must be set: 'cert_alt', 'key_alt'");
    bool good = read_pair(&first, node, place, &facts);
    if (good)
        certificate->not_after_s = facts.not_after_s;
    if (good && facts.not_after_s < reader->now_s)
        report_add(place->report, REPORT_WARNING, &node_find(node, "cert")->position,
                   schema_place(place, "cert").path, "the certificate has expired");
    if (read_pair(&second, node, place, &alternative) && good && facts.key == alternative.key)
        schema_error(place, node, "",
                     "certificate and alternative certificate need to have different type (e.g. RSA and "
                     "ECDSA), the provided certificates were both of the same type");
}

static void add_sni(struct kong_reader *reader, struct kong_sni *wide, const struct node *node,
                    const struct config_place *place)
{
    struct model *model = reader->model;
    struct sni *sni = &wide->sni;
    struct sni **items = model_reserve(model, model->snis.items, model->snis.count, &model->snis.capacity);
    if (items == NULL) {
        kong_fail_memory(reader);
        return;
    }
    model->snis.items = items;
    sni->entity.index = model->snis.count;
    items[model->snis.count++] = sni;
    struct kong_identity identity = { &reader->snis, &sni->entity, &wide->common, sni->entity.name, "name" };
    kong_identify(reader, &identity, node, place);
}

void kong_read_sni(struct kong_reader *reader, const struct node *node, const struct config_place *place,
                   const struct kong_parent *parent)
{
    struct kong_sni *wide = kong_take(reader, &reader->model->arena, sizeof(*wide));
    if (wide == NULL)
        return;
    schema_read(&kong_sni_schema, node, place, wide);
    wide->sni.certificate = parent->certificate;
    struct kong_foreign foreign = { &reader->certificates, "certificate", &wide->sni.certificate };
    kong_refer_required(reader, &foreign, node, place);
    add_sni(reader, wide, node, place);
}

/* The short form, as the Admin API writes it: the name alone, read as the record it stands for. */
static void read_sni_name(struct kong_reader *reader, struct node *name, const struct config_place *place,
                          const struct kong_parent *parent)
{
    struct node_entry entry = { SLICE("name"), name->position, name };
    struct node record = { .kind = NODE_MAPPING, .position = name->position, .entries = &entry, .count = 1 };
    kong_read_sni(reader, &record, place, parent);
}

static void read_snis(struct kong_reader *reader, struct certificate *certificate, const struct node *node,
                      const struct config_place *place)
{
    const struct node *list = node_find(node, "snis");
    struct kong_parent inner = { .certificate = certificate };
    struct config_place deeper = kong_place(reader, place, "snis");
    if (list == NULL || list->kind != NODE_SEQUENCE || list->count == 0 ||
        list->entries[0].value->kind != NODE_STRING) {
        kong_read_array(reader, list, &deeper, kong_read_sni, &inner);
        return;
    }
    for (uint32_t i = 0; i < list->count && !reader->out_of_memory; i++) {
        struct config_place place_of_one = schema_element(&deeper, i);
        read_sni_name(reader, list->entries[i].value, &place_of_one, &inner);
    }
}

/* Kong draws an id for what has no name; one that comes from the text is the same after a reload. */
static void identify(struct kong_reader *reader, struct kong_identity *identity, struct slice pem,
                     const struct entry_place *at)
{
    char *hex = kong_take(reader, &reader->scratch, DIGEST_HEX_MAX);
    if (hex != NULL && pem.size > 0 && digest_hex(DIGEST_SHA256, pem, hex))
        identity->key = slice_of(hex);
    identity->shares_id = identity->common->id.data == NULL;
    kong_identify(reader, identity, at->node, at->place);
}

void kong_read_certificate(struct kong_reader *reader, const struct node *node,
                           const struct config_place *place, const struct kong_parent *parent)
{
    struct model *model = reader->model;
    struct kong_certificate *wide = kong_take(reader, &model->arena, sizeof(*wide));
    struct certificate **items = model_reserve(model, model->certificates.items, model->certificates.count,
                                               &model->certificates.capacity);
    (void)parent;
    if (wide == NULL || items == NULL) {
        kong_fail_memory(reader);
        return;
    }
    struct certificate *certificate = &wide->certificate;
    schema_read(&kong_certificate_schema, node, place, wide);
    check_certificate(reader, certificate, node, place);
    model->certificates.items = items;
    certificate->entity.index = model->certificates.count;
    items[model->certificates.count++] = certificate;
    struct kong_identity identity = { &reader->certificates, &certificate->entity, &wide->common };
    identify(reader, &identity, certificate->cert, &(struct entry_place){ node, place });
    read_snis(reader, certificate, node, place);
}

static size_t count_marks(struct slice pem)
{
    static const char mark[] = "-----BEGIN CERTIFICATE-----";
    size_t count = 0;
    const char *at = pem.data, *end = pem.data + pem.size;
    while ((at = memmem(at, (size_t)(end - at), mark, sizeof(mark) - 1)) != NULL) {
        at += sizeof(mark) - 1;
        count++;
    }
    return count;
}

static void check_authority(struct kong_reader *reader, struct kong_ca_certificate *wide,
                            const struct node *node, const struct config_place *place)
{
    char reason[CERTIFICATE_REASON_SIZE];
    struct certificate_facts facts;
    struct ca_certificate *authority = &wide->authority;
    if (authority->cert.data == NULL)
        return;
    if (!certificate_read(authority->cert, &facts, reason)) {
        schema_error(place, node, "cert", "invalid certificate: %s", reason);
        return;
    }
    if (count_marks(authority->cert) > 1)
        schema_error(place, node, "", "please submit only one certificate at a time");
    else if (facts.not_after_s < reader->now_s)
        schema_error(place, node, "", "certificate expired, \"Not After\" time is in the past");
    else if (!facts.is_authority)
        schema_error(
            place, node, "",
            "certificate does not appear to be a CA because it is missing the \"CA\" basic constraint");
    memcpy(authority->digest, facts.digest, sizeof(authority->digest));
    if (wide->digest.data != NULL && !slice_equal_nocase(wide->digest, slice_of(facts.digest)))
        schema_error(place, node, "cert_digest", "is not the digest of this certificate");
    struct kong_unique digest = { &reader->ca_digests.names,   "ca_certificates", "cert_digest", NULL,
                                  slice_of(authority->digest), authority };
    kong_unique(reader, &digest, node, place);
}

void kong_read_ca_certificate(struct kong_reader *reader, const struct node *node,
                              const struct config_place *place, const struct kong_parent *parent)
{
    struct model *model = reader->model;
    struct kong_ca_certificate *wide = kong_take(reader, &model->arena, sizeof(*wide));
    struct ca_certificate **items = model_reserve(
        model, model->ca_certificates.items, model->ca_certificates.count, &model->ca_certificates.capacity);
    (void)parent;
    if (wide == NULL || items == NULL) {
        kong_fail_memory(reader);
        return;
    }
    struct ca_certificate *authority = &wide->authority;
    schema_read(&kong_ca_certificate_schema, node, place, wide);
    check_authority(reader, wide, node, place);
    model->ca_certificates.items = items;
    authority->entity.index = model->ca_certificates.count;
    items[model->ca_certificates.count++] = authority;
    struct kong_identity identity = { &reader->ca_certificates, &authority->entity, &wide->common };
    identify(reader, &identity, authority->cert, &(struct entry_place){ node, place });
}
