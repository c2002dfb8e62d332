/* SPDX-License-Identifier: Apache-2.0 */
#include "config/scalar.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static bool is_one_of(struct slice text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal(text, slice_of(words[i])))
            return true;
    return false;
}

static size_t skip_digits(struct slice text, size_t at)
{
    while (at < text.size && text.data[at] >= '0' && text.data[at] <= '9')
        at++;
    return at;
}

static bool set_float(struct node *node, double number)
{
    node->kind = NODE_NUMBER;
    node->number = number;
    /* As in Lua, where 80.0 is as good an integer as 80. The bounds are powers of two and exact. */
    if (number >= -0x1p63 && number < 0x1p63 && floor(number) == number) {
        node->is_integer = true;
        node->integer = (int64_t)number;
    }
    return true;
}

static bool set_integer(struct node *node, const char *digits, int base)
{
    char *end;
    errno = 0;
    long long value = strtoll(digits, &end, base);
    if (errno != 0) /* too large: a number, but no integer of ours */
        return set_float(node, strtod(node->text.data, NULL));
    node->kind = NODE_NUMBER;
    node->number = (double)value;
    node->is_integer = true;
    node->integer = value;
    return true;
}

/* 0x and 0o take no sign. */
static bool read_based(struct node *node)
{
    struct slice text = node->text;
    if (text.size < 3 || text.data[0] != '0' || (text.data[1] != 'x' && text.data[1] != 'o'))
        return false;
    int base = text.data[1] == 'x' ? 16 : 8;
    const char *allowed = base == 16 ? "0123456789abcdefABCDEF" : "01234567";
    if (strspn(text.data + 2, allowed) != text.size - 2)
        return false;
    return set_integer(node, text.data + 2, base);
}

/* [-+]? ( digits | digits . digits* | . digits ) ( [eE] [-+]? digits )? */
static bool read_decimal(struct node *node)
{
    struct slice text = node->text;
    size_t at = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+');
    size_t whole = skip_digits(text, at) - at;
    at += whole;
    bool fraction = at < text.size && text.data[at] == '.';
    if (fraction) {
        size_t digits = skip_digits(text, at + 1) - (at + 1);
        if (whole + digits == 0)
            return false;
        at += 1 + digits;
    } else if (whole == 0) {
        return false;
    } else if (at == text.size) {
        return set_integer(node, text.data, 10);
    }
    if (at < text.size && (text.data[at] == 'e' || text.data[at] == 'E')) {
        at++;
        at += at < text.size && (text.data[at] == '-' || text.data[at] == '+');
        size_t end = skip_digits(text, at);
        if (end == at)
            return false;
        at = end;
    }
    return at == text.size && set_float(node, strtod(text.data, NULL));
}

static bool read_special(struct node *node)
{
    static const char *const infinities[] = { ".inf", ".Inf", ".INF" };
    static const char *const nans[] = { ".nan", ".NaN", ".NAN" };
    struct slice text = node->text;
    if (is_one_of(text, nans, COUNT_OF(nans)))
        return set_float(node, (double)NAN);
    bool negative = text.size > 0 && text.data[0] == '-';
    if (text.size > 0 && (negative || text.data[0] == '+'))
        text = slice_from(text, 1);
    if (is_one_of(text, infinities, COUNT_OF(infinities)))
        return set_float(node, negative ? -(double)INFINITY : (double)INFINITY);
    return false;
}

bool scalar_number(struct node *node)
{
    if (strlen(node->text.data) != node->text.size)
        return false;
    return read_based(node) || read_decimal(node) || read_special(node);
}

void scalar_resolve(struct node *node)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
    static const char *const trues[] = { "true", "True", "TRUE" };
    static const char *const falses[] = { "false", "False", "FALSE" };
    struct slice text = node->text;
    node->kind = NODE_STRING;
    if (is_one_of(text, nulls, COUNT_OF(nulls))) {
        node->kind = NODE_NULL;
    } else if (is_one_of(text, trues, COUNT_OF(trues)) || is_one_of(text, falses, COUNT_OF(falses))) {
        node->kind = NODE_BOOLEAN;
        node->boolean = text.data[0] == 't' || text.data[0] == 'T';
    } else if (text.data[0] == '-' || text.data[0] == '+' || text.data[0] == '.' ||
               (text.data[0] >= '0' && text.data[0] <= '9')) {
        scalar_number(node);
    }
}
