#include "tests/fake_fallback.h"

#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/zeros.h>

#include "tests/fake_device.h"
#include "tests/fake_operators.h"

namespace shardlab::fake {
namespace {

using Values = std::vector<c10::IValue>;
constexpr c10::DispatchKeySet kCpu(c10::DispatchKey::CPU);

/// `value` with each of its defined tensors replaced.
template <class Map>
c10::IValue with_tensors(const c10::IValue& value, const Map& map) {
  const auto mapped = [&](const at::Tensor& tensor) {
    return tensor.defined() ? map(tensor) : tensor;
  };
  if (value.isTensor()) return mapped(value.toTensor());
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& each : value.toTensorVector()) list.push_back(mapped(each));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (const auto& each : value.toOptionalTensorVector()) {
      list.push_back(each ? std::optional(mapped(*each)) : std::nullopt);
    }
    return list;
  }
  return value;
}

template <class Map>
Values with_tensors(const Values& values, const Map& map) {
  Values mapped;
  for (const c10::IValue& each : values) mapped.push_back(with_tensors(each, map));
  return mapped;
}

std::vector<at::Tensor> tensors_in(const c10::IValue& value) {
  std::vector<at::Tensor> tensors;
  with_tensors(value, [&](const at::Tensor& each) {
    tensors.push_back(each);
    return each;
  });
  return tensors;
}

std::vector<at::Tensor> tensors_in(const Values& values) {
  std::vector<at::Tensor> tensors;
  for (const c10::IValue& each : values) {
    for (at::Tensor& tensor : tensors_in(each)) tensors.push_back(std::move(tensor));
  }
  return tensors;
}

bool written(const c10::Argument& argument) {
  return argument.alias_info() != nullptr && argument.alias_info()->isWrite();
}

struct Call {
  c10::OperatorHandle op;
  Values arguments;
  at::Device device = at::kCPU;  ///< Where it runs and its results are.
};

/// Only a number may come from the host; it is taken as it is now.
at::Tensor number(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.is_cpu() && tensor.dim() == 0, "a tensor on ", tensor.device(),
              " among those on the fake accelerator");
  at::Tensor copy = tensor.clone();
  copy.unsafeGetTensorImpl()->set_wrapped_number(tensor.unsafeGetTensorImpl()->is_wrapped_number());
  return copy;
}

Call take_call(const c10::OperatorHandle& op, Values& stack) {
  Call call{op, torch::jit::pop(stack, op.schema().arguments().size())};
  for (const at::Tensor& each : tensors_in(call.arguments)) {
    if (each.is_privateuseone() && call.device.is_cpu()) call.device = each.device();
  }
  for (c10::IValue& each : call.arguments) {
    if (!each.isDevice()) continue;
    if (call.device.is_cpu()) call.device = each.toDevice();
    each = at::Device(at::kCPU);
  }
  call.arguments = with_tensors(call.arguments, [&](const at::Tensor& each) {
    TORCH_CHECK(!each.is_privateuseone() || each.device() == call.device, op.operator_name(),
                ": one tensor on ", call.device, ", another on ", each.device());
    return each.is_privateuseone() ? each : number(each);
  });
  return call;
}

/// Of all tensors in the returns, and in the arguments afterwards. On the meta device.
struct Shapes {
  Values returns;
  Values arguments;
};

at::Tensor zeros_like(const at::Tensor& tensor) {
  if (tensor.is_cpu()) return tensor;
  // Strided by hand: a tensor may overlap itself.
  const auto size = at::detail::computeStorageNbytes(tensor.sizes(), tensor.strides(), 1);
  return at::zeros({static_cast<std::int64_t>(size)}, tensor.options().device(at::kCPU))
      .as_strided(tensor.sizes(), tensor.strides());
}

at::Tensor shape_of(const at::Tensor& tensor) {
  const auto options = tensor.options().device(at::kMeta);
  if (!tensor.is_non_overlapping_and_dense()) return at::empty(tensor.sizes(), options);
  return at::empty_strided(tensor.sizes(), tensor.strides(), options);
}

std::string description(const Call& call) {
  std::ostringstream text;
  text << call.op.operator_name();
  for (const c10::IValue& value : call.arguments) {
    const auto tensors = tensors_in(value);
    text << '|' << value.tagKind() << tensors.size();
    if (value.isOptionalTensorList()) {
      for (const auto& each : value.toOptionalTensorVector()) text << each.has_value();
    } else if (tensors.empty()) {
      text << value;
    }
    for (const at::Tensor& each : tensors) {
      text << each.device().type() << each.unsafeGetTensorImpl()->is_wrapped_number()
           << each.dtype() << each.sizes() << each.strides();
    }
  }
  return text.str();
}

bool foreseeable(const Call& call) {
  const auto& returns = call.op.schema().returns();
  const auto is_shape_free = [](const c10::IValue& each) { return !each.isGenerator(); };
  const auto holds_tensors = [](const c10::Argument& each) {
    return each.type()->isSubtypeOf(*c10::TensorType::get()) ||
           each.type()->isSubtypeOf(*c10::ListType::ofTensors());
  };
  return !call.op.hasTag(at::Tag::dynamic_output_shape) &&
         !call.op.hasTag(at::Tag::data_dependent_output) &&
         std::ranges::all_of(returns, holds_tensors) &&
         std::ranges::all_of(call.arguments, is_shape_free);
}

