"""Hostile and broken archives, built byte by byte, each with what is said of it."""

import dataclasses
import functools
import gzip
import io
import json
import stat
import struct
import tarfile
import zlib
from collections.abc import Callable
from typing import Final

from homeport.errors import HomeportError, InvalidArgumentError

MANIFEST: Final = json.dumps(
    {"runtime": "python", "model": {"modelName": "m", "handler": "h.py"}}
).encode()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One member of a zip, with what its headers claim; None for the truth."""

    name: bytes
    text: bytes = b"x = 1\n"
    deflated: bool = False
    method: int | None = None
    flags: int = 0
    mode: int = 0
    size: int | None = None
    packed_size: int | None = None
    crc32: int | None = None
    packed: bytes | None = None
    extra: bytes = b""
    offset: int | None = None
    local_name: bytes | None = None
    local_flags: int | None = None
    local_size: int | None = None
    local_extra: bytes = b""


_UTF8: Final = 0x800
MAIN: Final = (
    Part(name=b"MAR-INF/MANIFEST.json", text=MANIFEST),
    Part(name=b"h.py", text=b"def handle(data, context): ...\n"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One archive and the fragment of the sentence it is refused with.

    Attributes:
        id: What is wrong with it.
        make: Builds its bytes.
        problem: Part of the message.
        suffix: Of its file name.
        late: Found only when the bytes are read through, by extraction.
        error: The class.
    """

    id: str
    make: Callable[[], bytes]
    problem: str
    suffix: str = ".mar"
    late: bool = False
    error: type[HomeportError] = InvalidArgumentError


def deflate(text: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(text) + packer.flush()


def zipped(
    *parts: Part,
    main: tuple[Part, ...] = MAIN,
    members: int | None = None,
    comment: bytes = b"",
) -> bytes:
    """Return a zip of the main members and `parts`."""
    archive = bytearray()
    central = bytearray()
    everything = (*main, *parts)
    for part in everything:
        packed = part.packed
        if packed is None:
            packed = deflate(part.text) if part.deflated else part.text
        method = (8 if part.deflated else 0) if part.method is None else part.method
        crc32 = zlib.crc32(part.text) if part.crc32 is None else part.crc32
        size = len(part.text) if part.size is None else part.size
        taken = len(packed) if part.packed_size is None else part.packed_size
        offset = len(archive) if part.offset is None else part.offset
        local_name = part.name if part.local_name is None else part.local_name
        local_flags = part.flags if part.local_flags is None else part.local_flags
        local_size = size if part.local_size is None else part.local_size
        central += struct.pack(
            "<4s6H3L5H2L",
            *(b"PK\x01\x02", 3 << 8 | 45, 45, part.flags, method, 0, 33),
            *(crc32, taken, size, len(part.name), len(part.extra), 0, 0, 0),
            *(part.mode << 16, offset),
        )
        central += part.name + part.extra
        archive += struct.pack(
            "<4s5H3L2H",
            *(b"PK\x03\x04", 45, local_flags, method, 0, 33, crc32, taken, local_size),
            *(len(local_name), len(part.local_extra)),
        )
        archive += local_name + part.local_extra + packed
    count = len(everything) if members is None else members
    return bytes(archive + central) + end(
        count, len(central), len(archive), comment=comment
    )


def end(
    members: int, size: int, offset: int, *, disk: int = 0, comment: bytes = b""
) -> bytes:
    return (
        struct.pack(
            "<4s4H2LH",
            *(b"PK\x05\x06", disk, disk, members, members, size, offset, len(comment)),
        )
        + comment
    )


def end64(members: int, size: int, offset: int, at: int) -> bytes:
    record = struct.pack(
        "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, members, members, size, offset
    )
    return record + struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)


def parts_of(archive: bytes) -> tuple[bytes, int, int, int]:
    """Return an archive without its end, and what that end says."""
    *_, members, size, offset, _ = struct.unpack("<4s4H2LH", archive[-22:])
    return archive[:-22], members, size, offset


def _two_ends() -> bytes:
    body, members, size, offset = parts_of(zipped())
    wide = end64(members, size, offset, len(body))
    return body + wide + end(members - 1, size, offset)


def _misplaced_end64() -> bytes:
    body, members, size, offset = parts_of(zipped())
    return body + end64(members, size, offset, 7) + end(members, size, offset)


def _second_disk() -> bytes:
    body, members, size, offset = parts_of(zipped())
    return body + end(members, size, offset, disk=1)


