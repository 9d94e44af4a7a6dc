"""Summarization: a short text out of a long one."""
