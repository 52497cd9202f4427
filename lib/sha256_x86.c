/* SPDX-License-Identifier: MIT */
/* SHA-256 by the instructions that x86-64 processors may have for it. */
#include "internal.h"

#if defined __x86_64__

#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>

/* The instructions want the words of the state in two registers, in this order from the top: a b e f, and c d
 * g h. */
__attribute__((target("sha,sse4.1"))) static void compress(uint32_t state[8], const uint8_t *block)
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
    __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(low, high, 8), cdgh = _mm_blend_epi16(high, low, 0xf0);
    const __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i w[4];

    for (int i = 0; i < 4; i++)
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(block + 16 * i)), big_endian);
    for (int i = 0; i < 16;
         i++) { /* four rounds each; from the fifth on their words are made of the last sixteen */
        __m128i *now = &w[i & 3], last = w[(i + 3) & 3];
        if (i >= 4) {
            __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(*now, w[(i + 1) & 3]),
                                        _mm_alignr_epi8(last, w[(i + 2) & 3], 4));
            *now = _mm_sha256msg2_epu32(sum, last);
        }
        __m128i add = _mm_add_epi32(*now, _mm_loadu_si128((const __m128i *)(sha256_rounds + 4 * i)));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, add);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(add, 0x0e));
    }
    low = _mm_shuffle_epi32(_mm_add_epi32(abef, abef_before), 0x1b);
    high = _mm_shuffle_epi32(_mm_add_epi32(cdgh, cdgh_before), 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(high, low, 8));
}

static bool has_instructions(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_SHA;
}

/* To ask a processor what it has takes longer than a digest where a hypervisor answers: once is enough. */
sha256_compress *sha256_by_processor(void)
{
    static atomic_int known; /* 1 it has them, -1 it has not */
    int has = atomic_load_explicit(&known, memory_order_relaxed);

    if (!has) {
        has = has_instructions() ? 1 : -1;
        atomic_store_explicit(&known, has, memory_order_relaxed);
    }
    return has > 0 ? compress : NULL;
}

#else

sha256_compress *sha256_by_processor(void)
{
    return NULL;
}

#endif
