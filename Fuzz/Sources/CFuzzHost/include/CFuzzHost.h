// What the fuzzers need of the host: packers to make payloads, and pages shared with a child.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Packs `count` bytes as xz (with the x86 filter), gzip, zstd or legacy lz4, as `format` is 0 to 3.
/// Returns the packed length, 0 if `room` is too small.
size_t fuzz_pack(int format, const uint8_t *bytes, size_t count, uint8_t *room, size_t room_count);

/// A page of zeros in a file, shared by all who map it; NULL with errno set.
volatile uint64_t *fuzz_shared_page(int descriptor);
uint64_t fuzz_shared_load(const volatile uint64_t *page, int word);
void fuzz_shared_store(volatile uint64_t *page, int word, uint64_t value);
