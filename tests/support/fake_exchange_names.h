/* SPDX-License-Identifier: Apache-2.0 */
/* Gives the functions of net/proxy/exchange.h other names, so that the real exchange and the fake one can be
 * linked into one program: plugins under test are compiled with this in front (tests/CMakeLists.txt). */
#pragma once

#define exchange_arena faked_exchange_arena
#define exchange_arrival faked_exchange_arrival
#define exchange_authenticate faked_exchange_authenticate
#define exchange_client_ip faked_exchange_client_ip
#define exchange_consumer faked_exchange_consumer
#define exchange_credential faked_exchange_credential
#define exchange_limit_body faked_exchange_limit_body
#define exchange_model faked_exchange_model
#define exchange_path faked_exchange_path
#define exchange_query faked_exchange_query
#define exchange_remove_upstream_header faked_exchange_remove_upstream_header
#define exchange_request faked_exchange_request
#define exchange_request_id faked_exchange_request_id
#define exchange_respond_body faked_exchange_respond_body
#define exchange_respond_error faked_exchange_respond_error
#define exchange_respond_failure faked_exchange_respond_failure
#define exchange_respond_json faked_exchange_respond_json
#define exchange_resume faked_exchange_resume
#define exchange_route faked_exchange_route
#define exchange_service faked_exchange_service
#define exchange_set_response_header faked_exchange_set_response_header
#define exchange_set_upstream_header faked_exchange_set_upstream_header
#define exchange_set_upstream_query faked_exchange_set_upstream_query
#define exchange_shard faked_exchange_shard
