"""The outer structure of an AEDAT4 file, checked before the decoder sees it.

    "#!AER-DAT4.0\\r\\n" | u32 size, IOHeader flatbuffer | packets: u32 stream, u32 size, payload ... | file data table

The Rust decoder reports a truncated file without saying where, and *aborts the process* when the XML of the header is
not valid UTF-8 (its error message then has no Python string). This walk is cheap (8 bytes a packet), finds the exact
byte, and lets only a well-formed header through.
IOHeader: root table; field 0 compression, 1 position of the data table (-1: the recorder was killed), 2 XML.
Source: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from spikeplan.core.errors import UserError

MAGIC = b"#!AER-DAT4.0\r\n"
TABLE_FIELD, XML_FIELD = 1, 2
COPY_AGAIN = "copy or record it again"


def check_container(source: Path) -> None:
    """Raise a UserError unless magic, header and the chain of packets are whole."""
    if not source.is_file():
        raise UserError(f"{source}: no such file; give the path of an AEDAT4 recording")
    size = source.stat().st_size
    if size == 0:
        raise UserError(f"{source}: the file is empty (0 bytes); {COPY_AGAIN}")
    try:
        with source.open("rb") as handle:
            if handle.read(len(MAGIC)) != MAGIC:
                raise UserError(
                    f"{source}: does not start with #!AER-DAT4.0; convert it to AEDAT4 (DV) or give another file"
                )
            table_at, streams = _read_header(handle, source, size)
            _walk_packets(handle, source, size, table_at, streams)
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror}); check its permissions") from error


def _read_header(handle: BinaryIO, source: Path, size: int) -> tuple[int, set[int]]:
    """Position of the data table and the ids of the declared streams."""
    length = int.from_bytes(handle.read(4), "little")
    if handle.tell() + length > size or length == 0:  # compared before reading: a damaged length may say 4 GB
        raise UserError(f"{source}: truncated in the header, {size} bytes in all; {COPY_AGAIN}")
    header = handle.read(length)
    try:
        table_at = _field(header, TABLE_FIELD)
        xml_at = _field(header, XML_FIELD)
        position = -1 if table_at is None else struct.unpack_from("<q", header, table_at)[0]
        if xml_at is None:
            raise ValueError("no stream description")
        text_at = xml_at + struct.unpack_from("<I", header, xml_at)[0]
        length = struct.unpack_from("<I", header, text_at)[0]
        if text_at + 4 + length > len(header):
            raise ValueError("the stream description is cut")
        text = header[text_at + 4 : text_at + 4 + length].decode("utf-8")
        nodes = ElementTree.fromstring(text).findall("./node[@name='outInfo']/node")
        return position, {int(node.attrib["name"]) for node in nodes}
    except (struct.error, ValueError, KeyError, ElementTree.ParseError) as error:
        raise UserError(f"{source}: damaged header ({error}); {COPY_AGAIN}") from error


def _field(header: bytes, index: int) -> int | None:
    """Offset of one field of the flatbuffer's root table, None where the field is absent."""
    table = struct.unpack_from("<I", header, 0)[0]
    vtable = table - struct.unpack_from("<i", header, table)[0]
    if vtable < 0:
        raise ValueError(f"table offset {vtable}")
    if 4 + 2 * index >= struct.unpack_from("<H", header, vtable)[0]:
        return None
    offset = struct.unpack_from("<H", header, vtable + 4 + 2 * index)[0]
    return table + offset if offset else None


def _walk_packets(handle: BinaryIO, source: Path, size: int, table_at: int, streams: set[int]) -> None:
    if table_at > size:
        raise UserError(f"{source}: truncated, {size} bytes of at least {table_at}; {COPY_AGAIN}")
    at, end = handle.tell(), table_at if table_at > 0 else size
    while at < end:
        handle.seek(at)
        head = handle.read(8)
        if len(head) < 8:
            raise UserError(f"{source}: truncated in a packet header at byte {at}; {COPY_AGAIN}")
        stream, length = struct.unpack("<II", head)
        if stream not in streams:
            raise UserError(f"{source}: packet of undeclared stream {stream} at byte {at}; {COPY_AGAIN}")
        if at + 8 + length > end:
            raise UserError(f"{source}: packet at byte {at} needs {length} bytes, {end - at - 8} left; {COPY_AGAIN}")
        at += 8 + length
