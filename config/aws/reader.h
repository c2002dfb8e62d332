/* SPDX-License-Identifier: Apache-2.0 */
/* What the definitions say, before it is linked and compiled: the same structs whether they came from
 * Terraform or OpenAPI. Used by config/aws alone; lives as long as aws_read_all. */
#pragma once

#include "config/aws/aws.h"

struct aws_list {
    void **items;
    uint32_t count, capacity;
};

/* What every one of them begins with. */
struct aws_object {
    struct slice id; /* by which others name it */
    const char *address; /* in messages: aws_apigatewayv2_route.users, or a place in an OpenAPI document */
    const struct node *node; /* its attributes */
};

struct aws_throttle {
    double rate; /* per second; NAN: not set */
    int64_t burst; /* INTEGER_NULL: not set */
    const struct node *node; /* NULL: no settings */
    const char *path; /* in messages */
};

struct aws_api {
    struct aws_object object;
    struct slice name, protocol, target, route_key, body;
    bool disabled; /* only custom domains lead to it */
    const struct node *cors; /* NULL: none */
    const char *cors_path;
    struct aws_list routes, stages;
};

struct aws_integration {
    struct aws_object object;
    struct slice api_id, type, uri, method, connection_type;
    int64_t timeout_ms;
    struct aws_api *api;
    const struct node *request_parameters; /* NULL: none */
};

struct aws_authorizer {
    struct aws_object object;
    struct slice api_id, type, name, issuer;
    struct slices identity_sources, audience;
    struct aws_api *api;
};

enum aws_segment_kind { AWS_LITERAL, AWS_VARIABLE, AWS_GREEDY };

struct aws_segment {
    enum aws_segment_kind kind;
    struct slice text; /* of a variable its name */
};

enum { AWS_SEGMENTS_MAX = 128 };

struct aws_route_key {
    struct slice text; /* as written */
    bool is_default; /* $default: the rest is empty */
    struct slice method; /* absent: ANY */
    struct aws_segment *segments;
    uint32_t segment_count; /* 0: the root */
};

struct aws_route {
    struct aws_object object;
    struct slice api_id, route_key, target, authorization, authorizer_id;
    struct slices scopes;
    struct aws_route_key key;
    struct aws_api *api;
    struct aws_integration *integration; /* NULL: there is none, 404 */
    struct aws_authorizer *authorizer; /* NULL: none */
    uint32_t number; /* in order of declaration */
};

struct aws_stage {
    struct aws_object object;
    struct slice api_id, name;
    const struct node *variables; /* NULL: none */
    struct aws_throttle throttle; /* of every route without its own */
    struct aws_list route_settings; /* struct aws_route_settings */
    struct aws_api *api;
};

struct aws_route_settings {
    struct slice route_key;
    struct aws_throttle throttle;
};

struct aws_domain {
    struct aws_object object;
    struct slice name;
};

struct aws_mapping {
    struct aws_object object;
    struct slice api_id, domain_name, stage_name, key;
    struct aws_api *api;
    struct aws_stage *stage;
    struct aws_domain *domain;
};

struct aws_reader {
    const struct aws_reading *reading;
    struct model *model;
    struct report *report;
    struct arena scratch;
    struct aws_list apis, routes, integrations, stages, authorizers, domains, mappings;
    uint64_t order; /* of the next match rule */
    bool out_of_memory;
};

/* reader.c */
bool aws_fail_memory(struct aws_reader *reader); /* reports once; always false */
void *aws_take(struct aws_reader *reader, struct arena *arena, size_t size); /* zeroed; NULL as above */
bool aws_add(struct aws_reader *reader, struct aws_list *list, void *item);
/* printf into the scratch; the empty text when memory is exhausted, which is reported. */
struct slice aws_text(struct aws_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Reports about a field of an object: the place of its value, else of the object. */
void aws_refuse(struct aws_reader *reader, const struct aws_object *object, const char *field,
                const char *format, ...) __attribute__((format(printf, 4, 5)));
void aws_warn(struct aws_reader *reader, const struct aws_object *object, const char *field,
              const char *format, ...) __attribute__((format(printf, 4, 5)));
struct config_place aws_place(struct aws_reader *reader, const struct aws_object *object);
/* `size` lower-case letters and digits that only depend on the text. */
struct slice aws_generated_id(struct aws_reader *reader, struct slice of, size_t size);
enum { AWS_API_ID_SIZE = 10, AWS_ID_SIZE = 7 };

/* resources.c: one resource of Terraform with its values; types of other services are left alone. */
struct aws_resource {
    struct slice type;
    struct aws_object object;
};
void aws_add_resource(struct aws_reader *reader, const struct aws_resource *resource);
bool aws_is_api_type(struct slice type); /* of API Gateway, supported or not */

/* terraform.c, show.c, openapi.c: what the sources hold. */
void aws_read_terraform(struct aws_reader *reader);
void aws_read_show(struct aws_reader *reader, const struct node *document);
void aws_read_openapi(struct aws_reader *reader, const struct node *document, struct aws_api *into);

/* link.c: names become pointers; stages, routes and integrations that go without saying are added. */
void aws_link(struct aws_reader *reader);

/* compile.c: everything linked, into the model. */
void aws_compile(struct aws_reader *reader);
