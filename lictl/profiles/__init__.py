# SPDX-License-Identifier: Apache-2.0
"""Jurisdictions: what a site may take and hand over under whose law, and the lock that binds a site to one."""
