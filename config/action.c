/* SPDX-License-Identifier: Apache-2.0 */
#include "config/action.h"

static bool is_token_character(char c)
{
    char lower = slice_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool action_is_field_name(struct slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if (!is_token_character(name.data[i]))
            return false;
    return name.size > 0;
}

bool action_is_field_value(struct slice value)
{
    for (size_t i = 0; i < value.size; i++)
        if (((unsigned char)value.data[i] < ' ' && value.data[i] != '\t') || value.data[i] == 0x7f)
            return false;
    return true;
}

bool action_is_host(struct slice host)
{
    for (size_t i = 0; i < host.size; i++)
        if ((unsigned char)host.data[i] <= ' ' || host.data[i] == 0x7f || host.data[i] == '/')
            return false;
    return true;
}

const struct backend *backend_at(const struct backend *backends, uint32_t count, uint32_t at)
{
    for (uint32_t i = 0; i < count; i++) {
        if (at < backends[i].weight)
            return &backends[i];
        at -= backends[i].weight;
    }
    return NULL;
}
