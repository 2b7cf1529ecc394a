# SPDX-License-Identifier: Apache-2.0
"""The collection function: a sample of the agency's side that receives, verifies and keeps what is delivered."""
