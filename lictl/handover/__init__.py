# SPDX-License-Identifier: Apache-2.0
"""Handover formats: `encoder(name, info)` of `registry` gives one stream's encoder, `readers` and `decode` read.

What reads has to work without the native core, so nothing is imported here.
"""
