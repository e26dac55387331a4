// dl_iterate_phdr(3) is behind it.
#define _GNU_SOURCE

#include "BuildIdentity.h"

#include <elf.h>
#include <link.h>
#include <string.h>

/// What is looked for, and where it goes.
typedef struct Search {
    uintptr_t address;
    uint8_t *identity;
} Search;

static int contains(const struct dl_phdr_info *object, uintptr_t address) {
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[index];
        uintptr_t start = object->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_LOAD && address - start < header->p_memsz) return 1;
    }
    return 0;
}

/// The build ID among the notes of a segment; 0 if it is not there.
static int copyBuildID(const uint8_t *notes, size_t size, size_t alignment, uint8_t *identity) {
    size_t mask = alignment == 8 ? 7 : 3;
    size_t position = 0;
    while (position + sizeof(ElfW(Nhdr)) <= size) {
        ElfW(Nhdr) note;
        memcpy(&note, notes + position, sizeof note);
        size_t name = position + sizeof note;
        size_t content = (name + note.n_namesz + mask) & ~mask;
        size_t end = content + note.n_descsz;
        if (end > size || end < position) return 0;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(notes + name, "GNU", 4) == 0 && note.n_descsz >= 8) {
            size_t count = note.n_descsz < CHOST_BUILD_IDENTITY_SIZE - 1
                               ? note.n_descsz
                               : CHOST_BUILD_IDENTITY_SIZE - 1;
            identity[0] = 1;
            memcpy(identity + 1, notes + content, count);
            return 1;
        }
        position = (end + mask) & ~mask;
    }
    return 0;
}

/// FNV-1a by words, of a segment that nobody writes to.
static uint64_t hash(uint64_t value, const uint8_t *bytes, size_t size) {
    for (size_t position = 0; position + 8 <= size; position += 8) {
        uint64_t word;
        memcpy(&word, bytes + position, sizeof word);
        value = (value ^ word) * 0x100000001b3u;
        value ^= value >> 32;
    }
    return value;
}

static int visit(struct dl_phdr_info *object, size_t size, void *argument) {
    (void)size;
    Search *search = argument;
    if (!contains(object, search->address)) return 0;
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[index];
        const uint8_t *bytes = (const uint8_t *)(object->dlpi_addr + header->p_vaddr);
        if (header->p_type == PT_NOTE &&
            copyBuildID(bytes, header->p_memsz, header->p_align, search->identity))
            return 1;
    }
    uint64_t value = 0xcbf29ce484222325u;
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[index];
        if (header->p_type != PT_LOAD || header->p_flags & PF_W || !(header->p_flags & PF_R))
            continue;
        value = hash(value, (const uint8_t *)(object->dlpi_addr + header->p_vaddr),
                     header->p_memsz);
    }
    search->identity[0] = 2;
    memcpy(search->identity + 1, &value, sizeof value);
    return 1;
}

void chost_build_identity(uint8_t *identity) {
    memset(identity, 0, CHOST_BUILD_IDENTITY_SIZE);
    Search search = {(uintptr_t)&chost_build_identity, identity};
    dl_iterate_phdr(visit, &search);
}
