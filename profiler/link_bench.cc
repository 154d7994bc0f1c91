#include "profiler/link_bench.h"

#include <cstddef>
#include <latch>
#include <memory>
#include <utility>

#include "profiler/copy_bench.h"
#include "profiler/samples.h"
#include "profiler/worker.h"

namespace shardlab {
namespace {

/// One direction of one device, copying in a thread and a queue of its own.
class Way {
 public:
  Way(const TorchDevice& device, LinkCost link) : device_(device), link_(std::move(link)) {
    worker_.run([&] {
      device_.enter(link_.to_device ? TorchDevice::Queue::kPromote : TorchDevice::Queue::kDemote);
      bench_ = std::make_unique<CopyBench>(device_, link_.pinned);
    });
  }

  void measure_alone(int rounds) {
    worker_.run([&] {
      std::vector<CopySample> samples;
      for (int i = 0; i < rounds; ++i) {
        link_.to_device ? bench_->to_device(samples) : bench_->to_host(samples);
      }
      link_.sizes = medians(samples);
      link_.cost = fit_copy_cost(samples);
      link_.residual = worst_residual(samples, link_.cost);
    });
  }

  /// Until all have started, then one large copy after another; all copy while this one is timed.
  void start_shared(int rounds, std::latch& started, std::latch& done) {
    worker_.start([this, rounds, &started, &done] {
      started.arrive_and_wait();
      link_.shared_rate = rate(rounds, done);
      while (!done.try_wait()) (void)bench_->largest(link_.to_device);
    });
  }
  void wait(int copying) {
    worker_.wait();
    link_.copying = copying;
  }

  [[nodiscard]] const LinkCost& link() const { return link_; }

 private:
  /// Counts down `done` whatever happens: the others wait for it.
  double rate(int rounds, std::latch& done) {
    const std::shared_ptr<void> leave(nullptr, [&](void*) { done.count_down(); });
    Samples times;
    for (int i = 0; i < rounds; ++i) times.push_back(bench_->largest(link_.to_device));
    return static_cast<double>(bench_->largest_bytes()) /
           seconds(summarize(std::move(times)).median);
  }

  const TorchDevice& device_;
  LinkCost link_;
  std::unique_ptr<CopyBench> bench_;
  Worker worker_;
};

struct Named {
  std::string name;
  std::unique_ptr<TorchDevice> device;
};

/// Both ways of all devices, by one kind of host memory: page-locked is an accelerator's alone.
std::vector<LinkCost> measure(const std::vector<Named>& devices, bool pinned, int rounds) {
  std::vector<const Named*> chosen;
  for (const Named& each : devices) {
    if (!pinned || !each.device->is_cpu()) chosen.push_back(&each);
  }
  const auto count = static_cast<std::ptrdiff_t>(2 * chosen.size());
  std::latch started(count), done(count);  // They outlive the ways, whose threads wait for them.
  std::vector<std::unique_ptr<Way>> ways;
  for (const Named* each : chosen) {
    for (const bool to_device : {true, false}) {
      LinkCost link;
      link.device = each->name;
      link.to_device = to_device;
      link.pinned = pinned;
      ways.push_back(std::make_unique<Way>(*each->device, link));
    }
  }
  std::vector<LinkCost> found;
  for (const auto& way : ways) way->measure_alone(rounds);
  for (const auto& way : ways) way->start_shared(rounds, started, done);
  for (const auto& way : ways) way->wait(static_cast<int>(count));
  for (const auto& way : ways) found.push_back(way->link());
  return found;
}

}  // namespace

std::vector<LinkCost> measure_links(const Cluster& cluster, int rounds) {
  std::vector<Named> devices;
  for (const DeviceSpec& spec : cluster.devices) {
    devices.push_back({spec.name, std::make_unique<TorchDevice>(spec)});
  }
  std::vector<LinkCost> found = measure(devices, /*pinned=*/true, rounds);
  const std::vector<LinkCost> pageable = measure(devices, /*pinned=*/false, rounds);
  found.insert(found.end(), pageable.begin(), pageable.end());
  return found;
}

}  // namespace shardlab
