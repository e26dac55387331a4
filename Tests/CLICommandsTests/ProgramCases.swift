import Foundation

/// What each program is asked to do. Every path is the host's; the guest has the same files there.
enum ProgramCases {
    static let tools = [
        "/usr/bin/sha256sum", "/usr/bin/sha512sum", "/usr/bin/md5sum", "/usr/bin/b2sum",
        "/usr/bin/sort", "/usr/bin/xz", "/usr/bin/gzip", "/usr/bin/bc", "/usr/bin/sqlite3",
        "/usr/bin/openssl", "/usr/bin/perl", "/usr/bin/seq", "/usr/bin/cmp", "/usr/bin/cksum",
    ]

    static let digests = ProgramCase(
        "digests",
        """
        cd $IN
        /usr/bin/sha256sum text binary && /usr/bin/sha512sum text binary \
        && /usr/bin/md5sum text binary && /usr/bin/b2sum text binary && /usr/bin/cksum text
        """)

    static let xz = ProgramCase(
        "xz",
        """
        for name in text binary; do
          /usr/bin/xz -9 -T1 -c $IN/$name >$name.xz && /usr/bin/xz -t $name.xz \
          && /usr/bin/xz -d -c $name.xz | /usr/bin/cmp - $IN/$name || exit 1
        done
        /usr/bin/xz --robot --list text.xz
        /usr/bin/xz --format=raw --x86 --lzma2=preset=6 -c $IN/binary | /usr/bin/sha256sum
        """)

    static let gzip = ProgramCase(
        "gzip",
        """
        for level in 1 6 9; do
          /usr/bin/gzip -n -$level -c $IN/text >$level.gz && /usr/bin/gzip -d -c $level.gz \
          | /usr/bin/cmp - $IN/text || exit 1
        done
        /usr/bin/gzip -n -c $IN/binary | /usr/bin/gzip -l -q
        """)

    static let opensslDigests = ProgramCase(
        "openssl-digests",
        """
        for name in md5 sha1 sha256 sha512 sha3-256 blake2b512 blake2s256 ripemd160 sm3; do
          /usr/bin/openssl dgst -$name $IN/text || exit 1
        done
        /usr/bin/openssl dgst -sha256 -hmac secret $IN/binary
        """)

    static let opensslCiphers = ProgramCase(
        "openssl-ciphers",
        """
        key=000102030405060708090a0b0c0d0e0f
        for name in aes-128-cbc aes-128-ctr aes-128-ecb camellia-128-cbc aria-128-cbc sm4-cbc; do
          /usr/bin/openssl enc -$name -K $key -iv $key -in $IN/binary -out $name.out || exit 1
          /usr/bin/openssl enc -d -$name -K $key -iv $key -in $name.out | /usr/bin/cmp - $IN/binary \
          || exit 1
        done 2>/dev/null
        for name in aes-256-cbc chacha20; do
          /usr/bin/openssl enc -$name -K $key$key -iv $key -in $IN/text -out $name.out || exit 1
          /usr/bin/openssl enc -d -$name -K $key$key -iv $key -in $name.out \
          | /usr/bin/cmp - $IN/text || exit 1
        done
        /usr/bin/openssl enc -aes-256-cbc -pbkdf2 -S 0102030405060708 -pass pass:x -in $IN/text \
        | /usr/bin/sha256sum
        """)

    static let opensslKeys = ProgramCase(
        "openssl-keys",
        """
        cd $IN
        /usr/bin/openssl dgst -sha256 -sign rsa.pem text >$OLDPWD/signature || exit 1
        /usr/bin/openssl dgst -sha256 -verify rsa.pub -signature $OLDPWD/signature text || exit 1
        /usr/bin/openssl dgst -sha256 -verify rsa.pub -signature $OLDPWD/signature binary
        echo $?
        /usr/bin/openssl pkeyutl -sign -rawin -inkey ed25519.pem -in small -out $OLDPWD/ed25519 \
        || exit 1
        /usr/bin/openssl dgst -sha256 -verify ec.pub -signature ec.signature text
        /usr/bin/openssl rsa -in rsa.pem -check -noout -modulus 2>&1
        """)

    /// Numbers depend on the machine; that each algorithm came to its end does not.
    static let opensslSpeed = ProgramCase(
        "openssl-speed",
        """
        /usr/bin/openssl speed -seconds 1 -bytes 1024 sha256 aes-128-cbc >bulk 2>/dev/null || exit 1
        /usr/bin/openssl speed -seconds 1 rsa1024 ecdsap256 ed25519 >keys 2>/dev/null || exit 1
        sed -n 's/^\\([a-z0-9-]*\\)  *[0-9.]*k$/\\1/p' bulk
        sed -n 's/^\\(rsa *[0-9]* bits\\|.*ecdsa.*(.*)\\|.*EdDSA.*(.*)\\)  *[0-9.]*s .*/\\1/p' keys
        rm bulk keys
        """)

