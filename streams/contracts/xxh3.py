"""XXH3 (64 bits), XXH32 and Kafka's MurmurHash2 of short strings, compiled, for bytes within a larger buffer.

A call from Python costs more than the hash itself, and a string to call it with costs more than both: a batch of events
has a dozen short strings each. Only for up to `LENGTH_MAX` bytes, where XXH3 is simple; `xxhash` is there for the rest.

Source: Collet, the XXH3 and XXH32 specification (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from streams.compiled import compiled

LENGTH_MAX = 240
PADDING = bytes(16)  # a buffer ends with so many bytes that are not looked at but may be loaded

_SECRET = np.frombuffer(
    bytes.fromhex(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248e"
        "e03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d"
        "8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc"
        "8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
    )
    + PADDING,
    np.uint8,
)
_P32 = tuple(np.uint32(prime) for prime in (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1))
_P32_1, _P32_2, _P32_3, _P32_4, _P32_5 = _P32
_P64_1, _P64_2, _P64_3 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9)
_PRIME_MX1, _PRIME_MX2 = np.uint64(0x165667919E3779F9), np.uint64(0x9FB21C651E98DF25)


def _loader(bits):
    kind = types.uint64 if bits == 64 else types.uint32

    @intrinsic
    def load(context, array, at):
        def generate(context, builder, signature, arguments):
            made = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
            where = builder.gep(made.data, [arguments[1]])
            found = builder.load(builder.bitcast(where, ir.IntType(bits).as_pointer()))
            found.align = 1
            return found

        return kind(array, types.int64), generate

    return load


load64 = _loader(64)  # eight (four) bytes of a uint8 array from an index on, little endian, unchecked
load32 = _loader(32)


@intrinsic
def trailing_zeros(context, x):
    """Count the zero bits below the lowest set one (64 for 0)."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def _fold(context, x, y):
    """Multiply to 128 bits and combine both halves."""

    def generate(context, builder, signature, arguments):
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))
        return builder.xor(builder.trunc(product, ir.IntType(64)), high)

    return types.uint64(types.uint64, types.uint64), generate


@intrinsic
def _swap(context, x):
    """Turn the order of the bytes around."""

    def generate(context, builder, signature, arguments):
        return builder.bswap(arguments[0])

    return types.uint64(types.uint64), generate


@compiled
def _avalanche(h):
    h = (h ^ (h >> np.uint64(37))) * _PRIME_MX1
    return h ^ (h >> np.uint64(32))


@compiled
def _avalanche64(h):
    h = (h ^ (h >> np.uint64(33))) * _P64_2
    h = (h ^ (h >> np.uint64(29))) * _P64_3
    return h ^ (h >> np.uint64(32))


@compiled
def _mix(data, at, secret_at, seed):
    return _fold(
        load64(data, at) ^ (load64(_SECRET, secret_at) + seed),
        load64(data, at + 8) ^ (load64(_SECRET, secret_at + 8) - seed),
    )


@compiled
def _rotate(x, bits):
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


@compiled
def _up_to_16(data, at, n, seed):
    if n > 8:
        low = load64(data, at) ^ ((load64(_SECRET, 24) ^ load64(_SECRET, 32)) + seed)
        high = load64(data, at + n - 8) ^ ((load64(_SECRET, 40) ^ load64(_SECRET, 48)) - seed)
        return _avalanche(np.uint64(n) + _swap(low) + high + _fold(low, high))
    if n >= 4:
        seed ^= (_swap(seed & np.uint64(0xFFFFFFFF)) >> np.uint64(32)) << np.uint64(32)
        both = np.uint64(load32(data, at + n - 4)) + (np.uint64(load32(data, at)) << np.uint64(32))
        h = both ^ ((load64(_SECRET, 8) ^ load64(_SECRET, 16)) - seed)
        h ^= _rotate(h, 49) ^ _rotate(h, 24)
        h *= _PRIME_MX2
        h = (h ^ ((h >> np.uint64(35)) + np.uint64(n))) * _PRIME_MX2
        return h ^ (h >> np.uint64(28))
    if n > 0:
        first, middle, last = np.uint64(data[at]), np.uint64(data[at + (n >> 1)]), np.uint64(data[at + n - 1])
        joined = (first << np.uint64(16)) | (middle << np.uint64(24)) | last | np.uint64(n << 8)
        return _avalanche64(joined ^ (np.uint64(load32(_SECRET, 0) ^ load32(_SECRET, 4)) + seed))
    return _avalanche64(seed ^ load64(_SECRET, 56) ^ load64(_SECRET, 64))


