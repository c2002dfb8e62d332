/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/commands.h"
#include "core/base/slice.h"
#include "core/io/ring.h"
#include "plugins/waf.h"
#include "tls/ktls.h"
#include "tls/tls_crypto.h"

#include <ares.h>
#include <jansson.h>
#include <llhttp.h>
#include <openssl/crypto.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <yaml.h>

static void print_libraries(void)
{
    char pcre2[64] = "?";
    pcre2_config(PCRE2_CONFIG_VERSION, pcre2);
    printf("libraries\n");
#ifdef IO_URING_VERSION_MAJOR
    printf("  liburing   %d.%d\n", io_uring_major_version(), io_uring_minor_version());
#else
    printf("  liburing   " SLUICE_LIBURING_VERSION "\n"); /* before 2.4 it does not say */
#endif
    printf("  llhttp     %d.%d.%d\n", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
    printf("  libcrypto  %s\n", OpenSSL_version(OPENSSL_VERSION));
    printf("  TLS        %s\n", tls_crypto_text());
    printf("  PCRE2      %s\n", pcre2);
    printf("  libyaml    %s\n", yaml_get_version_string());
    printf("  jansson    %s\n", JANSSON_VERSION);
    printf("  c-ares     %s\n", ares_version(NULL));
    const char *no_waf = waf_engine_load();
    printf("  waf        %s%s\n", no_waf ? "none: " : "", no_waf ? no_waf : waf_engine_version());
}

static void print_feature(const char *name, bool there, const char *what)
{
    printf("  %-20s %-4s %s\n", name, there ? "yes" : "no", what);
}

static void print_kernel(void)
{
    struct utsname kernel;
    struct ring_features ring = ring_probe();
    struct ktls_support kernel_tls = ktls_probe();
    char text[KTLS_TEXT_SIZE];
    if (uname(&kernel) == 0)
        printf("kernel %s %s %s\n", kernel.sysname, kernel.release, kernel.machine);
    if (ring.works)
        printf("  io_uring works\n");
    else
        printf("  io_uring does not work here: %s\n", ring.missing ? ring.missing : "refused by the kernel");
    print_feature("defer_taskrun", ring.defer_taskrun, "completions run when the shard asks for them (6.1)");
    print_feature("no_sqarray", ring.no_sqarray, "submissions without an index array (6.6)");
    print_feature("receive_bundle", ring.receive_bundle, "one completion for several receive blocks (6.10)");
    print_feature("incremental_blocks", ring.incremental_blocks,
                  "receive blocks are filled piece by piece (6.12)");
    print_feature("kernel_tls", kernel_tls.suites,
                  kernel_tls.suites ? ktls_text(kernel_tls, text)
                                    : "TLS records are protected in user space");
}

int command_version(const struct command_options *options)
{
    if (options->argument_count > 0) {
        fprintf(stderr, "sluice version: unexpected argument: %s\n", options->arguments[0]);
        return COMMAND_EXIT_USAGE;
    }
    printf("sluice %s\nbuild %s\n", SLUICE_VERSION, sluice_build_flags);
    print_libraries();
    print_kernel();
    return COMMAND_EXIT_OK;
}
