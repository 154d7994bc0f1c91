#include "profiler/cupti.h"

#include <array>
#include <type_traits>

#include <cupti.h>
#include <fmt/format.h>

#include "core/shared_library.h"
#include "profiler/cupti_libraries.h"

namespace shardlab {
namespace {

// Any kind of our own; torch's profiler would use this one too, but it and we exclude each other.
constexpr auto kRangeKind = CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0;

CUpti_ActivityKind kind_of(RecordKind kind) {
  switch (kind) {
    case RecordKind::kKernel:
      return CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
    case RecordKind::kCopy:
      return CUPTI_ACTIVITY_KIND_MEMCPY;
    case RecordKind::kPeerCopy:
      return CUPTI_ACTIVITY_KIND_MEMCPY2;
    case RecordKind::kSet:
      return CUPTI_ACTIVITY_KIND_MEMSET;
    case RecordKind::kRuntimeCall:
      return CUPTI_ACTIVITY_KIND_RUNTIME;
    case RecordKind::kDriverCall:
      return CUPTI_ACTIVITY_KIND_DRIVER;
    case RecordKind::kRange:
      return CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION;
    case RecordKind::kOverhead:
      return CUPTI_ACTIVITY_KIND_OVERHEAD;
  }
  return CUPTI_ACTIVITY_KIND_INVALID;
}

/// The functions of the library, with the types that the header gives them.
struct Functions {
  decltype(cuptiSubscribe)* subscribe;
  decltype(cuptiUnsubscribe)* unsubscribe;
  decltype(cuptiActivitySetAttribute)* set_attribute;
  decltype(cuptiActivityRegisterCallbacks)* register_callbacks;
  decltype(cuptiActivityEnable)* enable;
  decltype(cuptiActivityDisable)* disable;
  decltype(cuptiActivityFlushAll)* flush_all;
  decltype(cuptiActivityGetNumDroppedRecords)* count_dropped;
  decltype(cuptiActivityGetNextRecord)* next_record;
  decltype(cuptiActivityPushExternalCorrelationId)* push;
  decltype(cuptiActivityPopExternalCorrelationId)* pop;
  decltype(cuptiGetResultString)* result_string;
};

/// Fills the table; the name of a function that the library lacks, or null.
const char* look_up(const SharedLibrary& library, Functions& table) {
  const char* missing = nullptr;
  const auto find = [&](auto*& function, const char* name) {
    function = library.find<std::remove_reference_t<decltype(*function)>>(name);
    if (function == nullptr) missing = name;
  };
  find(table.subscribe, "cuptiSubscribe");
  find(table.unsubscribe, "cuptiUnsubscribe");
  find(table.set_attribute, "cuptiActivitySetAttribute");
  find(table.register_callbacks, "cuptiActivityRegisterCallbacks");
  find(table.enable, "cuptiActivityEnable");
  find(table.disable, "cuptiActivityDisable");
  find(table.flush_all, "cuptiActivityFlushAll");
  find(table.count_dropped, "cuptiActivityGetNumDroppedRecords");
  find(table.next_record, "cuptiActivityGetNextRecord");
  find(table.push, "cuptiActivityPushExternalCorrelationId");
  find(table.pop, "cuptiActivityPopExternalCorrelationId");
  find(table.result_string, "cuptiGetResultString");
  return missing;
}

// The subscriber turns no callback on, so none is called.
void CUPTIAPI ignore(void*, CUpti_CallbackDomain, CUpti_CallbackId, const void*) {}

class LoadedCupti : public CuptiApi {
 public:
  explicit LoadedCupti(const Functions& functions) : call_(functions) {}

  int subscribe() override { return call_.subscribe(&subscriber_, ignore, nullptr); }
  int unsubscribe() override { return call_.unsubscribe(subscriber_); }
  int promise_zeroed_buffers() override {
    std::uint8_t zeroed = 1;
    std::size_t size = sizeof(zeroed);
    return call_.set_attribute(CUPTI_ACTIVITY_ATTR_ZEROED_OUT_ACTIVITY_BUFFER, &size, &zeroed);
  }
  int register_callbacks(BufferRequested* requested, BufferCompleted* completed) override {
    return call_.register_callbacks(requested, completed);
  }
  int enable(RecordKind kind) override { return call_.enable(kind_of(kind)); }
  int disable(RecordKind kind) override { return call_.disable(kind_of(kind)); }
  int flush() override { return call_.flush_all(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED); }
  int count_dropped(std::size_t& records) override {
    return call_.count_dropped(nullptr, 0, &records);
  }
  int push_range(std::uint64_t id) override { return call_.push(kRangeKind, id); }
  int pop_range() override {
    std::uint64_t id = 0;
    return call_.pop(kRangeKind, &id);
  }

  ActivityLog parse(std::span<const RecordBuffer> buffers) override {
    return parse_activities(buffers, reinterpret_cast<AnyFunction*>(call_.next_record));
  }

  std::string explain(int result) override {
    switch (result) {
      case CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED:
      case CUPTI_ERROR_DISABLED:
        return "another profiler is using CUPTI: run without Nsight, cuda-gdb and torch's profiler";
      case CUPTI_ERROR_INSUFFICIENT_PRIVILEGES:
      case CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES:
        return "the driver allows profiling to administrators only";
      default:
        break;
    }
    const char* name = nullptr;
    const auto code = static_cast<CUptiResult>(result);
    if (call_.result_string(code, &name) != CUPTI_SUCCESS || name == nullptr) name = "unknown";
    return fmt::format("{} ({})", name, result);
  }

 private:
  Functions call_;
  CUpti_SubscriberHandle subscriber_ = nullptr;
};

/// What is wrong with the driver; empty when it finds a device.
std::string probe_driver() {
  const std::array<std::string, 1> name{"libcuda.so.1"};
  const SharedLibrary driver(name, SharedLibrary::Stay::kForGood);
  if (!driver.open()) return fmt::format("no CUDA driver ({})", driver.problem());
  if (!driver.call("cuInit", 0U)) return "the CUDA driver finds no device (cuInit failed)";
  int devices = 0;
  if (!driver.call("cuDeviceGetCount", &devices) || devices == 0) return "no CUDA device";
  return "";
}

}  // namespace

std::shared_ptr<CuptiApi> load_cupti(std::string& problem) {
  // The driver first: without one, CUPTI opens, and some of its calls wrongly succeed.
  problem = probe_driver();
  if (!problem.empty()) return nullptr;
  // CUPTI has threads of its own, so it stays. One that torch loaded is shared.
  const SharedLibrary library(cupti_libraries(), SharedLibrary::Stay::kForGood);
  if (!library.open()) {
    problem = fmt::format("no CUPTI ({}): install it, or set CUDA_HOME", library.problem());
    return nullptr;
  }
  Functions functions{};
  if (const char* missing = look_up(library, functions)) {
    problem = fmt::format("this CUPTI is too old: it has no {}", missing);
    return nullptr;
  }
  return std::make_shared<LoadedCupti>(functions);
}

}  // namespace shardlab
