#!/bin/sh
# Prints a program as a Swift source file: embed.sh FILE
set -eu
compiler=$(${CLANG:-clang} --version | head -n 1)
cat <<END
// Generated from Guests/agent by its Makefile. Do not edit.
// swift-format-ignore-file

/// The guest agent: a static x86-64 ELF program.
enum GuestAgentImage {
    /// What compiled it; another version may make other bytes.
    static let compiler = "$compiler"
    static let byteCount = $(wc -c <"$1" | tr -d ' ')
    /// Little-endian words, the last one filled up with zeros.
    static let words: [UInt64] = [
END
{ cat "$1"; head -c 7 /dev/zero; } | od -An -v -t x8 -w8 --endian=little |
    awk 'NF { sub(/^ */, ""); if (length($0) == 16) printf "%s0x%s,%s", (n % 4 ? " " : "        "), $0, (n % 4 == 3 ? "\n" : ""); n++ } END { if (n % 4) printf "\n" }'
cat <<END
    ]
}
END
