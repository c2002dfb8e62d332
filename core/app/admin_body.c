/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of requests as objects. */
#include "core/app/admin_api.h"
#include "core/app/admin_form.h"

static struct slice media_type(struct slice content_type)
{
    struct slice rest;
    return slice_trim(slice_split(content_type, ';', &rest));
}

static bool is_json(struct slice type)
{
    return slice_equal_nocase(type, SLICE("application/json")) ||
           (type.size > 5 && slice_equal_nocase(slice_from(type, type.size - 5), SLICE("+json")));
}

static bool is_form(struct slice type)
{
    return slice_equal_nocase(type, SLICE("application/x-www-form-urlencoded")) ||
           slice_equal_nocase(type, SLICE("multipart/form-data"));
}

static json_t *read_form(struct admin_call *call)
{
    json_t *object = admin_form_read(call->request->message, call->request->body);
    if (object == NULL)
        admin_message(call->answer, 400, "Cannot parse form body");
    return object;
}

static json_t *read_json(struct admin_call *call)
{
    struct slice body = call->request->body;
    json_t *value = json_loadb(body.data ? body.data : "", body.size, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(value))
        return value;
    json_decref(value);
    admin_message(call->answer, 400, "Cannot parse JSON body");
    return NULL;
}

json_t *admin_body(struct admin_call *call, bool *form)
{
    struct slice type = media_type(message_find(call->request->message, HEADER_CONTENT_TYPE));
    *form = is_form(type);
    if (call->request->body.size == 0 && !is_json(type))
        return json_object();
    if (*form)
        return read_form(call);
    if (is_json(type))
        return read_json(call);
    admin_page(call->answer, 415, "Unsupported Media Type");
    return NULL;
}