    static let sqlite = ProgramCase(
        "sqlite3",
        """
        /usr/bin/sqlite3 data.db <<'END'
        create table t(id integer primary key, name text, value real);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
          insert into t select i, printf('name-%05d', (i * 7919) % 5000), i * 1.1 / 3 from n;
        create index by_name on t(name);
        create index by_value on t(value desc);
        select count(*), sum(value), avg(value), max(name), group_concat(id) from t where id < 50;
        select name, value from t where name like '%123%' order by value desc;
        select a.id, b.id from t a join t b on a.name = b.name limit 20;
        select id % 10, count(*), total(value), printf('%.17g', sum(value * value)) from t group by 1;
        select sqrt(id), pow(id, 1.5), sin(id), exp(1.0 / id) from t where id < 20;
        select json_group_array(json_object('i', id, 'v', value)) from t where id < 10;
        select strftime('%Y-%m-%d %H:%M:%f', 2451545.123), julianday('2026-02-28'), hex(zeroblob(8));
        select sum(value) over (order by id rows between 3 preceding and current row) from t limit 30;
        update t set value = value * 2 where id % 3 = 0;
        delete from t where id % 7 = 0;
        vacuum;
        pragma integrity_check;
        END
        """)

    static let bc = ProgramCase(
        "bc",
        """
        echo 'scale=1000; 4*a(1); e(1); l(2); sqrt(2); s(1)^2+c(1)^2; j(1,0.5); 2^4096' \
        | /usr/bin/bc -l
        """)

    static let perl = ProgramCase(
        "perl",
        """
        exec /usr/bin/perl -e '
          my %count; open my $file, "<", "$ENV{IN}/text";
          while (<$file>) { $count{lc $1}++ while /(\\w+)/g }
          printf "%-20s %d\\n", $_, $count{$_} for sort { $count{$b} <=> $count{$a} || $a cmp $b }
            keys %count;
          printf "%.15g %s\\n", sin($_) * exp($_ / 10), unpack("H*", pack("d>", $_ ** 1.5)) for 1..50;
          print join(",", map { sprintf "%b", $_ * 2654435761 % 2**32 } 1..50), "\\n";'
        """)

    static let coreutils = ProgramCase(
        "dynamic-tools",
        """
        /usr/bin/seq 1 30000 | /usr/bin/sort -R --random-source=$IN/binary | /usr/bin/sort -n \
        | /usr/bin/sha256sum
        /usr/bin/sort -f $IN/text | /usr/bin/sha256sum
        /usr/bin/seq -f %.10g 0 0.001 3 | /usr/bin/sort -g -r | /usr/bin/md5sum
        """)

    /// Applets of one busybox.
    static func busybox(_ name: String) -> ProgramCase {
        ProgramCase(
            name,
            """
            b=$IN/\(name)
            for tool in md5sum sha1sum sha256sum sha512sum sha3sum cksum; do $b $tool <$IN/text; done
            $b gzip -c <$IN/text | $b gunzip | $b cmp - $IN/text || exit 1
            $b tar -c -C $IN text small | $b tar -t
            $b awk '{ n += NF; for (i = 1; i <= NF; i++) w[length($i)]++ }
              END { print n; for (i = 1; i < 20; i++) print i, w[i], sqrt(i), sin(i), 2 ^ i }' $IN/text
            $b sort $IN/text | $b uniq -c | $b sort -n | $b tail -n 20
            $b sed -n 's/\\([a-z]*\\) \\([a-z]*\\)/\\2 \\1/gp' $IN/text | $b md5sum
            $b od -t x8 $IN/binary | $b tail -n 5
            $b dd if=$IN/binary bs=777 count=100 2>/dev/null | $b base64 | $b tr a-z A-Z | $b wc
            $b expr 123456789 '*' 987654321; $b factor 1234567891011 9999999967 4294967297
            $b sh -c 'i=0; s=1; while [ $i -lt 20000 ]; do i=$((i+1)); s=$(((s*31+i)%65521)); done
              echo $s'
            $b find $IN -name 't*' -type f | $b sed 's,.*/,,'
            $b diff $IN/small $IN/other
            $b printf '%d %s %x\\n' 42 words 255
            """)
    }

    static let gcc = ProgramCase(
        "gcc",
        """
        for level in -O0 -O2 "-O3 -march=x86-64-v3" "-Os -m32 -ffreestanding"; do
          /usr/bin/gcc $level -c -o "object$level.o" $IN/freestanding.c || exit 1
        done
        /usr/bin/gcc -O2 -D_GNU_SOURCE -c -o numbers.o $IN/numbers.c || exit 1
        /usr/bin/gcc -O2 -D_GNU_SOURCE -S -o - $IN/numbers.c
        """)

    static func numbers(_ name: String) -> ProgramCase { ProgramCase(name, "exec $IN/\(name)") }

    static let i386 = ProgramCase("i386", "exec $IN/i386")
    static let i386VDSO = ProgramCase("i386-vdso", "exec $IN/i386 vdso")

    /// One line for each test, `ok` or why it was skipped, and how many there were; no times.
    static func python(_ name: String) -> ProgramCase {
        ProgramCase(
            name,
            """
            /usr/bin/python3 -S -s -m test -v \(name) >log 2>&1
            status=$?
            sed -n -e '/ \\.\\.\\. /p' -e 's/^Ran \\([0-9]*\\) tests in .*/Ran \\1 tests/p' \
              -e '/^OK/p' -e '/^FAILED/p' log
            grep -q '^Ran [1-9]' log || status=9
            [ $status = 0 ] || cat log >&2
            rm -f log
            exit $status
            """)
    }
    static let pythonTests = [
        "test_math", "test_float", "test_struct", "test_hashlib", "test_zlib", "test_decimal",
    ]
}
