#include "CFuzzHost.h"
#include <lz4.h>
#include <lzma.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

static size_t pack_xz(const uint8_t *bytes, size_t count, uint8_t *room, size_t room_count)
{
    lzma_options_lzma options;
    if (lzma_lzma_preset(&options, 1))
        return 0;
    lzma_filter filters[] = {{LZMA_FILTER_X86, NULL}, {LZMA_FILTER_LZMA2, &options},
                             {LZMA_VLI_UNKNOWN, NULL}};
    size_t made = 0;
    if (lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, bytes, count, room, &made,
                                  room_count) != LZMA_OK)
        return 0;
    return made;
}

static size_t pack_gzip(const uint8_t *bytes, size_t count, uint8_t *room, size_t room_count)
{
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    if (deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    stream.next_in = (uint8_t *)bytes;
    stream.avail_in = (unsigned)count;
    stream.next_out = room;
    stream.avail_out = (unsigned)room_count;
    size_t made = deflate(&stream, Z_FINISH) == Z_STREAM_END ? stream.total_out : 0;
    deflateEnd(&stream);
    return made;
}

static size_t pack_lz4(const uint8_t *bytes, size_t count, uint8_t *room, size_t room_count)
{
    const uint32_t magic = 0x184c2102;
    if (room_count < 8)
        return 0;
    int made = LZ4_compress_default((const char *)bytes, (char *)room + 8, (int)count,
                                    (int)(room_count - 8));
    if (made <= 0)
        return 0;
    uint32_t size = (uint32_t)made;
    memcpy(room, &magic, 4);
    memcpy(room + 4, &size, 4);
    return 8 + (size_t)made;
}

size_t fuzz_pack(int format, const uint8_t *bytes, size_t count, uint8_t *room, size_t room_count)
{
    switch (format) {
    case 0: return pack_xz(bytes, count, room, room_count);
    case 1: return pack_gzip(bytes, count, room, room_count);
    case 2: {
        size_t made = ZSTD_compress(room, room_count, bytes, count, 3);
        return ZSTD_isError(made) ? 0 : made;
    }
    default: return pack_lz4(bytes, count, room, room_count);
    }
}

volatile uint64_t *fuzz_shared_page(int descriptor)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    return page == MAP_FAILED ? NULL : page;
}

uint64_t fuzz_shared_load(const volatile uint64_t *page, int word)
{
    return __atomic_load_n(page + word, __ATOMIC_ACQUIRE);
}

void fuzz_shared_store(volatile uint64_t *page, int word, uint64_t value)
{
    __atomic_store_n(page + word, value, __ATOMIC_RELEASE);
}
