# SPDX-License-Identifier: Apache-2.0
"""Helpers shared by the black-box tests: peers, gateway, client, tokens, runner."""
