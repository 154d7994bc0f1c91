#pragma once

#include <cstddef>
#include <vector>

namespace at {
class Tensor;
}
namespace c10 {
struct StorageImpl;
}

namespace shardlab::fake {

class Block;

/// Registers the operators that make, view, resize and copy tensors, and the fallback for all
/// others.
void register_operators();

/// A CPU tensor over the same memory, whose owner it does not keep.
at::Tensor on_host(const at::Tensor& tensor);

/// Of those tensors that lie on a device.
std::vector<Block*> blocks_of(const std::vector<at::Tensor>& tensors);

/// Gives `storage` room for `bytes`, if it has less. What is in it moves along, on the current
/// stream.
void resize_storage(c10::StorageImpl& storage, std::size_t bytes);

}  // namespace shardlab::fake
