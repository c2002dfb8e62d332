/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that is not listed here is not part of the gateway. */
#include "plugins/plugins.h"

const struct plugin *const plugin_registry[] = {
    &acl_plugin,
    &aws_cors_plugin,
    &aws_lambda_plugin,
    &aws_throttle_plugin,
    &basic_auth_plugin,
    &bot_detection_plugin,
    &compression_plugin,
    &correlation_id_plugin,
    &cors_plugin,
    &hmac_auth_plugin,
    &ip_restriction_plugin,
    &jwt_authorizer_plugin,
    &jwt_plugin,
    &key_auth_plugin,
    &ldap_auth_plugin,
    &openid_connect_plugin,
    &proxy_cache_plugin,
    &rate_limiting_plugin,
    &redirect_plugin,
    &request_mirror_plugin,
    &request_size_limiting_plugin,
    &request_termination_plugin,
    &request_transformer_plugin,
    &response_ratelimiting_plugin,
    &response_transformer_plugin,
    &session_plugin,
    &waf_plugin,
    NULL,
};