std::shared_ptr<const Shapes> shapes_on_zeros(const Call& call) {
  Values arguments = with_tensors(call.arguments, zeros_like);
  torch::jit::Stack stack = arguments;
  at::Generator random = at::detail::getDefaultCPUGenerator();
  const at::Tensor state = random.get_state();
  try {
    call.op.redispatchBoxed(kCpu, &stack);
  } catch (const std::exception&) {  // Zeros are not good enough: the real values tell.
    random.set_state(state);
    return nullptr;
  }
  random.set_state(state);
  return std::make_shared<Shapes>(
      Shapes{with_tensors(stack, shape_of), with_tensors(arguments, shape_of)});
}

/// Null if the shapes depend on the values.
std::shared_ptr<const Shapes> foresee(const Call& call) {
  static auto* const oracle = new WorkQueue;  // Its thread has no account and no settings of ours.
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const Shapes>> known;
  if (!foreseeable(call)) return nullptr;
  const std::string key = description(call);
  const std::lock_guard lock(mutex);
  const auto found = known.find(key);
  if (found != known.end()) return found->second;
  std::shared_ptr<const Shapes> shapes;
  oracle->wait(oracle->push([&] { shapes = shapes_on_zeros(call); }));
  if (shapes) known.emplace(key, shapes);
  return shapes;
}

/// The argument that the return stands for, if it is no new tensor.
std::optional<std::size_t> argument_of(const Call& call, std::size_t index) {
  const auto& schema = call.op.schema();
  const c10::AliasInfo* alias = schema.returns()[index].alias_info();
  if (alias == nullptr) return std::nullopt;
  TORCH_CHECK(alias->isWrite(), call.op.operator_name(),
              " makes a view: register it in tests/fake_operators.cc");
  for (std::size_t i = 0; i < schema.arguments().size(); ++i) {
    const c10::AliasInfo* other = schema.arguments()[i].alias_info();
    if (other != nullptr && *other == *alias) return i;
  }
  return std::nullopt;
}

/// Sizes of written arguments as they will be: an `out` may be empty before.
void resize_written(const Call& call, const Shapes& shapes) {
  for (std::size_t i = 0; i < call.arguments.size(); ++i) {
    if (!written(call.op.schema().arguments()[i])) continue;
    const auto now = tensors_in(call.arguments[i]);
    const auto then = tensors_in(shapes.arguments[i]);
    for (std::size_t j = 0; j < now.size(); ++j) {
      if (now[j].sizes() != then[j].sizes()) now[j].resize_(then[j].sizes());
    }
  }
}

void fill_in(const Values& results, const Values& targets) {
  const auto from = tensors_in(results);
  const auto to = tensors_in(targets);
  TORCH_CHECK(from.size() == to.size(), "results that depend on the values");
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i].data_ptr() == to[i].data_ptr()) continue;
    TORCH_CHECK(from[i].sizes() == to[i].sizes(),
                "a shape that depends on the values: ", from[i].sizes(), ", not ", to[i].sizes());
    to[i].copy_(from[i]);
  }
}

Values host_arguments(const Call& call) {
  return with_tensors(call.arguments, [](const at::Tensor& each) {
    return each.is_cpu() ? each : on_host(each);  // A number stays what it is.
  });
}

/// Results are arguments or new tensors on the device, filled when it is their turn.
Values run_ahead(const Call& call, const Shapes& shapes) {
  resize_written(call, shapes);
  Values results;
  for (std::size_t i = 0; i < shapes.returns.size(); ++i) {
    const auto argument = argument_of(call, i);
    results.push_back(argument ? call.arguments[*argument]
                               : with_tensors(shapes.returns[i], [&](const at::Tensor& shape) {
                                   return at::empty_strided(shape.sizes(), shape.strides(),
                                                            shape.options().device(call.device));
                                 }));
  }
  auto touched = tensors_in(call.arguments);
  for (at::Tensor& each : tensors_in(results)) touched.push_back(std::move(each));
  launch(current_stream(call.device.index()), Kind::kCompute, blocks_of(touched),
         [op = call.op, stack = host_arguments(call),
          targets = with_tensors(results, on_host)]() mutable {
           op.redispatchBoxed(kCpu, &stack);
           fill_in(stack, targets);
         });
  return results;
}

/// The host waits: it needs the values.
Values run_now(const Call& call) {
  torch::jit::Stack stack = host_arguments(call);
  std::exception_ptr failure;
  const StreamName stream = current_stream(call.device.index());
  const auto ticket = launch(stream, Kind::kCompute, blocks_of(tensors_in(call.arguments)), [&] {
    try {
      call.op.redispatchBoxed(kCpu, &stack);
    } catch (...) {
      failure = std::current_exception();  // The call's, not the device's.
    }
  });
  queue(stream).wait(ticket);
  if (failure) std::rethrow_exception(failure);
  check(stream.device);
  for (std::size_t i = 0; i < stack.size(); ++i) {
    const auto argument = argument_of(call, i);
    stack[i] = argument ? call.arguments[*argument]
                        : with_tensors(stack[i], [&](const at::Tensor& result) {
                            return result.to(call.device);
                          });
  }
  return stack;
}

}  // namespace

void fallback(const c10::OperatorHandle& op, std::vector<c10::IValue>* stack) {
  const Call call = take_call(op, *stack);
  const auto shapes = foresee(call);
  for (c10::IValue& each : shapes ? run_ahead(call, *shapes) : run_now(call)) {
    stack->push_back(std::move(each));
  }
}

}  // namespace shardlab::fake