@compiled
def xxh3(data, at, n, seed):
    """Hash data[at : at + n], n <= LENGTH_MAX; ``data`` goes on for `PADDING` bytes."""
    if n <= 16:
        return _up_to_16(data, at, n, seed)
    h = np.uint64(n) * _P64_1
    if n <= 128:
        if n > 32:
            if n > 64:
                if n > 96:
                    h += _mix(data, at + 48, 96, seed) + _mix(data, at + n - 64, 112, seed)
                h += _mix(data, at + 32, 64, seed) + _mix(data, at + n - 48, 80, seed)
            h += _mix(data, at + 16, 32, seed) + _mix(data, at + n - 32, 48, seed)
        return _avalanche(h + _mix(data, at, 0, seed) + _mix(data, at + n - 16, 16, seed))
    for i in range(8):
        h += _mix(data, at + 16 * i, 16 * i, seed)
    h = _avalanche(h)
    for i in range(8, n // 16):
        h += _mix(data, at + 16 * i, 16 * (i - 8) + 3, seed)
    return _avalanche(h + _mix(data, at + n - 16, 119, seed))


@compiled
def _rotate32(x, bits):
    return np.uint32((x << np.uint32(bits)) | (x >> np.uint32(32 - bits)))


@compiled
def _round32(lane, word):
    return np.uint32(_rotate32(np.uint32(lane + np.uint32(word * _P32_2)), 13) * _P32_1)


@compiled
def xxh32(data, at, n):
    """Hash data[at : at + n] to 32 bits, seed 0; ``data`` goes on for `PADDING` bytes."""
    end = at + n
    h = _P32_5
    if n >= 16:
        a, b = np.uint32(_P32_1 + _P32_2), _P32_2
        c, d = np.uint32(0), np.uint32(np.uint32(0) - _P32_1)
        while at + 16 <= end:
            a, b = _round32(a, load32(data, at)), _round32(b, load32(data, at + 4))
            c, d = _round32(c, load32(data, at + 8)), _round32(d, load32(data, at + 12))
            at += 16
        h = np.uint32(np.uint32(_rotate32(a, 1) + _rotate32(b, 7)) + np.uint32(_rotate32(c, 12) + _rotate32(d, 18)))
    h = np.uint32(h + np.uint32(n))
    while at + 4 <= end:
        h = np.uint32(_rotate32(np.uint32(h + np.uint32(load32(data, at) * _P32_3)), 17) * _P32_4)
        at += 4
    while at < end:
        h = np.uint32(_rotate32(np.uint32(h + np.uint32(np.uint32(data[at]) * _P32_5)), 11) * _P32_1)
        at += 1
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(15))) * _P32_2)
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(13))) * _P32_3)
    return np.uint32(h ^ (h >> np.uint32(16)))


_M = np.uint32(0x5BD1E995)


@compiled
def murmur2(data, at, n):
    """Hash data[at : at + n] as `streams.contracts.hashing.murmur2` does; ``data`` goes on for `PADDING` bytes."""
    h = np.uint32(np.uint32(0x9747B28C) ^ np.uint32(n))
    end = at + n
    while at + 4 <= end:
        k = np.uint32(load32(data, at) * _M)
        k = np.uint32(np.uint32(k ^ (k >> np.uint32(24))) * _M)
        h = np.uint32(np.uint32(h * _M) ^ k)
        at += 4
    if at < end:
        rest = load32(data, at) & np.uint32((np.int64(1) << (8 * (end - at))) - 1)
        h = np.uint32(np.uint32(h ^ rest) * _M)
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(13))) * _M)
    return np.uint32(h ^ (h >> np.uint32(15)))