@functools.cache
def _directory_of_many() -> bytes:
    """Return an archive whose directory holds 400,000 entries and says 10,000."""
    body, _, size, offset = parts_of(zipped())
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *[0] * 16)
    return body + entry * 400_000 + end(10_000, size + 400_000 * 46, offset)


@functools.cache
def _many_members() -> bytes:
    return zipped(
        *(Part(name=b"f%d" % number, text=b"") for number in range(40_000)),
    )


@functools.cache
def _too_many_for_16_bits() -> bytes:
    """Return 100,000 members, which only a zip64 end record can say."""
    body, _, size, offset = parts_of(
        zipped(
            *(Part(name=b"f%d" % number, text=b"") for number in range(99_998)),
            members=0xFFFF,
        )
    )
    wide = end64(100_000, size, offset, len(body))
    return body + wide + end(0xFFFF, size, offset)


def _unicode_path(name: bytes, hidden: bytes) -> bytes:
    field = struct.pack("<BL", 1, zlib.crc32(name)) + hidden
    return struct.pack("<2H", 0x7075, len(field)) + field


@functools.cache
def _lying_manifest_bomb() -> bytes:
    """Return a manifest that declares few bytes and inflates to 64 MiB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(64))
    return _manifest(
        Part(
            name=b"MAR-INF/MANIFEST.json",
            text=MANIFEST,
            deflated=True,
            packed=packed + packer.flush(),
        )
    )


def _manifest(part: Part) -> bytes:
    """Return an archive with another manifest."""
    return zipped(part, MAIN[1], main=())


def _declaring(text: bytes) -> bytes:
    return _manifest(Part(name=b"MAR-INF/MANIFEST.json", text=text))


def _hidden_behind_the_stream() -> bytes:
    """Return a member whose deflated stream ends before its bytes do."""
    shown = deflate(b"x = 1\n")
    hidden = struct.pack("<3L", zlib.crc32(b"x = 1\n"), len(shown), 6)
    hidden += struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 33, 0, 1, 1, 1, 0)
    return zipped(
        Part(name=b"x.py", deflated=True, packed=shown + hidden + b"hx", flags=0x8)
    )


def _bad_crc() -> bytes:
    return zipped(Part(name=b"weights.bin", crc32=1))


def tarred(
    *entries: tuple[tarfile.TarInfo, bytes],
    main: bool = True,
    before: bytes = b"",
) -> bytes:
    """Return a gzip of a tar with the two main members, `before` in front."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for part in MAIN if main else ():
            entry = tarfile.TarInfo(f"m/{part.name.decode()}")
            entry.size = len(part.text)
            archive.addfile(entry, io.BytesIO(part.text))
        for entry, text in entries:
            archive.addfile(entry, io.BytesIO(text))
    return gzip.compress(before + buffer.getvalue(), 1, mtime=0)


def _tar_entry(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0
) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.linkname = link
    entry.size = size
    return entry, bytes(size)


