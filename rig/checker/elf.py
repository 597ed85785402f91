# SPDX-License-Identifier: GPL-2.0
"""Read a module's file: words, numbers and names to exercise it with.

The file was built from foreign code, so it is only ever read here, and never trusted.
"""

import re
import struct


class Elf:
    """The sections of a 64-bit little-endian ELF file."""

    def __init__(self, data):
        self.data = data
        self.sections = {}
        self.symbols = []
        if data[:6] != b"\x7fELF\x02\x01":
            return
        try:
            self._read_sections()
        except (struct.error, IndexError, ValueError, OverflowError):
            pass

    def _read_sections(self):
        offset, = struct.unpack_from("<Q", self.data, 0x28)
        size, count, names = struct.unpack_from("<HHH", self.data, 0x3a)
        headers = [struct.unpack_from("<IIQQQQIIQQ", self.data, offset + i * size)
                   for i in range(count)]
        strings = headers[names]
        for index, header in enumerate(headers):
            name = self._string(strings[4] + header[0])
            contents = b"" if header[1] == 8 else self.data[header[4]:header[4] + header[5]]
            self.sections.setdefault(name, (index, header[4], contents))
        for header in headers:
            if header[1] == 2:
                self._read_symbols(header, headers[header[6]])

    def _read_symbols(self, header, strings):
        for at in range(header[4], header[4] + header[5], 24):
            name, info, _, section, value, size = struct.unpack_from("<IBBHQQ", self.data, at)
            self.symbols.append((self._string(strings[4] + name), info & 15, section, value, size))

    def _string(self, offset):
        end = self.data.index(b"\0", offset)
        return self.data[offset:end].decode(errors="replace")

    def contents(self, name):
        """The bytes of a section; none if it has no such."""
        return self.sections.get(name, (0, 0, b""))[2]


def words(elf):
    """Strings of the module that could be options, keywords or names."""
    found = set()
    for name in elf.sections:
        if not name.startswith(".rodata"):
            continue
        for text in re.findall(rb"[\x20-\x7e]{2,40}(?=\0)", elf.contents(name)):
            text = text.decode()
            if not re.search(r"[%/\\]|  ", text) and text.count(" ") < 3:
                found.add(text)
    return sorted(found)[:400]


def commands(elf):
    """Numbers that its code compares something with: its ioctl commands are among them."""
    found = set()
    for name in elf.sections:
        if not name.startswith(".text"):
            continue
        code = elf.contents(name)
        # cmp $imm32,%eax, and with another register; also mov and sub, as compilers do
        for match in re.finditer(rb"(?:\x3d|\x81[\xf8-\xff]|\x2d)(.{4})", code, re.S):
            number, = struct.unpack("<I", match.group(1))
            if 255 < number < 0xfffff000 and number & (number - 1):
                found.update((number, number + 1) if number & 0xff000000 else (number,))
    likely = [n for n in found if n >> 30 or (0x20 <= (n >> 8 & 0xff) < 0x7f)]
    return (sorted(likely) + sorted(found.difference(likely)))[:600]


def renamed(data, name, new):
    """The same module under another name, so that both can be loaded; None if that fails."""
    elf = Elf(data)
    _, offset, contents = elf.sections.get(".gnu.linkonce.this_module", (0, 0, b""))
    at = contents.find(name.encode() + b"\0")
    if at < 0 or len(new) > 55:
        return None
    field = new.encode() + b"\0" * (56 - len(new))
    return data[:offset + at] + field + data[offset + at + 56:]


def function_at(elf, section, offset):
    """The function that an offset in a section is in."""
    index = elf.sections.get(section, (None,))[0]
    for name, kind, where, value, size in elf.symbols:
        if kind == 2 and where == index and value <= offset < value + size:
            return f"{name}+{offset - value:#x}"
    return None
