"""RSA encryption of message bodies (消息体加密), sans-I/O: key pairs, the messages that tell keys, bodies both ways.

What the standards say (JT/T 808-2011, -2013, -2019): attribute bits 10 to 12 of the header, of which bit 10 alone means
that the body is encrypted with RSA; the platform's public key {e, n} goes out in a 0x8A00, the terminal's comes in a
0x0A00, ``e`` a DWORD and ``n`` 128 bytes, which makes keys of 1024 bits. Of a sub-packaged message each package's body
is encrypted.

What they leave open, with our choice. **Doubtful: no unit that encrypts this way, and no implementation that reads one,
is known to us. Agree with the maker before relying on it.**

- Padding and blocks: PKCS #1 v1.5, the usual one of these years. A body is cut into pieces of 117 bytes, each encrypted
  to a block of 128; an empty body stays empty.
- Whose key: the receiver's public key encrypts, its private key decrypts.
- Length: the header's counts the encrypted bytes, as it counts whatever stands between header and check byte.

1024 bits and this padding are weak by what is known today; the protocol has no others. They keep a body from who merely
listens, and authenticate nothing: a body that was encrypted for another key mostly decrypts to random bytes, since
wrong padding is not told (implicit rejection); it is then the layout of the body that does not fit.
"""

from __future__ import annotations

from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from jt808.errors import EncryptionError, UsageError
from jt808.header import MAX_BODY_BYTES, RSA
from jt808.messages.passthrough import PlatformRsaKey, TerminalRsaKey

KEY_BITS: Final = 1024
BLOCK_BYTES: Final = KEY_BITS // 8
PIECE_BYTES: Final = BLOCK_BYTES - 11
"""What a block holds: PKCS #1 v1.5 takes 11 bytes."""

MAX_PLAIN_BYTES: Final = MAX_BODY_BYTES // BLOCK_BYTES * PIECE_BYTES
"""What the body of one frame holds before it is encrypted: 819 bytes. Longer ones go out in packages of so many."""

_PUBLIC_EXPONENT: Final = 65537
_PADDING: Final = padding.PKCS1v15()


class KeyPair:
    """One side's keys, a `jt808.header.BodyDecrypter`. The private one never leaves but by :meth:`to_pem`."""

    __slots__ = ("_private",)

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        """Raises:  UsageError: the key is not one of 1024 bits whose exponent fits four bytes."""
        numbers = private.public_key().public_numbers()
        if private.key_size != KEY_BITS or numbers.e > 0xFFFFFFFF:
            raise UsageError(f"an RSA key of {private.key_size} bits, e {numbers.e}: 0x8A00 and 0x0A00 hold {KEY_BITS}")
        self._private = private

    @classmethod
    def generate(cls) -> Self:
        """A new pair. Takes some ten milliseconds."""
        return cls(rsa.generate_private_key(_PUBLIC_EXPONENT, KEY_BITS))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """The pair that :meth:`to_pem` wrote. Raises:  UsageError: it is no such key."""
        try:
            private = load_pem_private_key(pem, None)
        except (ValueError, TypeError) as error:
            raise UsageError(f"no private key in PEM: {error}") from error
        if not isinstance(private, rsa.RSAPrivateKey):
            raise UsageError("the private key is not one of RSA")
        return cls(private)

    def to_pem(self) -> bytes:
        """The private key, unencrypted, to be kept where nobody reads it."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def platform_key(self) -> PlatformRsaKey:
        """The 0x8A00 that tells a terminal our public key."""
        return PlatformRsaKey(*self._public())

    def terminal_key(self) -> TerminalRsaKey:
        """The 0x0A00 that tells a platform our public key."""
        return TerminalRsaKey(*self._public())

    def _public(self) -> tuple[int, bytes]:
        numbers = self._private.public_key().public_numbers()
        return numbers.e, numbers.n.to_bytes(BLOCK_BYTES, "big")

    def decrypt(self, method: int, body: bytes) -> bytes:
        """The plain body of one frame.

        Raises:  EncryptionError: another method than RSA, no whole blocks, or blocks that are not as we cut them.
        """
        if method != RSA:
            raise EncryptionError(f"encryption method {method} is not RSA")
        if len(body) % BLOCK_BYTES:
            raise EncryptionError(f"{len(body)} encrypted bytes are no whole blocks of {BLOCK_BYTES}")
        pieces = []
        for begin in range(0, len(body), BLOCK_BYTES):
            try:
                pieces.append(self._private.decrypt(body[begin : begin + BLOCK_BYTES], _PADDING))
            except ValueError as error:
                raise EncryptionError(f"the block at byte {begin} is not encrypted with our key") from error
        if any(len(piece) != PIECE_BYTES for piece in pieces[:-1]):
            raise EncryptionError("a block before the last is not full: another key, or another way of cutting")
        return b"".join(pieces)


def encrypt(key: PlatformRsaKey | TerminalRsaKey, body: bytes) -> bytes:
    """Encrypt a body for whoever sent that key; to be sent with ``encryption=RSA``.

    Raises:  EncryptionError: the key that came is none.
             UsageError: more than `MAX_PLAIN_BYTES`, cut it into packages first.
    """
    if len(body) > MAX_PLAIN_BYTES:
        raise UsageError(f"a body of {len(body)} bytes does not fit one encrypted frame (at most {MAX_PLAIN_BYTES})")
    public = public_key(key)
    pieces = [body[begin : begin + PIECE_BYTES] for begin in range(0, len(body), PIECE_BYTES)]
    try:
        return b"".join(public.encrypt(piece, _PADDING) for piece in pieces)
    except ValueError as error:
        raise EncryptionError(f"{{e, n}} encrypts nothing: {error}") from error


def public_key(key: PlatformRsaKey | TerminalRsaKey) -> rsa.RSAPublicKey:
    """The public key that a message tells. Raises:  EncryptionError: the numbers are no key of 1024 bits."""
    modulus = int.from_bytes(key.n, "big")
    if modulus.bit_length() != KEY_BITS or not modulus & 1:
        raise EncryptionError(f"n is no product of primes with {KEY_BITS} bits")
    try:
        return rsa.RSAPublicNumbers(key.e, modulus).public_key()
    except ValueError as error:
        raise EncryptionError(f"{{e, n}} is no RSA key: {error}") from error
