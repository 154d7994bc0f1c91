#pragma once

/// In front of a function whose loops should use the widest vector unit that the processor has,
/// found out when the program starts. Not a bit changes: -ffp-contract=off keeps every multiply and
/// add apart. Sanitizers cannot run so early.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define SHARDLAB_VECTOR_CLONES [[gnu::target_clones("avx512f", "avx2", "default")]]
#else
#define SHARDLAB_VECTOR_CLONES
#endif
