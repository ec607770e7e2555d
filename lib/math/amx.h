/* Tile instructions under names that a test can give another meaning: it compiles what uses them a second time, with tiles
 * emulated in C (tests/unit/tiles_emulated.h). Instructions: Intel Architecture Instruction Set Extensions, chapter 3.
 * Internal to lib/math. */
#ifndef HONE_MATH_AMX_H
#define HONE_MATH_AMX_H

#include <immintrin.h>
#include <string.h>

#include "math/avx512.h"

#ifndef TILES_EMULATED

#define AMX_KERNEL bf16_amx
#define AMX_F32_KERNEL f32_amx
#define AMX_OUTER bf16_outer_amx
#define AMX_FEATURES AVX512_FEATURES ",amx-tile,amx-bf16"
#define AMX __attribute__((target(AMX_FEATURES)))
#define AMX_INLINE static inline __attribute__((always_inline, target(AMX_FEATURES)))
#define tile_config(c) _tile_loadconfig(c)
#define tile_release() _tile_release()
#define tile_zero(t) _tile_zero(t)
#define tile_load(t, p, stride) _tile_loadd(t, p, stride)
#define tile_store(t, p, stride) _tile_stored(t, p, stride)
#define tile_multiply(c, a, b) _tile_dpbf16ps(c, a, b)

#endif

enum { TILE_STEP = 32 };  /* along k */

/* Eight tiles of rows of 64 bytes. */
struct tile_shape {
	uint8_t palette, start_row, reserved[14];
	uint16_t row_bytes[16];
	uint8_t rows[16];
};

static const struct tile_shape tiles_of_16 = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

#endif