def record(text: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """Return a header of a tar that speaks of the next member."""
    entry = tarfile.TarInfo("m/p")
    entry.type = kind
    entry.size = len(text)
    return entry.tobuf() + text + bytes(-len(text) % 512)


def keyword(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    while len(b"%d" % length) + len(key) + len(value) + 3 != length:
        length = len(b"%d" % length) + len(key) + len(value) + 3
    return b"%d %s=%s\n" % (length, key, value)


def _named(name: bytes, **claims: int | bool | bytes) -> Callable[[], bytes]:
    return lambda: zipped(Part(name=name, **claims))  # type: ignore[arg-type]  # by name


def _tar(*entries: tuple[tarfile.TarInfo, bytes]) -> Callable[[], bytes]:
    return lambda: tarred(*entries)


def _pair(one: str, other: str) -> tuple[Part, Part]:
    return (
        Part(name=one.encode(), flags=_UTF8),
        Part(name=other.encode(), flags=_UTF8),
    )


def _bomb(number: int) -> Part:
    return Part(name=b"zeros%d" % number, text=bytes(900_000), deflated=True)


def _claiming(number: int) -> Part:
    claim = struct.pack("<2HQ", 1, 8, 2 << 30)
    return Part(
        name=b"claim%d" % number,
        deflated=True,
        size=0xFFFFFFFF,
        extra=claim,
        local_extra=claim,
    )


def _between() -> bytes:
    body, members, size, offset = parts_of(zipped())
    gap = b"PK\x03\x04 hidden"
    return body[:offset] + gap + body[offset:] + end(members, size, offset + len(gap))


_CONTROL: Final = "has a control character"
_DEVICE: Final = "is a link, device or other special entry"

ZIPS: Final = (
    Case("traversal", _named(b"../x"), "points outside"),
    Case("traversal inside", _named(b"a/../../x"), "points outside"),
    Case("traversal by folder", _named(b"../", text=b""), "points outside"),
    Case("absolute", _named(b"/etc/passwd"), "is an absolute path"),
    Case("drive", _named(b"C:/x"), "is an absolute path"),
    Case("backslashes", _named(b"..\\x"), "has a backslash"),
    Case("empty name", _named(b""), "has an empty or '.' part"),
    Case("slash alone", _named(b"/", text=b""), "is an absolute path"),
    Case("NUL", _named(b"h.py\0.txt"), _CONTROL),
    Case("escape sequence", _named(b"a\x1b[2Jb"), _CONTROL),
    Case("C1 control", _named("a\x9b2Jb".encode(), flags=_UTF8), _CONTROL),
    Case("text turned round", _named("a\u202eyp.exe".encode(), flags=_UTF8), _CONTROL),
    Case("line separator", _named("a\u2028b".encode(), flags=_UTF8), _CONTROL),
    Case("cp437", _named(b"caf\x82.py"), "a name in an unknown encoding"),
    Case("UTF-8 not flagged", _named("caf\u00e9".encode()), "in an unknown encoding"),
    Case("flagged, no UTF-8", _named(b"a\xff", flags=_UTF8), "is not UTF-8"),
    Case("overlong", _named(b"\xc0\xae\xc0\xae/x", flags=_UTF8), "is not UTF-8"),
    Case("surrogate", _named(b"\xed\xa0\x80", flags=_UTF8), "is not UTF-8"),
    Case(
        "UTF-8 flag in one header",
        _named(b"x", flags=_UTF8, local_flags=0),
        "disagree",
    ),
    Case(
        "second name",
        _named(b"x.py", extra=_unicode_path(b"x.py", b"../../x.py")),
        "has a second name",
    ),
    Case(
        "second name in front",
        _named(b"x.py", local_extra=_unicode_path(b"x.py", b"../../x.py")),
        "disagree",
    ),
    Case("long name", _named(b"x" * 256), "a name over 255 bytes"),
    Case("long path", _named(b"/".join([b"d" * 200] * 6)), "a path over 1024"),
    Case("deep", _named(b"d/" * 40 + b"x"), "over 32 directories"),
    Case("link", _named(b"l", mode=stat.S_IFLNK | 0o777, text=b"/etc"), _DEVICE),
    Case("device", _named(b"l", mode=stat.S_IFCHR), _DEVICE),
    Case("socket", _named(b"l", mode=stat.S_IFSOCK), _DEVICE),
    Case("folder with link mode", _named(b"l/", mode=stat.S_IFLNK, text=b""), _DEVICE),
    Case("folder that holds bytes", _named(b"d/"), "directory that holds bytes"),
    Case(
        "folder that hides bytes",
        _named(b"d/", text=b"", deflated=True, packed=b"PK\x03\x04hidden"),
        "directory that holds bytes",
    ),
    Case("twice", _named(b"h.py"), "is there twice"),
    Case("case", _named(b"H.py"), "differs from 'h.py' only by case"),
    Case("case of a folder", _named(b"mar-inf/x"), "only by case"),
    Case("sharp s", lambda: zipped(*_pair("stra\u00dfe", "STRASSE")), "only by case"),
    Case("composed", lambda: zipped(*_pair("\u00e9", "e\u0301")), "only by case"),
    Case(
        "order of marks",
        lambda: zipped(*_pair("a\u0345\u0301", "a\u0301\u0345")),
        "only by case",
    ),
    Case("file and folder", _named(b"h.py/x"), "is a file and a directory"),
    Case("encrypted", _named(b"x", flags=1), "is encrypted"),
    Case("strong encryption", _named(b"x", flags=0x41), "is encrypted"),
    Case("hidden headers", _named(b"x", flags=0x2000), "is encrypted"),
    Case("patched data", _named(b"x", flags=0x20), "compression method 0"),
    Case("bzip2", _named(b"x", method=12), "compression method 12"),
    Case("lzma", _named(b"x", method=14), "compression method 14"),
    Case("zstandard", _named(b"x", method=93), "compression method 93"),
    Case("unknown method", _named(b"x", method=999), "compression method 999"),
    Case(
        "bomb",
        _named(b"zeros", text=bytes(4 << 20), deflated=True),
        "over 200 times",
    ),
    Case(
        "bomb in pieces",
        lambda: zipped(*(_bomb(number) for number in range(20))),
        "over 200 times",
    ),
    Case(
        "total",
        lambda: zipped(*(_claiming(number) for number in range(40))),
        "the limit is 68719476736",
    ),
    Case("zip64 size is missing", _named(b"x", size=0xFFFFFFFF), "4 GiB is missing"),
    Case("overlap", _named(b"x", offset=0), "bytes of two members"),
    Case("offset behind the end", _named(b"x", offset=1 << 30), "outside the archive"),
    Case(
        "offset of 64 bits",
        _named(b"x", offset=0xFFFFFFFF, extra=struct.pack("<2HQ", 1, 8, 1 << 63)),
        "outside the archive",
    ),
    Case("other name in front", _named(b"x", local_name=b"y"), "disagree"),
    Case("other size in front", _named(b"x", local_size=7), "disagree"),
    Case("bytes between", _between, "bytes of no member"),
    Case("two sizes", _named(b"x", size=7), "declares two different sizes"),
    Case("bad CRC", _bad_crc, "checksum is another", late=True),
    Case(
        "longer than declared",
        _named(b"x", text=b"x" * 99, deflated=True, size=98),
        "does not hold the 98 bytes",
        late=True,
    ),
    Case(
        "shorter than declared",
        _named(b"x", text=b"x" * 99, deflated=True, size=100),
        "does not hold the 100 bytes",
        late=True,
    ),
    Case(
        "no deflate",
        _named(b"x", deflated=True, packed=b"\xff" * 9),
        "is damaged",
        late=True,
    ),
    Case("stream that ends early", _hidden_behind_the_stream, "is damaged", late=True),
    Case("two ends", _two_ends, "two end records disagree"),
    Case("misplaced zip64 end", _misplaced_end64, "not where its locator says"),
    Case("several disks", _second_disk, "one part of several"),
    Case("fewer than said", lambda: zipped(members=5), "has 2 members"),
    Case("more than said", lambda: zipped(members=1), "has more members"),
    Case("many unsaid", _directory_of_many, "has more members"),
    Case("40,000 files", _many_members, "has 40002 members, the limit is 10000"),
    Case("100,000 files", _too_many_for_16_bits, "has 100000 members"),
    Case("empty file", lambda: b"", "is empty"),
    Case("no zip", lambda: b"#!/bin/sh\nreboot\n", "is not a zip file"),
    Case("empty zip", lambda: end(0, 0, 0), "is not a zip file with members"),
    Case("cut at the end", lambda: zipped()[:-1], "is cut short"),
    Case("cut in the middle", lambda: zipped()[: len(zipped()) // 2], "is cut short"),
    Case("bytes in front", lambda: b"#!/bin/sh\n" + zipped(), "is not a zip file"),
    Case("bytes behind", lambda: zipped() + b"\n", "bytes behind its end"),
    Case("comment that lies", lambda: zipped(comment=b"x" * 9)[:-1], "behind its end"),
    Case("manifest that inflates", _lying_manifest_bomb, "does not hold the"),
    Case(
        "manifest over the limit",
        lambda: _declaring(MANIFEST + b" " * (1 << 20)),
        "the limit is 1048576",
    ),
    Case(
        "manifest that names what is not there",
        lambda: _declaring(MANIFEST.replace(b"h.py", b"../../h2.py")),
        "is not in the archive",
    ),
    Case(
        "manifest with two handlers",
        lambda: _declaring(
            b'{"model": {"modelName": "m", "handler": "h.py", "handler": "x.py"}}'
        ),
        "'handler' is there twice",
    ),
    Case("manifest no JSON", lambda: _declaring(b"{"), "not valid JSON"),
    Case("manifest nested", lambda: _declaring(b"[" * 100_000), "not valid JSON"),
    Case("manifest of digits", lambda: _declaring(b"9" * 100_000), "not valid JSON"),
)


TARS: Final = (
    Case("traversal", _tar(_tar_entry("m/../../x")), "points outside", ".tar.gz"),
    Case("absolute", _tar(_tar_entry("/m/x")), "is an absolute path", ".tar.gz"),
    Case(
        "symbolic link",
        _tar(_tar_entry("m/l", tarfile.SYMTYPE, "/etc")),
        _DEVICE,
        ".tar.gz",
    ),
    Case(
        "hard link",
        _tar(_tar_entry("m/l", tarfile.LNKTYPE, "/etc/passwd")),
        _DEVICE,
        ".tar.gz",
    ),
    Case("device", _tar(_tar_entry("m/d", tarfile.BLKTYPE)), _DEVICE, ".tar.gz"),
    Case("pipe", _tar(_tar_entry("m/d", tarfile.FIFOTYPE)), _DEVICE, ".tar.gz"),
    Case("sparse", _tar(_tar_entry("m/s", tarfile.GNUTYPE_SPARSE)), _DEVICE, ".tar.gz"),
    Case(
        "long link",
        lambda: tarred(before=record(b"m/x", tarfile.GNUTYPE_LONGLINK)),
        _DEVICE,
        ".tar.gz",
    ),
    Case("twice", _tar(_tar_entry("m/h.py")), "is there twice", ".tar.gz"),
    Case("case", _tar(_tar_entry("m/H.py")), "only by case", ".tar.gz"),
    Case("control", _tar(_tar_entry("m/a\x1bb")), _CONTROL, ".tar.gz"),
    Case("no UTF-8", _tar(_tar_entry("m/a\udcff")), _CONTROL, ".tar.gz"),
    Case("two folders", _tar(_tar_entry("n/x")), "does not lie in", ".tar.gz"),
    Case("bomb", _tar(_tar_entry("m/x", size=4 << 20)), "over 200 times", ".tar.gz"),
    Case(
        "sparse in pax",
        lambda: tarred(before=record(keyword(b"GNU.sparse.name", b"../x"))),
        "is sparse",
        ".tar.gz",
    ),
    Case(
        "path in pax",
        lambda: tarred(before=record(keyword(b"path", b"../x"))),
        "points outside",
        ".tar.gz",
    ),
    Case(
        "size of many digits",
        lambda: tarred(before=record(keyword(b"size", b"9" * 5000))),
        "has a size that is no number",
        ".tar.gz",
    ),
    Case(
        "size below zero",
        lambda: tarred(before=record(keyword(b"size", b"-1"))),
        "has a size that is no number",
        ".tar.gz",
    ),
    Case(
        "pax line longer than its record",
        lambda: tarred(before=record(b"999 path=x\n")),
        "pax header that cannot be read",
        ".tar.gz",
    ),
    Case(
        "pax record of megabytes",
        lambda: tarred(before=record(keyword(b"comment", b"x" * (1 << 20)))),
        "header of over 65536 bytes",
        ".tar.gz",
    ),
    Case(
        "endless pax records",
        lambda: tarred(before=record(keyword(b"comment", b"x")) * 1000),
        "over 8 extended headers",
        ".tar.gz",
    ),
    Case(
        "global path",
        lambda: tarred(before=record(keyword(b"path", b"m/x"), tarfile.XGLTYPE)),
        "a global header with 'path'",
        ".tar.gz",
    ),
    Case(
        "two streams",
        lambda: tarred() + gzip.compress(b"", mtime=0),
        "bytes behind its end",
        ".tar.gz",
    ),
    Case("bytes behind", lambda: tarred() + b"\0", "bytes behind its end", ".tar.gz"),
    Case("cut", lambda: tarred()[:-9], "is cut short or damaged", ".tar.gz"),
    Case(
        "bad CRC",
        lambda: tarred()[:-8] + bytes(4) + tarred()[-4:],
        "is cut short or damaged",
        ".tar.gz",
    ),
    Case(
        "broken header in the middle",
        lambda: tarred(
            main=False, before=gzip.decompress(tarred())[:2048] + b"x" * 512
        ),
        "a tar header that cannot be read",
        ".tar.gz",
    ),
    Case("no tar", lambda: gzip.compress(b"x" * 999), "no tar in it", ".tar.gz"),
    Case(
        "11,000 files",
        _tar(*(_tar_entry(f"m/{number}") for number in range(11_000))),
        "the limit is 10000",
        ".tar.gz",
    ),
    Case("no manifest", lambda: tarred(main=False), "has no MAR-INF", ".tar.gz"),
)

CASES: Final = (*ZIPS, *TARS)
