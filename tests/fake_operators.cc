#include "tests/fake_operators.h"

#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/native/transformers/attention.h>
#include <ATen/ops/_fused_sdp_choice_ops.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include "tests/fake_device.h"
#include "tests/fake_fallback.h"

namespace shardlab::fake {
namespace {

constexpr c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);

c10::Allocator* device_memory() { return c10::GetAllocator(at::kPrivateUse1); }

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> type,
                 std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
  const c10::DeviceGuard guard(c10::device_or_default(device));
  return at::detail::empty_generic(size, device_memory(), kKeys, c10::dtype_or_default(type),
                                   format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride,
                         std::optional<at::ScalarType> type, std::optional<at::Layout>,
                         std::optional<at::Device> device, std::optional<bool>) {
  const c10::DeviceGuard guard(c10::device_or_default(device));
  return at::detail::empty_strided_generic(size, stride, device_memory(), kKeys,
                                           c10::dtype_or_default(type));
}

const at::Tensor& resize(const at::Tensor& self, at::IntArrayRef size,
                         std::optional<at::MemoryFormat> format) {
  c10::TensorImpl* impl = self.unsafeGetTensorImpl();
  const auto offset = static_cast<std::size_t>(impl->storage_offset());
  resize_storage(*impl->unsafe_storage().unsafeGetStorageImpl(),
                 at::detail::computeStorageNbytesContiguous(size, impl->itemsize(), offset));
  impl->set_sizes_contiguous(size);
  if (format) impl->empty_tensor_restride(*format);
  return self;
}

StreamName stream_for(const at::Tensor& tensor) { return current_stream(tensor.device().index()); }

void wait_until(StreamName stream, WorkQueue::Ticket ticket) {
  queue(stream).wait(ticket);
  check(stream.device);
}

/// `keep` lives until the copy is done.
WorkQueue::Ticket queue_copy(StreamName stream, const at::Tensor& from, const at::Tensor& to,
                             at::Tensor keep) {
  return launch(stream, Kind::kCopy, blocks_of({from, to}),
                [source = on_host(from), target = on_host(to), keep = std::move(keep)] {
                  target.copy_(source);
                });
}

/// A copy that needs no other form of the host's tensor runs when it is its turn.
bool direct(const at::Tensor& host, const at::Tensor& device) {
  return host.is_pinned() && host.is_contiguous() && host.dtype() == device.dtype();
}

void promote(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  const StreamName stream = stream_for(to);
  if (!non_blocking) return wait_until(stream, queue_copy(stream, from, to, {}));
  if (direct(from, to)) {
    queue_copy(stream, from, to, from);
    return;
  }
  // As the driver does with pageable memory. Pinned memory is on nobody's account.
  at::Tensor staged = at::empty_like(from, from.options().pinned_memory(true));
  staged.copy_(from);
  queue_copy(stream, staged, to, staged);
}

void demote(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  const StreamName stream = stream_for(from);
  const WorkQueue::Ticket ticket = queue_copy(stream, from, to, to);
  if (!non_blocking || !direct(to, from)) wait_until(stream, ticket);
}

/// As in CUDA: on the source's stream, after what the target's stream has, before what it gets.
void copy_between(const at::Tensor& from, const at::Tensor& to) {
  if (from.device() != to.device()) wait_for(stream_for(from), record_mark(stream_for(to)));
  queue_copy(stream_for(from), from, to, {});
  if (from.device() != to.device()) wait_for(stream_for(to), record_mark(stream_for(from)));
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  if (from.is_cpu()) {
    promote(from, to, non_blocking);
  } else if (to.is_cpu()) {
    demote(from, to, non_blocking);
  } else {
    copy_between(from, to);
  }
  return to;
}

void record_stream(at::Tensor& self, at::Stream stream) {
  c10::getDeviceAllocator(at::kPrivateUse1)->recordStream(self.storage().data_ptr(), stream);
}

/// What the CPU would choose, so that both run the same kernel.
std::int64_t attention_kernel(const at::Tensor& query, const at::Tensor& key,
                              const at::Tensor& value, const std::optional<at::Tensor>& mask,
                              double dropout, bool causal, std::optional<double> scale,
                              bool grouped) {
  return at::_ops::_fused_sdp_choice::redispatch(c10::DispatchKeySet(c10::DispatchKey::CPU), query,
                                                 key, value, mask, dropout, causal, scale, grouped);
}

}  // namespace

at::Tensor on_host(const at::Tensor& tensor) {
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(),
                       tensor.options().device(at::kCPU));
}

std::vector<Block*> blocks_of(const std::vector<at::Tensor>& tensors) {
  std::vector<Block*> blocks;
  for (const at::Tensor& each : tensors) {
    if (!each.is_privateuseone() || each.numel() == 0) continue;
    Block* block = find_block(each.const_data_ptr());
    TORCH_CHECK(block != nullptr, "a tensor on ", each.device(), " that lies in no device memory");
    blocks.push_back(block);
  }
  return blocks;
}

void resize_storage(c10::StorageImpl& storage, std::size_t bytes) {
  const std::size_t before = storage.nbytes();
  if (bytes <= before) return;
  const c10::DeviceGuard guard(storage.device());
  c10::DataPtr larger = device_memory()->allocate(bytes);
  if (before > 0) device_memory()->copy_data(larger.mutable_get(), storage.data(), before);
  storage.set_data_ptr_noswap(std::move(larger));
  storage.set_nbytes(bytes);
}

void register_operators() {
  static torch::Library operators(torch::Library::IMPL, "aten", c10::DispatchKey::PrivateUse1,
                                  __FILE__, __LINE__);
  operators.impl("empty.memory_format", &empty);
  operators.impl("empty_strided", &empty_strided);
  operators.impl("resize_", &resize);
  operators.impl("as_strided", &at::native::as_strided_tensorimpl);
  operators.impl(
      "view", static_cast<at::Tensor (*)(const at::Tensor&, at::IntArrayRef)>(&at::native::view));
  operators.impl("_reshape_alias",
                 static_cast<at::Tensor (*)(const at::Tensor&, at::IntArrayRef, at::IntArrayRef)>(
                     &at::native::_reshape_alias));
  operators.impl("_copy_from", &copy_from);
  operators.impl("record_stream", &record_stream);
  // Else LibTorch composes it of others, with other roundings than the CPU's.
  operators.impl("native_layer_norm", torch::CppFunction::makeFromBoxedFunction<&fallback>());
  at::native::_fused_sdp_choice_stub.set_privateuse1_dispatch_ptr(&attention_kernel);
  static torch::Library others(torch::Library::IMPL, "_", c10::DispatchKey::PrivateUse1, __FILE__,
                               __LINE__);
  others.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

}  // namespace shardlab::fake
