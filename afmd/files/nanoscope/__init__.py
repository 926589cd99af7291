"""NanoScope image files: read, write, and replace the heights of one.

Rule: bytes in, nouns out; only ``read_scan`` touches the disk, once, and never for writing.
"""

from afmd.files.nanoscope.header import HEADER_LIMIT
from afmd.files.nanoscope.layout import promised_bytes
from afmd.files.nanoscope.reader import decode, read_scan, refusal
from afmd.files.nanoscope.writer import encode, replace_heights

__all__ = ["HEADER_LIMIT", "decode", "encode", "promised_bytes", "read_scan", "refusal", "replace_heights"]
