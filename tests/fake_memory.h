#pragma once

namespace c10 {
struct Allocator;
}

namespace shardlab::fake {

bool is_pinned(const void* address);

/// Host memory that a copy reads or writes when it runs.
c10::Allocator* pinned_memory();
/// Makes the allocator of device memory LibTorch's for PrivateUse1.
void register_memory();

}  // namespace shardlab::fake
