#include "tests/fake_accelerator.h"

#include <memory>
#include <mutex>

#include <ATen/Context.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include "tests/fake_block.h"
#include "tests/fake_device.h"
#include "tests/fake_memory.h"
#include "tests/fake_operators.h"

namespace shardlab::fake {
namespace {

constexpr c10::DeviceType kType = c10::DeviceType::PrivateUse1;

c10::Device torch_device(int device) { return {kType, static_cast<c10::DeviceIndex>(device)}; }

/// "privateuseone" without an index is the current device.
int index_of(c10::Device device) { return device.has_index() ? device.index() : current_device(); }

StreamName name_of(const c10::Stream& stream) { return {stream.device_index(), stream.id()}; }

c10::Stream torch_stream(StreamName name) {
  return c10::Stream(c10::Stream::UNSAFE, torch_device(name.device), name.id);
}

struct Event {
  Mark mark;
  bool timed;
};

class Guard final : public c10::impl::DeviceGuardImplInterface {
 public:
  c10::DeviceType type() const override { return kType; }
  c10::DeviceIndex deviceCount() const noexcept override { return kDevices; }
  c10::Device getDevice() const override { return torch_device(current_device()); }
  c10::Device exchangeDevice(c10::Device device) const override {
    return torch_device(exchange_device(index_of(device)));
  }
  void setDevice(c10::Device device) const override { exchange_device(index_of(device)); }
  void uncheckedSetDevice(c10::Device device) const noexcept override {
    exchange_device(index_of(device));
  }

  c10::Stream getStream(c10::Device device) const override {
    return torch_stream(current_stream(index_of(device)));
  }
  c10::Stream getDefaultStream(c10::Device device) const override {
    return torch_stream({index_of(device), 0});
  }
  c10::Stream getStreamFromGlobalPool(c10::Device device, bool) const override {
    return torch_stream(pool_stream(index_of(device)));
  }
  c10::Stream getNewStream(c10::Device device, int) const override {
    return torch_stream(new_stream(index_of(device)));
  }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    return torch_stream(exchange_stream(name_of(stream)));
  }
  bool queryStream(const c10::Stream& stream) const override { return finished(name_of(stream)); }
  void synchronizeStream(const c10::Stream& stream) const override { synchronize(name_of(stream)); }
  void synchronizeDevice(c10::DeviceIndex device) const override {
    for (WorkQueue* each : queues(device)) each->wait(each->end());
    check(device);
  }

  void record(void** event, const c10::Stream& stream, c10::DeviceIndex device,
              c10::EventFlag flag) const override {
    TORCH_CHECK(device == -1 || device == stream.device_index(), "an event of device ", int{device},
                " cannot be recorded on device ", int{stream.device_index()});
    if (*event == nullptr) *event = new Event{{}, flag == c10::EventFlag::BACKEND_DEFAULT};
    static_cast<Event*>(*event)->mark = record_mark(name_of(stream));
  }
  void block(void* event, const c10::Stream& stream) const override {
    if (event != nullptr) wait_for(name_of(stream), static_cast<Event*>(event)->mark);
  }
  bool queryEvent(void* event) const override {
    return event == nullptr || finished(static_cast<Event*>(event)->mark);
  }
  void synchronizeEvent(void* event) const override {
    if (event != nullptr) synchronize(static_cast<Event*>(event)->mark);
  }
  double elapsedTime(void* from, void* to, c10::DeviceIndex) const override {
    const auto& first = *static_cast<Event*>(from);
    const auto& second = *static_cast<Event*>(to);
    TORCH_CHECK(first.timed && second.timed, "both events must be made with timing");
    TORCH_CHECK(finished(first.mark) && finished(second.mark), "an event has not happened yet");
    return std::chrono::duration<double, std::milli>(*second.mark.when - *first.mark.when).count();
  }
  void destroyEvent(void* event, c10::DeviceIndex) const noexcept override {
    delete static_cast<Event*>(event);
  }
  void recordDataPtrOnStream(const c10::DataPtr& memory, const c10::Stream& stream) const override {
    c10::getDeviceAllocator(kType)->recordStream(memory, stream);
  }
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return kDevices; }
  c10::DeviceIndex getCurrentDevice() const override {
    return static_cast<c10::DeviceIndex>(current_device());
  }
  void setCurrentDevice(c10::DeviceIndex device) const override { exchange_device(device); }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex device) const override {
    return static_cast<c10::DeviceIndex>(fake::exchange_device(device));
  }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex device) const override {
    return exchangeDevice(device);
  }
  bool isPinnedPtr(const void* data) const override { return is_pinned(data); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return pinned_memory(); }
  c10::Device getDeviceFromPtr(void* data) const override {
    const Block* block = find_block(data);
    TORCH_CHECK(block != nullptr, "no memory of the fake accelerator");
    return torch_device(block->device());
  }
  void resizePrivateUse1Bytes(const c10::Storage& storage, std::size_t bytes) const override {
    resize_storage(*storage.unsafeGetStorageImpl(), bytes);
  }
};

}  // namespace

bool possible() { return !at::globalContext().hasCUDA(); }

void install() {
  static std::once_flag once;
  std::call_once(once, [] {
    register_memory();
    c10::impl::registerDeviceGuard(kType, new Guard);  // Both for the rest of the process.
    at::RegisterPrivateUse1HooksInterface(new Hooks);
    c10::register_privateuse1_backend("fake");
    register_operators();
    at::globalContext().lazyInitDevice(kType);
  });
}

}  // namespace shardlab::fake
