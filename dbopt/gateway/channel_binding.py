"""The channel binding tls-server-end-point: a hash of the server's certificate.

Both ends of SCRAM-SHA-256-PLUS mix it into their proofs, so that who stands between them with
another certificate is found out. The hash is the one that the certificate is signed with, but
SHA-256 for MD5 and SHA-1. Source: RFC 5929, section 4.1; OIDs: RFC 4055, 5758 and NIST's list.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from dbopt.errors import ProtocolError

MAX_CERTIFICATE: Final = 1 << 20
"""Bytes of DER that are read at most; a certificate has about one thousand."""

_SEQUENCE, _OID, _EXPLICIT_0 = 0x30, 0x06, 0xA0
_RSA: Final = "2a864886f70d0101"  # 1.2.840.113549.1.1
_ECDSA: Final = "2a8648ce3d04"  # 1.2.840.10045.4
_NIST: Final = "608648016503040"  # 2.16.840.1.101.3.4, and the first half of the next byte
_RSA_PSS: Final = bytes.fromhex(_RSA + "0a")

_SHA3: Final = ("sha3_224", "sha3_256", "sha3_384", "sha3_512")

_SIGNATURES: Final = {
    bytes.fromhex(oid): name
    for oid, name in (
        (_RSA + "04", "sha256"),  # of MD5
        (_RSA + "05", "sha256"),  # of SHA-1
        (_RSA + "0b", "sha256"),
        (_RSA + "0c", "sha384"),
        (_RSA + "0d", "sha512"),
        (_RSA + "0e", "sha224"),
        (_ECDSA + "01", "sha256"),  # of SHA-1
        (_ECDSA + "0301", "sha224"),
        (_ECDSA + "0302", "sha256"),
        (_ECDSA + "0303", "sha384"),
        (_ECDSA + "0304", "sha512"),
        ("2a8648ce380403", "sha256"),  # DSA, of SHA-1
        (_NIST + "301", "sha224"),  # DSA
        (_NIST + "302", "sha256"),
        (_NIST + "303", "sha384"),
        (_NIST + "304", "sha512"),
        *((_NIST + f"3{9 + i:02x}", name) for i, name in enumerate(_SHA3 * 2)),  # ECDSA, RSA
    )
}
"""The hash of each signature algorithm, by the content of its OID."""

_DIGESTS: Final = {
    bytes.fromhex(oid): name
    for oid, name in (
        ("2b0e03021a", "sha256"),  # of SHA-1
        (_NIST + "201", "sha256"),
        (_NIST + "202", "sha384"),
        (_NIST + "203", "sha512"),
        (_NIST + "204", "sha224"),
    )
}
"""The hash that the parameters of RSASSA-PSS name."""


class _Element(NamedTuple):
    """A DER element: its tag, and where its content begins and ends."""

    tag: int
    start: int
    end: int


def certificate_hash(der: bytes) -> bytes:
    """The binding of the certificate whose DER this is, 28 to 64 bytes.

    b"" where RFC 5929 defines none, as for Ed25519. Raises ProtocolError for what is no
    certificate.
    """
    if len(der) > MAX_CERTIFICATE:
        raise ProtocolError(f"a certificate of more than {MAX_CERTIFICATE} bytes")
    certificate = _element(der, 0, len(der), _SEQUENCE)
    signed = _element(der, certificate.start, certificate.end, _SEQUENCE)
    algorithm = _element(der, signed.end, certificate.end, _SEQUENCE)
    oid = _element(der, algorithm.start, algorithm.end, _OID)
    name = _SIGNATURES.get(der[oid.start : oid.end], "")
    if der[oid.start : oid.end] == _RSA_PSS:
        name = _digest_of_pss(der, oid.end, algorithm.end)
    return hashlib.new(name, der).digest() if name else b""


def _digest_of_pss(der: bytes, start: int, end: int) -> str:
    """RSASSA-PSS-params (RFC 4055): its first field, if there, names the hash; else SHA-1."""
    if start == end:
        return "sha256"
    parameters = _element(der, start, end, _SEQUENCE)
    if parameters.start == parameters.end or der[parameters.start] != _EXPLICIT_0:
        return "sha256"
    field = _element(der, parameters.start, parameters.end, _EXPLICIT_0)
    algorithm = _element(der, field.start, field.end, _SEQUENCE)
    oid = _element(der, algorithm.start, algorithm.end, _OID)
    return _DIGESTS.get(der[oid.start : oid.end], "")


def _element(der: bytes, start: int, end: int, tag: int) -> _Element:
    """The element at `start`, which must have this tag and end by `end`."""
    if end - start < 2 or der[start] != tag:
        raise ProtocolError("malformed certificate: another element is expected")
    length, start = der[start + 1], start + 2
    if length >= 0x80:  # the long form: this many bytes of length follow
        size = length & 0x7F
        if not 1 <= size <= 4 or end - start < size:
            raise ProtocolError("malformed certificate: a length that cannot be")
        length, start = int.from_bytes(der[start : start + size]), start + size
    if length > end - start:
        raise ProtocolError("malformed certificate: an element is longer than what holds it")
    return _Element(tag, start, start + length)
