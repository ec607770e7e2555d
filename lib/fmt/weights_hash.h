/* The computation behind weights_fingerprint (fmt/weights.h), which keeps what comes out. */
#ifndef HONE_FMT_WEIGHTS_HASH_H
#define HONE_FMT_WEIGHTS_HASH_H

#include "base/hash.h"
#include "fmt/weights.h"

/* XXH3-128 over the tensors in order of their names, which are without a leading "model.", "transformer." or "gpt_neox.":
 * name and NUL, dimensions as i64, and the hash of every part of 2^22 elements. Floating elements are hashed as fp32, so
 * that F16 or BF16 and their exact copy in F32 are the same; others as they lie in the file. Buffers that the families
 * pass over are left out. Reads all there is, once, on all threads. */
void weights_hash(const struct weights *w, char hex[HASH_HEX]);

#endif
