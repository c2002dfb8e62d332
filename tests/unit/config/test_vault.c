/* SPDX-License-Identifier: Apache-2.0 */
#include "config/vault.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct arena arena;
static char folder[] = "/tmp/sluice-vault-XXXXXX";
static char file[64];

static void write_file(const char *name, const char *text)
{
    snprintf(file, sizeof(file), "%s/%s", folder, name);
    FILE *out = fopen(file, "w");
    cr_assert_not_null(out);
    cr_assert(fputs(text, out) >= 0 && fclose(out) == 0);
}

static void set_up(void)
{
    arena_init(&arena, NULL, 0, (size_t)1 << 24);
    cr_assert_not_null(mkdtemp(folder));
    write_file("a", "secret of a\n");
    write_file("b", "{\"x\": \"of b\", \"n\": 1}");
    write_file("all.yaml", "a: plain\nb: {x: inner}\nc: '{\"x\": \"json\"}'\nn: 1\n");
}

static void tear_down(void)
{
    static const char *const names[] = { "a", "b", "all.yaml" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(file, sizeof(file), "%s/%s", folder, names[i]);
        unlink(file);
    }
    rmdir(folder);
    arena_deinit(&arena);
}

TestSuite(vault, .init = set_up, .fini = tear_down);

static void expect(const struct vaults *vaults, const char *reference, const char *wanted)
{
    struct slice out;
    const char *reason = vault_resolve(vaults, slice_of(reference), &arena, &out);
    cr_assert_null(reason, "%s: %s", reference, reason);
    cr_assert(slice_equal(out, slice_of(wanted)), "%s: %.*s", reference, SLICE_FORMAT(out));
}

static void expect_none(const struct vaults *vaults, const char *reference, const char *wanted)
{
    struct slice out;
    const char *reason = vault_resolve(vaults, slice_of(reference), &arena, &out);
    cr_assert_not_null(reason, "%s", reference);
    cr_assert_not_null(strstr(reason, wanted), "%s: %s", reference, reason);
}

Test(vault, recognised)
{
    cr_assert(vault_is_reference(SLICE("{vault://env/a}")));
    cr_assert_not(vault_is_reference(SLICE("{vault://env/a} ")));
    cr_assert_not(vault_is_reference(SLICE("vault://env/a")));
}

Test(vault, environment)
{
    struct vault mine = { .entity = { .name = SLICE("mine") }, .prefix = SLICE("sluice_test_") };
    struct vault *items[] = { &mine };
    struct vaults vaults = { .items = items, .count = 1, .env_prefix = SLICE("sluice_") };
    setenv("SLUICE_TEST_SECRET", "plain", 1);
    setenv("SLUICE_TEST_JSON", "{\"a\": \"x\", \"n\": 1}", 1);
    setenv("SLUICE_TEST_BASE64", "eHl6", 1);
    expect(NULL, "{vault://env/sluice-test-secret}", "plain");
    expect(NULL, "{vault://env/sluice%2Dtest-secret#1}", "plain");
    expect(NULL, "{vault://env/SLUICE_TEST_SECRET/}", "plain");
    expect(&vaults, "{vault://env/test-secret}", "plain");
    expect(&vaults, "{vault://mine/secret}", "plain");
    expect(&vaults, "{vault://mine/secret?ttl=5&neg_ttl=5&resurrect_ttl=5}", "plain");
    expect(&vaults, "{vault://mine/test-secret?prefix=sluice-}", "plain");
    expect(NULL, "{vault://env/sluice-test-json/a}", "x");
    expect(NULL, "{vault://env/sluice-test-base64?ttl=5&base64_decode=true}", "xyz");
    mine.base64_decode = true;
    expect(&vaults, "{vault://mine/base64}", "xyz");
    expect(&vaults, "{vault://mine/base64?base64_decode=false}", "eHl6");
}

static const struct {
    const char *reference, *reason;
} refused[] = {
    { "{vault://env/sluice-not-there}", "no such variable" },
    { "{vault://hcv/a}", "could not find vault" },
    { "{vault://env}", "empty path" },
    { "{vault://env/}", "empty path" },
    { "{vault:///a}", "missing host" },
    { "{vault://env/a#2}", "only version 1" },
    { "{vault://env/a?x=1}", "unknown option" },
    { "{vault://env/a?ttl}", "expected NAME=VALUE" },
    { "{vault://env/a?ttl=x}", "number of seconds" },
    { "{vault://env/a?base64_decode=1}", "expected base64_decode=true" },
    { "{vault://env/sluice-test-json/b}", "no such key" },
    { "{vault://env/sluice-test-json/n}", "no text" },
    { "{vault://env/sluice-test-secret/a}", "no JSON" },
    { "{vault://env/sluice-test-secret?base64_decode=true}", "no base64" },
    { "{vault://file/a}", "has no path" },
};

Test(vault, every_reason)
{
    setenv("SLUICE_TEST_SECRET", "e", 1);
    setenv("SLUICE_TEST_JSON", "{\"a\": \"x\", \"n\": 1}", 1);
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        expect_none(NULL, refused[i].reference, refused[i].reason);
}

Test(vault, directory)
{
    struct vaults vaults = { .file_path = slice_of(folder) };
    expect(&vaults, "{vault://file/a}", "secret of a");
    expect(&vaults, "{vault://file/b/x}", "of b");
    expect_none(&vaults, "{vault://file/c}", "cannot be read");
    expect_none(&vaults, "{vault://file/b/n}", "no text");
    expect_none(&vaults, "{vault://file/a/x}", "no JSON");
    expect_none(&vaults, "{vault://file/../a/}", "no path below");
    expect_none(&vaults, "{vault://file/%2e%2e%2fa}", "no path below");
    vaults.file_path = SLICE("/sluice/not/there");
    expect_none(&vaults, "{vault://file/a}", "does not exist");
}

Test(vault, document)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/all.yaml", folder);
    struct vaults vaults = { .file_path = slice_of(path) };
    expect(&vaults, "{vault://file/a}", "plain");
    expect(&vaults, "{vault://file/b/x}", "inner");
    expect(&vaults, "{vault://file/c/x}", "json");
    expect_none(&vaults, "{vault://file/d}", "no such key");
    expect_none(&vaults, "{vault://file/n}", "no text");
    expect_none(&vaults, "{vault://file/b/y}", "no such key");
}
