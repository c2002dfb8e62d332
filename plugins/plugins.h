/* SPDX-License-Identifier: Apache-2.0 */
/* The plugins of this build, each defined in the file of its name. Constant; any thread. */
#pragma once

#include "net/proxy/plugin.h"

extern const struct plugin acl_plugin;
extern const struct plugin acme_plugin;
extern const struct plugin aws_cors_plugin;
extern const struct plugin aws_lambda_plugin;
extern const struct plugin aws_throttle_plugin;
extern const struct plugin basic_auth_plugin;
extern const struct plugin bot_detection_plugin;
extern const struct plugin canary_plugin;
extern const struct plugin compression_plugin;
extern const struct plugin correlation_id_plugin;
extern const struct plugin cors_plugin;
extern const struct plugin csrf_plugin;
extern const struct plugin datadog_plugin;
extern const struct plugin exit_transformer_plugin;
extern const struct plugin file_log_plugin;
extern const struct plugin grpc_gateway_plugin;
extern const struct plugin grpc_web_plugin;
extern const struct plugin hmac_auth_plugin;
extern const struct plugin http_log_plugin;
extern const struct plugin ip_restriction_plugin;
extern const struct plugin jwt_plugin;
extern const struct plugin jwt_authorizer_plugin;
extern const struct plugin key_auth_plugin;
extern const struct plugin ldap_auth_plugin;
extern const struct plugin loggly_plugin;
extern const struct plugin mtls_auth_plugin;
extern const struct plugin oauth2_plugin;
extern const struct plugin openid_connect_plugin;
extern const struct plugin opentelemetry_plugin;
extern const struct plugin prometheus_plugin;
extern const struct plugin proxy_cache_plugin;
extern const struct plugin rate_limiting_plugin;
extern const struct plugin redirect_plugin;
extern const struct plugin request_mirror_plugin;
extern const struct plugin request_size_limiting_plugin;
extern const struct plugin request_termination_plugin;
extern const struct plugin request_transformer_plugin;
extern const struct plugin request_validator_plugin;
extern const struct plugin response_ratelimiting_plugin;
extern const struct plugin response_transformer_plugin;
extern const struct plugin route_by_header_plugin;
extern const struct plugin session_plugin;
extern const struct plugin standard_webhooks_plugin;
extern const struct plugin statsd_plugin;
extern const struct plugin syslog_plugin;
extern const struct plugin tcp_log_plugin;
extern const struct plugin tls_handshake_modifier_plugin;
extern const struct plugin tls_metadata_headers_plugin;
extern const struct plugin udp_log_plugin;
extern const struct plugin waf_plugin;
extern const struct plugin zipkin_plugin;
